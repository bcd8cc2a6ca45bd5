/**
 * tikvpb.Tikv's Raft and BatchRaft: streams from other stores. Frames of all streams that arrived in
 * one poll phase of the event loop are decoded together in the check phase behind it. Whether a
 * region is here is raftstore's business; that a message is for this store of this cluster is
 * checked here, because the address may have been another store's. The answer, Done, comes at the
 * end only. Source: tikv src/server/service/kv.rs.
 */
import type { Metadata, ServerReadableStream, UntypedServiceImplementation } from "@grpc/grpc-js";
import { status } from "@grpc/grpc-js";
import type { Logger } from "../base/index.js";
import type { DecodedFrame, MessageCodec, RaftEvents } from "../raftstore/index.js";
import { type GrpcStatus, invalidArgument, SERVER_DRAINING } from "./grpc_status.js";
import { type RaftSource, SOURCE_CLUSTER_ID, SOURCE_STORE_ID } from "./raft_channel.js";
import type { RaftCounters } from "./raft_metrics.js";

/** Bytes of frames that wait for a turn; above, their streams are not read. */
const PENDING_MAX_BYTES = 32 * 1024 * 1024;
const DONE = Buffer.alloc(0);

/** Ends a call: with a status, or with the answer Done. */
export type Respond = (error: GrpcStatus | null, answer?: Buffer) => void;

/** The part of a grpc-js call that is used here. */
export type RaftCall = Pick<
  ServerReadableStream<Buffer, Buffer>,
  "on" | "pause" | "resume" | "getPeer" | "metadata"
>;

export interface RaftServerDeps {
  readonly codec: MessageCodec;
  readonly events: Pick<RaftEvents, "onRaftMessage">;
  readonly logger: Logger;
  readonly counters: RaftCounters;
  /** Runs a function behind the current poll phase: setImmediate. */
  readonly defer: (turn: () => void) => void;
}

/** Returns the status that refuses a stream of another cluster; undefined: it may go on. */
export function refuseCluster(metadata: Metadata, own: RaftSource): GrpcStatus | undefined {
  const [given] = metadata.get(SOURCE_CLUSTER_ID);
  if (given === undefined || String(given) === String(own.clusterId)) return undefined;
  return {
    code: status.FAILED_PRECONDITION,
    details: `mismatch cluster id, need ${own.clusterId} but got ${String(given)}`,
  };
}

/** Returns the status for a message to another store, in TiKV's words. */
export function storeNotMatch(toStoreId: number, own: RaftSource): GrpcStatus {
  return {
    code: status.FAILED_PRECONDITION,
    details: `to store id ${toStoreId}, mine ${own.storeId}`,
  };
}

interface Stream {
  readonly call: RaftCall;
  readonly respond: Respond;
  isOver: boolean;
  /** It ended with a status: what it still has is not taken. */
  isRefused: boolean;
  isPaused: boolean;
}

interface Pending {
  readonly stream: Stream;
  readonly frame: Uint8Array;
}

/** A frame around one raft_serverpb.RaftMessage. */
function frameOf(message: Buffer): Uint8Array {
  const head = [0x0a];
  let rest = message.length;
  for (; rest >= 0x80; rest >>>= 7) head.push((rest & 0x7f) | 0x80);
  head.push(rest);
  return Buffer.concat([Uint8Array.from(head), message]);
}

export class RaftServer {
  readonly #streams = new Set<Stream>();
  #pending: Pending[] = [];
  #pendingBytes = 0;
  #isScheduled = false;
  #isStopped = false;

  constructor(
    private readonly own: RaftSource,
    private readonly deps: RaftServerDeps,
  ) {}

  /** The handlers of the two methods, for raw bytes. */
  handlers(): UntypedServiceImplementation {
    return {
      BatchRaft: (call: RaftCall, respond: Respond) => this.open(call, respond, false),
      Raft: (call: RaftCall, respond: Respond) => this.open(call, respond, true),
    };
  }

  /** Serves a stream of frames, or of single messages. */
  open(call: RaftCall, respond: Respond, isSingle: boolean): void {
    const stream: Stream = { call, respond, isOver: false, isRefused: false, isPaused: false };
    this.#streams.add(stream);
    const refused = refuseCluster(call.metadata, this.own);
    if (refused !== undefined) this.deps.counters.dropped.mismatch_cluster++;
    if (refused !== undefined || this.#isStopped) {
      this.#end(stream, refused ?? SERVER_DRAINING);
      return;
    }
    call.on("data", (bytes: Buffer) => this.#take(stream, isSingle ? frameOf(bytes) : bytes));
    call.on("end", () => {
      // What came before the end is taken in its turn.
      this.deps.defer(() => this.#end(stream, null));
    });
    call.on("cancelled", () => this.#forget(stream));
    call.on("error", () => this.#forget(stream));
  }

  /** Ends all streams and takes no more. */
  stop(): void {
    this.#isStopped = true;
    for (const stream of [...this.#streams]) this.#end(stream, SERVER_DRAINING);
  }

  #take(stream: Stream, frame: Uint8Array): void {
    if (stream.isOver) return;
    this.#pending.push({ stream, frame });
    this.#pendingBytes += frame.length;
    if (this.#pendingBytes > PENDING_MAX_BYTES) {
      stream.isPaused = true;
      stream.call.pause();
    }
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    this.deps.defer(() => this.#turn());
  }

  /** Decodes and hands on all that has come. */
  #turn(): void {
    const pending = this.#pending;
    this.#pending = [];
    this.#pendingBytes = 0;
    this.#isScheduled = false;
    const decoded = this.deps.codec.decodeFrames(pending.map(({ frame }) => frame));
    for (let i = 0; i < pending.length; i++) {
      this.#deliver((pending[i] as Pending).stream, decoded[i] as DecodedFrame);
    }
    for (const { stream } of pending) {
      if (!stream.isPaused) continue;
      stream.isPaused = false;
      stream.call.resume();
    }
  }

  #deliver(stream: Stream, frame: DecodedFrame): void {
    const { counters, events } = this.deps;
    // What came on a stream before it was cut counts.
    if (stream.isRefused) return;
    if (frame === "malformed") {
      counters.dropped.malformed++;
      this.#end(stream, invalidArgument("cannot decode the raft messages"));
      return;
    }
    for (const message of frame) {
      if (message === "refused") {
        counters.dropped.refused++;
        continue;
      }
      if (message.toPeer.storeId !== this.own.storeId) {
        counters.dropped.mismatch_store_id++;
        this.#end(stream, storeNotMatch(message.toPeer.storeId, this.own));
        return;
      }
      counters.received++;
      events.onRaftMessage(message);
    }
  }

  #end(stream: Stream, refused: GrpcStatus | null): void {
    if (stream.isOver) return;
    this.#forget(stream);
    if (refused !== null) {
      stream.isRefused = true;
      if (refused !== SERVER_DRAINING) this.#log(stream, refused);
      // What still comes is read and thrown away until grpc-js has closed the call.
      stream.call.resume();
      stream.respond(refused);
    } else stream.respond(null, DONE);
  }

  #log({ call }: Stream, refused: GrpcStatus): void {
    this.deps.logger.warn("stream of raft messages refused", {
      peer: call.getPeer(),
      from_store_id: String(call.metadata.get(SOURCE_STORE_ID)[0] ?? ""),
      reason: refused.details,
    });
  }

  #forget(stream: Stream): void {
    stream.isOver = true;
    this.#streams.delete(stream);
  }
}
