/**
 * One BatchCommands stream: frames that wait for a turn, answers that wait for one, and the bounds
 * that decide whether it is read. Not here: what the frames mean (batch_turn.ts).
 *
 * It drives the call below grpc-js's stream objects: `sendMessage` copies the bytes before it
 * returns, so a view into linear memory may be given.
 */
import type { ServerInterceptingCallInterface } from "@grpc/grpc-js";
import { assert } from "../base/index.js";
import { type GrpcStatus, OK } from "./grpc_status.js";

/** An answer that was computed outside of a turn. */
export interface Completion {
  readonly idLow: number;
  readonly idHigh: number;
  readonly cmd: number;
  /** The encoded response message of the command; undefined = a Response without a cmd. */
  readonly body: Uint8Array | undefined;
}

/** What a stream tells its service. */
export interface StreamEvents {
  /** The stream has frames or answers for the next turn. */
  wake(stream: BatchStream): void;
  /** Response bytes left the process; the stream may be readable again. */
  drained(stream: BatchStream): void;
  closed(stream: BatchStream): void;
}

export class BatchStream {
  readonly #call: ServerInterceptingCallInterface;
  readonly #events: StreamEvents;
  /** Frames in order of arrival; those before #head are done. */
  #frames: Buffer[] = [];
  #head = 0;
  #reading = false;
  #halfClosed = false;
  #closed = false;
  #finishing: GrpcStatus | undefined;
  #pendingBytes = 0;
  #inflight = 0;
  #buffered = 0;
  /** Answers for the next turn, in order of completion. */
  completions: Completion[] = [];
  /** Answers for the next turn that lie in blocks (batch_blocks.ts). */
  blockAnswers = 0;
  /** Dense index in the turn that runs now. */
  turnIndex = 0;
  /** Whether the next turn has this stream in its list. */
  awake = false;

  constructor(call: ServerInterceptingCallInterface, events: StreamEvents) {
    this.#call = call;
    this.#events = events;
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  /** Requests without an answer. */
  get inflight(): number {
    return this.#inflight;
  }

  /** Response bytes that were given to the connection and have not left yet. */
  get buffered(): number {
    return this.#buffered;
  }

  /** Bytes of frames that wait for a turn. */
  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  /** Whether answers wait for the next turn. */
  get hasAnswers(): boolean {
    return this.completions.length > 0 || this.blockAnswers > 0;
  }

  /** Takes the call over; `peer` ends with `closed`. */
  open(): void {
    this.#call.start({
      onReceiveMetadata: () => this.#events.drained(this),
      onReceiveMessage: (message: Buffer) => this.#onFrame(message),
      onReceiveHalfClose: () => {
        this.#reading = false;
        this.#halfClosed = true;
        this.#endIfIdle();
      },
      onCancel: () => this.#close(),
    });
  }

  /** Asks for the next message unless one is on its way or the stream takes none. */
  read(): void {
    if (this.#reading || this.#halfClosed || this.#closed || this.#finishing !== undefined) return;
    this.#reading = true;
    this.#call.startRead();
  }

  /** The oldest frame that is not done. */
  peek(offset: number): Buffer | undefined {
    return this.#frames[this.#head + offset];
  }

  /** Marks the oldest frame as done; `requests` of it want an answer. */
  take(requests: number): void {
    const frame = this.#frames[this.#head];
    assert(frame !== undefined, "a frame is taken once");
    this.#pendingBytes -= frame.length;
    this.#head++;
    if (this.#head === this.#frames.length) {
      this.#frames = [];
      this.#head = 0;
    }
    this.#inflight += requests;
  }

  /** Sends one message, whose bytes are copied before this returns. */
  send(message: Buffer, responses: number): void {
    this.#inflight -= responses;
    assert(this.#inflight >= 0, "each request is answered once");
    if (this.#closed) return;
    const { length } = message;
    this.#buffered += length;
    this.#call.sendMessage(message, () => {
      this.#buffered -= length;
      this.#events.drained(this);
    });
  }

  /** Drops `requests` answers of a stream that is closed. */
  drop(requests: number): void {
    this.#inflight -= requests;
  }

  /** Adds an answer and wakes the stream. */
  complete(completion: Completion): void {
    this.completions.push(completion);
    this.#events.wake(this);
  }

  /** Ends the call at once; answers that are still missing are dropped. */
  fail(status: GrpcStatus): void {
    if (this.#closed) return;
    this.#call.sendStatus(status);
    this.#close();
  }

  /** Reads no more and ends with `status` when all requests are answered. */
  finish(status: GrpcStatus): void {
    this.#finishing ??= status;
    this.#endIfIdle();
  }

  /** Called after each turn that had this stream. */
  afterTurn(): void {
    this.#endIfIdle();
  }

  #onFrame(message: Buffer): void {
    this.#reading = false;
    if (this.#closed) return;
    this.#frames.push(message);
    this.#pendingBytes += message.length;
    this.#events.wake(this);
    this.#events.drained(this);
  }

  #endIfIdle(): void {
    const status = this.#finishing ?? (this.#halfClosed ? OK : undefined);
    if (status === undefined || this.#closed) return;
    if (this.#inflight > 0 || this.#head < this.#frames.length) return;
    this.#call.sendStatus(status);
    this.#close();
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#frames = [];
    this.#head = 0;
    this.#pendingBytes = 0;
    this.#events.closed(this);
  }
}
