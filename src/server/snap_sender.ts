/**
 * Snapshots to other stores, each on a stream and a connection of its own: the message that
 * announces it, then its chunks, as fast as the source's rate limit and the receiver allow. Only the
 * receiver's Done says that it went well. Source: tikv src/server/snap.rs.
 */
import type { Logger, Timers } from "../base/index.js";
import { raft_serverpb } from "../pb/index.js";
import {
  encodeRaftMessage,
  type RaftEvents,
  type RaftMessage,
  type SnapshotManager,
  type SnapshotSource,
} from "../raftstore/index.js";
import type { OpenRaftChannel, OutStream, RaftChannel, StreamEnd } from "./raft_channel.js";
import type { RaftCounters } from "./raft_metrics.js";
import type { RaftTransportOptions } from "./raft_options.js";
import type { StoreResolver } from "./resolve.js";

export interface SnapSenderDeps {
  readonly events: RaftEvents;
  readonly snapshots: Pick<SnapshotManager, "open">;
  readonly resolver: StoreResolver;
  readonly connect: OpenRaftChannel;
  readonly timers: Timers;
  readonly logger: Logger;
  readonly counters: RaftCounters;
}

type Options = Pick<RaftTransportOptions, "concurrentSendSnapLimit" | "snapIdleTimeoutMs">;

export class SnapSender {
  readonly #running = new Set<Sending>();

  constructor(
    private readonly options: Options,
    private readonly deps: SnapSenderDeps,
  ) {}

  /** Sends the snapshot of a MsgSnapshot; reports once how it ended. */
  send(message: RaftMessage): void {
    if (this.#running.size >= this.options.concurrentSendSnapLimit) {
      this.#report(message, "too many snapshots are being sent");
      return;
    }
    const sending = new Sending(message, this.options.snapIdleTimeoutMs, this.deps, (problem) => {
      this.#running.delete(sending);
      this.#report(message, problem);
    });
    this.#running.add(sending);
    void sending.start();
  }

  /** Cuts all streams, without a report. */
  close(): void {
    for (const sending of this.#running) sending.cut();
    this.#running.clear();
  }

  #report(message: RaftMessage, problem: string | undefined): void {
    const { counters, events, logger } = this.deps;
    const region = { region_id: message.regionId, to_store_id: message.toPeer.storeId };
    if (problem === undefined) {
      counters.snapshots.sent++;
      logger.info("snapshot sent", region);
    } else {
      counters.snapshots.sendFailed++;
      logger.warn("snapshot was not sent", { ...region, reason: problem });
    }
    events.onSnapshotSent(message.regionId, message.toPeer.id, problem !== undefined);
  }
}

/** One snapshot on its way. */
class Sending {
  #isOver = false;
  #isWhole = false;
  #channel: RaftChannel | undefined;
  #stream: OutStream | undefined;
  #source: SnapshotSource | undefined;
  #cancelTimer: () => void = () => {};

  constructor(
    private readonly message: RaftMessage,
    private readonly idleMs: number,
    private readonly deps: SnapSenderDeps,
    private readonly done: (problem: string | undefined) => void,
  ) {}

  async start(): Promise<void> {
    const { resolver, connect } = this.deps;
    const { storeId } = this.message.toPeer;
    const resolved = await resolver.resolve(storeId);
    if (this.#isOver) return;
    if (typeof resolved === "string") {
      this.#finish(`the store's address is not known: ${resolved}`);
      return;
    }
    this.#source = this.#openSource();
    if (this.#source === undefined) {
      this.#finish("the snapshot is gone");
      return;
    }
    this.#channel = connect(resolved.address);
    this.#stream = this.#channel.open("Snapshot", {
      onSent: () => this.#watch(),
      onDrain: () => this.#next(),
      onEnd: (end) => this.#onEnd(end),
    });
    this.#watch();
    const message = raft_serverpb.RaftMessage.decode(encodeRaftMessage(this.message));
    if (this.#write({ message })) this.#next();
  }

  /** Ends at once; `done` is not called. */
  cut(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#stream?.cancel();
    this.#release();
  }

  #openSource(): SnapshotSource | undefined {
    const { message, regionId, toPeer } = this.message;
    const metadata = message?.snapshot?.metadata;
    if (metadata === undefined) return undefined;
    const key = { regionId, term: metadata.term, index: metadata.index };
    return this.deps.snapshots.open(key, toPeer.id);
  }

  #write(chunk: raft_serverpb.ISnapshotChunk): boolean {
    const bytes = raft_serverpb.SnapshotChunk.encode(chunk).finish();
    return this.#stream?.write(bytes) === true;
  }

  /** Sends the next chunk when the rate limit allows it; the stream has room. */
  #next(): void {
    this.#source?.ready(() => {
      if (this.#isOver) return;
      const data = this.#source?.next();
      if (data === undefined) {
        this.#isWhole = true;
        this.#stream?.end();
      } else if (this.#write({ data })) this.#next();
    });
  }

  /** Waits for progress, no longer than allowed. */
  #watch(): void {
    this.#cancelTimer();
    this.#cancelTimer = this.deps.timers.after(this.idleMs, () => {
      this.#stream?.cancel();
      this.#finish("no progress");
    });
  }

  #onEnd({ code, details }: StreamEnd): void {
    if (code !== 0) this.deps.resolver.forget(this.message.toPeer.storeId);
    if (code !== 0) this.#finish(`status ${code}: ${details}`);
    else this.#finish(this.#isWhole ? undefined : "the receiver did not wait for the end");
  }

  #finish(problem: string | undefined): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#release();
    this.done(problem);
  }

  #release(): void {
    this.#cancelTimer();
    this.#source?.close();
    this.#channel?.close();
  }
}
