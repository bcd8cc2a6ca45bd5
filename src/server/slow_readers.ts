/**
 * Response bytes that the client of a connection does not take. One response may be hundreds of
 * MiB and a connection has a thousand streams, so that a client which asks and never reads could
 * fill the heap: above a bound its requests are refused, and without progress it is closed.
 * Not here: the bound of one BatchCommands stream (batch_commands.ts). Not hot: small responses
 * are not counted, the number of streams bounds them.
 */
import type { Socket } from "node:net";
import type { Clock, Logger } from "../base/index.js";
import type { ServerOptions } from "./options.js";

/** Responses below this many bytes are not counted. */
export const COUNTED_MIN_BYTES = 16 * 1024;
/** Bytes that a connection must take in `slowReaderTimeoutMs` to count as one that reads. */
const PROGRESS_MIN_BYTES = 64 * 1024;

/** The unread responses of one connection. */
export interface Unread {
  readonly socket: Socket;
  /** Bytes handed to HTTP/2 that have not left. */
  bytes: number;
}

interface Watch {
  readonly writtenBytes: number;
  readonly deadlineMs: number;
}

type Options = Pick<
  ServerOptions,
  "streamBufferedMaxBytes" | "connectionBufferedMaxBytes" | "slowReaderTimeoutMs"
>;

export class SlowReaders {
  /** Connections above `streamBufferedMaxBytes`. */
  readonly #watched = new Map<Unread, Watch>();
  #timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly options: Options,
    private readonly clock: Clock,
    private readonly logger: Logger,
  ) {}

  /** Whether every connection reads, which is the rule. */
  get isIdle(): boolean {
    return this.#watched.size === 0;
  }

  /** Returns whether a connection may not ask for more before it reads. */
  isOver(unread: Unread): boolean {
    return unread.bytes > this.options.connectionBufferedMaxBytes;
  }

  /** Counts a response that was handed over. */
  add(unread: Unread, bytes: number): void {
    unread.bytes += bytes;
    if (unread.bytes <= this.options.streamBufferedMaxBytes || this.#watched.has(unread)) return;
    this.#watch(unread);
    this.#arm();
  }

  /** Counts a response that has left, or whose stream is gone. */
  remove(unread: Unread, bytes: number): void {
    unread.bytes -= bytes;
    if (unread.bytes <= this.options.streamBufferedMaxBytes) this.#watched.delete(unread);
  }

  forget(unread: Unread): void {
    this.#watched.delete(unread);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#watched.clear();
  }

  #watch(unread: Unread): void {
    this.#watched.set(unread, {
      writtenBytes: unread.socket.bytesWritten,
      deadlineMs: this.clock.monotonicMs() + this.options.slowReaderTimeoutMs,
    });
  }

  #arm(): void {
    if (this.#timer !== undefined) return;
    // Half a period: a connection is closed at most that much late.
    this.#timer = setInterval(() => this.#check(), this.options.slowReaderTimeoutMs / 2);
    this.#timer.unref();
  }

  #check(): void {
    const now = this.clock.monotonicMs();
    for (const [unread, { writtenBytes, deadlineMs }] of this.#watched) {
      if (deadlineMs > now) continue;
      const { socket } = unread;
      if (socket.bytesWritten - writtenBytes >= PROGRESS_MIN_BYTES) {
        this.#watch(unread);
        continue;
      }
      this.#watched.delete(unread);
      this.logger.warn("connection closed: its client does not read responses", {
        peer: `${socket.remoteAddress}:${socket.remotePort}`,
        buffered_bytes: unread.bytes,
      });
      socket.destroy();
    }
    if (this.#watched.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
