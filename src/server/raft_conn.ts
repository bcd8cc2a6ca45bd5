/**
 * One connection to a store: its queue, its stream, its life from the address to the next attempt.
 *
 *   idle ──a message──> resolving ──> open ──the stream ends──> backoff ──> resolving or idle
 *                           └──PD gave the store up──> stopped, for ever
 *
 * Messages wait in one of three places, in this order: frames that are encoded, the backlog, and the
 * client's round. Invariant: while the backlog is not empty no newer message of this connection is
 * in a round. Not here: rounds (raft_client.ts), gRPC (raft_channel.ts).
 */
import type { Logger, Timers } from "../base/index.js";
import {
  encodeRaftMessage,
  type Frame,
  type FrameLimits,
  type MessageCodec,
  type RaftEvents,
  type RaftMessage,
} from "../raftstore/index.js";
import type { OpenRaftChannel, OutStream, RaftChannel, StreamEnd } from "./raft_channel.js";
import type { RaftCounters, RaftObserver } from "./raft_metrics.js";
import type { RaftTransportOptions } from "./raft_options.js";
import type { Resolved, StoreResolver } from "./resolve.js";

const STATUS_UNIMPLEMENTED = 12;

export interface ConnDeps {
  readonly codec: MessageCodec;
  readonly events: RaftEvents;
  readonly resolver: StoreResolver;
  readonly connect: OpenRaftChannel;
  readonly timers: Timers;
  readonly logger: Logger;
  readonly counters: RaftCounters;
  readonly observer: RaftObserver;
}

type State = "idle" | "resolving" | "open" | "backoff" | "stopped";

/** Bytes that a message holds, about. */
function estimate({ message }: RaftMessage): number {
  let bytes = 64;
  for (const entry of message?.entries ?? []) bytes += entry.data.length + entry.context.length;
  return bytes;
}

export class RaftConn {
  #state: State = "idle";
  #channel: RaftChannel | undefined;
  #stream: OutStream | undefined;
  /** Encoded, not handed to the stream. Empty unless it is congested. */
  #frames: Frame[] = [];
  #backlog: RaftMessage[] = [];
  /** Handed to the stream, by gRPC message, but not sent. */
  #flying: (readonly RaftMessage[])[] = [];
  /** Messages that wait, wherever, and their bytes; without those that fly. */
  #waiting = 0;
  #waitingBytes = 0;
  /** Of these, in the client's round. */
  #inRound = 0;
  #isCongested = false;
  /** One message a gRPC message: the other side does not know BatchRaft. */
  #isSingle = false;
  #backoffMs: number;
  #cancelTimer: () => void = () => {};
  /** The connection was up once since the last failure. */
  #isUp = false;

  constructor(
    readonly storeId: number,
    private readonly options: RaftTransportOptions,
    private readonly limits: FrameLimits,
    private readonly deps: ConnDeps,
  ) {
    this.#backoffMs = options.reconnectBackoffMs;
  }

  /** Messages of this connection that are in the client's round. */
  get inRound(): number {
    return this.#inRound;
  }

  /**
   * Takes a message. "round": the caller adds it to its round; "kept": it waits here; "lost": it was
   * reported.
   */
  take(message: RaftMessage): "round" | "kept" | "lost" {
    const { raftClientQueueSize, raftClientQueueMaxBytes } = this.options;
    const { lost } = this.deps.counters;
    if (this.#state === "stopped") {
      lost.tombstone++;
      return this.#lose(message);
    }
    if (this.#waiting >= raftClientQueueSize || this.#waitingBytes >= raftClientQueueMaxBytes) {
      lost.full++;
      return this.#lose(message);
    }
    this.#waiting++;
    this.#waitingBytes += estimate(message);
    if (this.#inRound > 0 || this.#takesFrames) {
      this.#inRound++;
      return "round";
    }
    this.#backlog.push(message);
    if (this.#state === "idle") this.#resolve();
    return "kept";
  }

  /** Takes a frame of the round's messages. */
  deliver(frame: Frame): void {
    this.#inRound -= frame.messages.length;
    if (this.#state === "stopped") {
      this.#forget(frame.messages);
      for (const message of frame.messages) this.#lose(message);
      this.deps.counters.lost.tombstone += frame.messages.length;
    } else if (this.#state === "open" && !this.#isSingle && this.#backlog.length === 0) {
      this.#frames.push(frame);
      this.#pump();
    } else {
      for (const message of frame.messages) this.#backlog.push(message);
      if (this.#state === "idle") this.#resolve();
      else this.#pump();
    }
  }

  /** Ends for ever, without a report. */
  close(): void {
    this.#cancelTimer();
    this.#stream?.cancel();
    this.#hangUp();
    this.#state = "stopped";
    this.#takeQueue();
  }

  get #takesFrames(): boolean {
    const hasRoom = this.#state === "open" && !this.#isCongested;
    return hasRoom && this.#frames.length === 0 && this.#backlog.length === 0;
  }

  #lose(message: RaftMessage): "lost" {
    this.deps.events.onUnreachable(message.regionId, message.toPeer.id);
    return "lost";
  }

  #resolve(): void {
    this.#state = "resolving";
    void this.deps.resolver.resolve(this.storeId).then((resolved) => this.#onResolved(resolved));
  }

  #onResolved(resolved: Resolved): void {
    if (this.#state !== "resolving") return;
    if (resolved === "removed") {
      this.deps.logger.info("store is removed, nothing is sent to it", { store_id: this.storeId });
      this.#state = "stopped";
      this.deps.counters.lost.tombstone += this.#giveUpQueue();
      return;
    }
    if (resolved === "failed") {
      this.#fail({ code: -1, details: "PD does not tell its address" });
      return;
    }
    this.#channel = this.deps.connect(resolved.address);
    this.#open();
    // A host that drops packets answers nothing: the attempt ends when the next one would begin.
    this.#cancelTimer = this.deps.timers.after(this.options.maxBackoffMs, () => {
      if (!this.#isUp) this.#abandon();
    });
  }

  #abandon(): void {
    this.#stream?.cancel();
    this.#fail({ code: -1, details: "no connection in time" });
  }

  #open(): void {
    this.#state = "open";
    this.#isCongested = false;
    this.#stream = this.#channel?.open(this.#isSingle ? "Raft" : "BatchRaft", {
      onSent: () => this.#onSent(),
      onDrain: () => {
        this.#isCongested = false;
        this.#pump();
      },
      onEnd: (end) => this.#onEnd(end),
    });
    this.#pump();
  }

  #onSent(): void {
    this.#flying.shift();
    this.#setUp();
  }

  #setUp(): void {
    if (this.#isUp) return;
    this.#isUp = true;
    this.#backoffMs = this.options.reconnectBackoffMs;
    this.#cancelTimer();
  }

  /** Hands to the stream what it takes. */
  #pump(): void {
    while (this.#state === "open" && !this.#isCongested) {
      const frame = this.#frames.shift();
      if (frame !== undefined) this.#write(frame.bytes, frame.messages);
      else if (this.#backlog.length === 0) return;
      else if (this.#isSingle) this.#writeSingle();
      else this.#encodeBacklog();
    }
  }

  /** Encodes the next part of the backlog. */
  #encodeBacklog(): void {
    const messages = this.#backlog.splice(0, this.limits.messagesMax);
    const targets = messages.map(() => 0);
    for (const frame of this.deps.codec.encodeFrames(messages, targets, 1, this.limits)) {
      this.deps.observer.onFrame(frame.messages.length);
      this.#frames.push(frame);
    }
  }

  #writeSingle(): void {
    const message = this.#backlog.shift() as RaftMessage;
    this.#write(encodeRaftMessage(message), [message]);
  }

  #write(bytes: Uint8Array, messages: readonly RaftMessage[]): void {
    const { counters } = this.deps;
    counters.frames++;
    counters.sent += messages.length;
    this.#forget(messages);
    this.#flying.push(messages);
    this.#isCongested = this.#stream?.write(bytes) === false;
  }

  #forget(messages: readonly RaftMessage[]): void {
    this.#waiting -= messages.length;
    for (const message of messages) this.#waitingBytes -= estimate(message);
  }

  #onEnd(end: StreamEnd): void {
    if (end.code !== STATUS_UNIMPLEMENTED || this.#isSingle) {
      this.#fail(end);
      return;
    }
    this.#isSingle = true;
    this.#setUp();
    const unsent = this.#takeQueue();
    this.#waiting += unsent.length;
    for (const message of unsent) this.#waitingBytes += estimate(message);
    this.#backlog = unsent;
    this.#open();
  }

  #hangUp(): void {
    this.#channel?.close();
    this.#channel = undefined;
    this.#stream = undefined;
    this.#isSingle = false;
    this.#isUp = false;
  }

  #fail(end: StreamEnd): void {
    const { events, resolver, counters, logger, timers } = this.deps;
    this.#cancelTimer();
    this.#hangUp();
    this.#state = "backoff";
    resolver.forget(this.storeId);
    logger.warn("connection to a store failed", {
      store_id: this.storeId,
      code: end.code,
      reason: end.details,
      retry_in_ms: this.#backoffMs,
    });
    counters.lost.unreachable += this.#giveUpQueue();
    events.onStoreUnreachable(this.storeId);
    this.#cancelTimer = timers.after(this.#backoffMs, () => this.#retry());
    this.#backoffMs = Math.min(2 * this.#backoffMs, this.options.maxBackoffMs);
  }

  #retry(): void {
    this.#state = "idle";
    if (this.#backlog.length === 0) return;
    this.deps.counters.reconnects++;
    this.#resolve();
  }

  /** Takes all messages that have not left, oldest first; none of them waits any more. */
  #takeQueue(): RaftMessage[] {
    const waiting = [...this.#frames.flatMap((frame) => frame.messages), ...this.#backlog];
    const messages = [...this.#flying.flat(), ...waiting];
    this.#forget(waiting);
    this.#flying = [];
    this.#frames = [];
    this.#backlog = [];
    return messages;
  }

  /** Reports what has not left as lost; returns how many. */
  #giveUpQueue(): number {
    const messages = this.#takeQueue();
    for (const message of messages) this.#lose(message);
    return messages.length;
  }
}
