/**
 * tikvpb.Tikv/CheckLeader between stores: leaders tell replicas up to which timestamp they hold
 * everything once they have applied as far (storage/resolved_ts). Served here, and sent.
 * Source: tikv src/server/service/kv.rs check_leader, components/resolved_ts/src/advance.rs.
 */
import type { Client } from "@grpc/grpc-js";
import type { Logger } from "../base/index.js";
import { fromBigInt, type kvrpcpb, methodInfo, toBigInt, toNumber } from "../pb/index.js";
import { callUnary, openChannel } from "../pd_client/index.js";
import type { CheckLeaderPort, LeaderInfo, Storage } from "../storage/index.js";
import type { Resolved } from "./resolve.js";

/** Regions of one call; the rest follows when it is answered. */
const REGIONS_PER_CALL = 4096;
const TIMEOUT_MS = 5000;

function leaderInfo(info: kvrpcpb.LeaderInfo): LeaderInfo {
  const { regionId, peerId, term, regionEpoch, readState } = info;
  return {
    regionId: toBigInt(regionId),
    peerId: toBigInt(peerId),
    term: toBigInt(term),
    confVer: toBigInt(regionEpoch?.confVer ?? 0),
    version: toBigInt(regionEpoch?.version ?? 0),
    readState: {
      appliedIndex: toNumber(readState?.appliedIndex ?? 0),
      safeTs: toBigInt(readState?.safeTs ?? 0),
    },
  };
}

/** Answers with the regions whose leader this store knows as the asker says. */
export function checkLeader(
  storage: Storage,
  { regions, ts }: kvrpcpb.CheckLeaderRequest,
): kvrpcpb.ICheckLeaderResponse {
  return { ts, regions: storage.onLeaders(regions.map(leaderInfo)).map(fromBigInt) };
}

function toProto(info: LeaderInfo): kvrpcpb.ILeaderInfo {
  const { regionId, peerId, term, confVer, version, readState } = info;
  return {
    regionId: fromBigInt(regionId),
    peerId: fromBigInt(peerId),
    term: fromBigInt(term),
    regionEpoch: { confVer: fromBigInt(confVer), version: fromBigInt(version) },
    readState: {
      appliedIndex: fromBigInt(BigInt(readState.appliedIndex)),
      safeTs: fromBigInt(readState.safeTs),
    },
  };
}

export interface CheckLeaderDeps {
  readonly resolver: { resolve(storeId: number): Promise<Resolved>; forget(storeId: number): void };
  readonly logger: Logger;
}

interface Connection {
  readonly address: string;
  readonly channel: Client;
}

/**
 * Sends what leaders say. One call a store is under way at a time: what comes meanwhile replaces
 * what waits, as it is newer.
 */
export class CheckLeaderClient implements CheckLeaderPort {
  readonly #connections = new Map<number, Connection>();
  readonly #waiting = new Map<number, readonly LeaderInfo[]>();
  readonly #busy = new Set<number>();
  #isClosed = false;

  constructor(private readonly deps: CheckLeaderDeps) {}

  send(storeId: number, regions: readonly LeaderInfo[]): void {
    if (this.#isClosed) return;
    this.#waiting.set(storeId, regions);
    if (this.#busy.has(storeId)) return;
    this.#busy.add(storeId);
    this.#drain(storeId)
      .catch((error: unknown) => this.#failed(storeId, error))
      .finally(() => this.#busy.delete(storeId));
  }

  close(): void {
    this.#isClosed = true;
    for (const { channel } of this.#connections.values()) channel.close();
    this.#connections.clear();
    this.#waiting.clear();
  }

  async #drain(storeId: number): Promise<void> {
    for (;;) {
      const regions = this.#waiting.get(storeId);
      if (regions === undefined || this.#isClosed) return;
      this.#waiting.delete(storeId);
      for (let from = 0; from < regions.length; from += REGIONS_PER_CALL) {
        await this.#call(storeId, regions.slice(from, from + REGIONS_PER_CALL));
      }
    }
  }

  async #call(storeId: number, regions: readonly LeaderInfo[]): Promise<void> {
    const resolved = await this.deps.resolver.resolve(storeId);
    if (this.#isClosed || resolved === "removed" || resolved === "failed") return;
    const channel = this.#channelTo(storeId, resolved.address);
    const method = methodInfo("tikvpb.Tikv", "CheckLeader");
    const reply = await callUnary(channel, method, { regions: regions.map(toProto) }, TIMEOUT_MS);
    if (reply.ok) return;
    this.deps.resolver.forget(storeId);
    throw new Error(reply.error.message);
  }

  #channelTo(storeId: number, address: string): Client {
    const known = this.#connections.get(storeId);
    if (known?.address === address) return known.channel;
    known?.channel.close();
    const channel = openChannel(address);
    this.#connections.set(storeId, { address, channel });
    return channel;
  }

  #failed(storeId: number, error: unknown): void {
    if (this.#isClosed) return;
    this.deps.logger.debug("check leader was not answered", { store_id: storeId }, error);
  }
}
