/**
 * Heartbeats: a store's, one call each; regions', over one stream that is opened when there is
 * something to say and again after it broke. PD's orders come back on the region stream at any time.
 */
import { type ClientDuplexStream, Metadata, status } from "@grpc/grpc-js";
import { err, ok } from "../base/index.js";
import { deserializer, methodInfo, type pdpb, serializer } from "../pb/index.js";
import { type Caller, requestHeader } from "./caller.js";
import { regionHeartbeatMessage, storeStatsMessage } from "./convert.js";
import { headerFailure, unavailable } from "./failure.js";
import type { Leader } from "./members.js";
import { regionOrder } from "./order.js";
import type { PdReply, RegionOrder, RegionReport, StoreStats } from "./types.js";

const STORE_HEARTBEAT = methodInfo("pdpb.PD", "StoreHeartbeat");
const REGION_HEARTBEAT = methodInfo("pdpb.PD", "RegionHeartbeat");

type HeartbeatStream = ClientDuplexStream<
  pdpb.IRegionHeartbeatRequest,
  pdpb.RegionHeartbeatResponse
>;

/** Takes PD's orders to region leaders. */
export type OnRegionOrder = (order: RegionOrder) => void;

/** Sends a store's heartbeat. */
export async function storeHeartbeat(caller: Caller, stats: StoreStats): Promise<PdReply<void>> {
  const message = storeStatsMessage(stats);
  const reply = await caller.call(STORE_HEARTBEAT, (header) => ({ header, stats: message }));
  return reply.ok ? ok(undefined) : reply;
}

export class RegionHeartbeats {
  readonly #caller: Caller;
  #stream: HeartbeatStream | undefined;
  #leader: Leader | undefined;
  #unsent = 0;
  #onOrder: OnRegionOrder = () => {};
  #onReportsLost = (): void => {};
  #closed = false;

  constructor(caller: Caller) {
    this.#caller = caller;
  }

  /** Sets who gets PD's orders. */
  onOrder(take: OnRegionOrder): void {
    this.#onOrder = take;
  }

  /** Sets what is called when the stream broke or PD's leader changed; not from inside `send`. */
  onReportsLost(again: () => void): void {
    this.#onReportsLost = again;
  }

  /** Hands a heartbeat to the stream; ok means handed over, not received. */
  async send(report: RegionReport): Promise<PdReply<void>> {
    const leader = await this.#caller.members.leader();
    if (!leader.ok) return leader;
    if (this.#closed) return err(unavailable("the PD client is closed"));
    if (leader.value !== this.#leader) this.#stream?.cancel();
    if (this.#stream === undefined || leader.value !== this.#leader) this.#open(leader.value);
    if (this.#unsent >= this.#caller.options.regionHeartbeatsMax) {
      return err(unavailable("PD does not read region heartbeats fast enough"));
    }
    const header = requestHeader(leader.value);
    this.#unsent++;
    this.#stream?.write({ ...regionHeartbeatMessage(report), header }, () => {
      this.#unsent--;
    });
    return ok(undefined);
  }

  /** Ends the stream. */
  close(): void {
    this.#closed = true;
    this.#stream?.cancel();
  }

  #open(leader: Leader): void {
    const stream = leader.channel.makeBidiStreamRequest(
      REGION_HEARTBEAT.path,
      serializer(REGION_HEARTBEAT.request),
      deserializer(REGION_HEARTBEAT.response),
      new Metadata(),
    );
    if (this.#leader !== undefined && this.#leader !== leader) queueMicrotask(this.#onReportsLost);
    this.#stream = stream;
    this.#leader = leader;
    this.#unsent = 0;
    stream.on("data", (response: pdpb.RegionHeartbeatResponse) => {
      const failure = headerFailure(response.header);
      const order = failure === undefined ? regionOrder(response) : undefined;
      if (order !== undefined) this.#onOrder(order);
      if (failure === undefined) return;
      this.#caller.options.log.warn("region heartbeat refused", { reason: failure.message });
    });
    stream.on("error", () => {});
    stream.on("status", (end: { code: status; details: string }) => {
      if (stream !== this.#stream) return;
      this.#stream = undefined;
      if (end.code !== status.CANCELLED) this.#caller.members.forget(leader);
      this.#caller.options.log.debug("region heartbeat stream ended", { reason: end.details });
      if (!this.#closed) this.#onReportsLost();
    });
  }
}
