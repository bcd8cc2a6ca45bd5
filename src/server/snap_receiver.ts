/**
 * tikvpb.Tikv's Snapshot: the receiving side of a snapshot stream. The first chunk has the message,
 * the others data, which go to the snapshot manager one at a time. The message reaches its peer, and
 * the sender its Done, when all bytes are durable and checked. Source: tikv src/server/snap.rs.
 */
import { status } from "@grpc/grpc-js";
import type { Logger, Timers } from "../base/index.js";
import { raft_serverpb } from "../pb/index.js";
import { MessageType } from "../raft/index.js";
import {
  decodeRaftMessage,
  type RaftEvents,
  type RaftMessage,
  type SnapshotManager,
  type SnapshotSink,
} from "../raftstore/index.js";
import {
  type GrpcStatus,
  invalidArgument,
  resourceExhausted,
  SERVER_DRAINING,
} from "./grpc_status.js";
import type { RaftSource } from "./raft_channel.js";
import type { RaftCounters } from "./raft_metrics.js";
import type { RaftTransportOptions } from "./raft_options.js";
import { type RaftCall, type Respond, refuseCluster, storeNotMatch } from "./raft_server.js";

const DONE = Buffer.alloc(0);
const NO_PROGRESS: GrpcStatus = {
  code: status.DEADLINE_EXCEEDED,
  details: "the snapshot made no progress",
};
const DAMAGED = (problem: string): GrpcStatus => ({ code: status.DATA_LOSS, details: problem });

export interface SnapReceiverDeps {
  readonly events: Pick<RaftEvents, "onRaftMessage">;
  readonly snapshots: Pick<SnapshotManager, "receive">;
  readonly timers: Timers;
  readonly logger: Logger;
  readonly counters: RaftCounters;
}

type Options = Pick<RaftTransportOptions, "snapIdleTimeoutMs">;

export class SnapReceiver {
  readonly #running = new Set<Receiving>();
  #isStopped = false;

  constructor(
    private readonly own: RaftSource,
    private readonly options: Options,
    private readonly deps: SnapReceiverDeps,
  ) {}

  /** Serves one stream. */
  open(call: RaftCall, respond: Respond): void {
    const receiving = new Receiving(this.own, this.options, this.deps, call, (end) => {
      this.#running.delete(receiving);
      if (end === null) respond(null, DONE);
      else if (end !== "gone") respond(end);
    });
    this.#running.add(receiving);
    receiving.start(this.#isStopped);
  }

  /** Ends all streams and takes no more. */
  stop(): void {
    this.#isStopped = true;
    for (const receiving of [...this.#running]) receiving.end(SERVER_DRAINING);
  }
}

/** null: Done. "gone": the caller has left. */
type End = GrpcStatus | null | "gone";

/** One snapshot on its way in. */
class Receiving {
  #sink: SnapshotSink | undefined;
  #message: RaftMessage | undefined;
  #isOver = false;
  /** A chunk waits for the disk. */
  #isWriting = false;
  #hasEnded = false;
  #cancelTimer: () => void = () => {};

  constructor(
    private readonly own: RaftSource,
    private readonly options: Options,
    private readonly deps: SnapReceiverDeps,
    private readonly call: RaftCall,
    private readonly done: (end: End) => void,
  ) {}

  start(isStopped: boolean): void {
    const { call } = this;
    const refused = refuseCluster(call.metadata, this.own);
    if (refused !== undefined) this.deps.counters.dropped.mismatch_cluster++;
    if (refused !== undefined || isStopped) {
      this.end(refused ?? SERVER_DRAINING);
      return;
    }
    this.#watch();
    call.on("data", (bytes: Buffer) => this.#take(bytes));
    call.on("end", () => this.#whole());
    call.on("cancelled", () => this.end("gone"));
    call.on("error", () => this.end("gone"));
  }

  /** Ends once; anything but Done gives up what was received. */
  end(end: End): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#cancelTimer();
    if (end === null) this.deps.counters.snapshots.received++;
    else {
      this.#sink?.abort();
      this.deps.counters.snapshots.receiveFailed++;
      this.deps.logger.warn("snapshot was not received", {
        region_id: this.#message?.regionId ?? 0,
        reason: end === "gone" ? "the sender has gone" : end.details,
      });
      // What still comes is read and thrown away until grpc-js has closed the call.
      this.call.resume();
    }
    this.done(end);
  }

  #watch(): void {
    this.#cancelTimer();
    this.#cancelTimer = this.deps.timers.after(this.options.snapIdleTimeoutMs, () => {
      this.end(NO_PROGRESS);
    });
  }

  #take(bytes: Buffer): void {
    if (this.#isOver) return;
    this.#watch();
    let chunk: raft_serverpb.SnapshotChunk;
    try {
      chunk = raft_serverpb.SnapshotChunk.decode(bytes);
    } catch {
      this.#damaged("cannot decode the chunk");
      return;
    }
    if (this.#sink === undefined) this.#begin(chunk);
    else if (chunk.message) this.#damaged("a second message in a snapshot stream");
    else this.#write(chunk.data);
  }

  #damaged(problem: string): void {
    this.deps.counters.dropped.malformed++;
    this.end(invalidArgument(problem));
  }

  #begin({ message, data }: raft_serverpb.SnapshotChunk): void {
    if (!message) {
      this.#damaged("no raft message in the first chunk");
      return;
    }
    const decoded = decodeRaftMessage(raft_serverpb.RaftMessage.encode(message).finish());
    if (typeof decoded === "string" || decoded.message?.type !== MessageType.Snapshot) {
      this.#damaged("the first chunk does not announce a snapshot");
      return;
    }
    if (decoded.toPeer.storeId !== this.own.storeId) {
      this.deps.counters.dropped.mismatch_store_id++;
      this.end(storeNotMatch(decoded.toPeer.storeId, this.own));
      return;
    }
    this.#message = decoded;
    const sink = this.deps.snapshots.receive(decoded);
    if (typeof sink === "string") {
      this.end(resourceExhausted(sink));
      return;
    }
    this.#sink = sink;
    if (data.length > 0) this.#write(data);
  }

  /** Hands on one chunk when the disk keeps up; nothing is read meanwhile. */
  #write(data: Uint8Array): void {
    const { call } = this;
    call.pause();
    this.#isWriting = true;
    this.#sink?.ready(() => {
      if (this.#isOver) return;
      this.#isWriting = false;
      const problem = this.#sink?.write(data);
      if (problem !== undefined) this.end(DAMAGED(problem));
      else if (this.#hasEnded) this.#whole();
      else call.resume();
    });
  }

  /**
   * No chunk follows. A stream that its sender cuts ends like a whole one, some milliseconds before
   * grpc-js says that it was cancelled: the sink tells them apart.
   */
  #whole(): void {
    if (this.#isOver) return;
    this.#hasEnded = true;
    // Node tells the end right behind the last chunk, also of a stream that was paused at it.
    if (this.#isWriting) return;
    if (this.#sink === undefined) {
      this.#damaged("the stream ended before its first chunk");
      return;
    }
    this.#watch();
    this.#sink.finish((problem) => {
      if (this.#isOver) return;
      if (problem !== undefined) {
        this.end(DAMAGED(problem));
        return;
      }
      this.deps.events.onRaftMessage(this.#message as RaftMessage);
      this.end(null);
    });
  }
}
