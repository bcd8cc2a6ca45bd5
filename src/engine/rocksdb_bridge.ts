/**
 * The main thread's end of the worker that owns the npm RocksDB handle: synchronous reads through
 * shared memory and Atomics.wait, everything else as messages with promises. The worker never
 * blocks its event loop, so a write under way and a read cannot wait for each other.
 *
 * Every wait has a deadline. A missed one, a dead worker or a broken frame is fatal: the shared
 * area is in an unknown state, so every later call fails with the first error. Hot path.
 */
import { Worker } from "node:worker_threads";
import {
  assert,
  ERROR_CODES,
  type ErrorCode,
  errorMessage,
  TikvError,
  utf8Decode,
} from "../base/index.js";
import { bindingFile, loadBinding } from "./rocksdb_binary.js";
import {
  CONTROL_BYTES,
  CONTROL_WORDS,
  type FromWorker,
  STATUS_DEAD,
  STATUS_ERROR,
  STATUS_FRAME,
  STATUS_MORE,
  type ToWorker,
  TURN_MAIN,
  TURN_WORKER,
  WAKE,
  WORD_PIECE,
  WORD_STATUS,
  WORD_TOTAL,
  WORD_TURN,
  type WorkerStart,
} from "./rocksdb_protocol.js";

export interface BridgeOptions {
  /** Size of the data area, bytes. */
  readonly areaBytes: number;
  /** Longest wait for a read, milliseconds. */
  readonly readDeadlineMs: number;
  /** Longest wait for a write, milliseconds; RocksDB may stall writes for compaction. */
  readonly writeDeadlineMs: number;
  /** Called once, with the error that stopped the bridge. */
  readonly onFatal: (error: TikvError) => void;
}

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout | undefined;
}

type Awaited = Extract<ToWorker, { id: number }>;
/** A message without its id, which the bridge adds. */
export type Call = Awaited extends infer M
  ? M extends { id: number }
    ? Omit<M, "id">
    : never
  : never;

export class RocksdbBridge {
  private readonly worker: Worker;
  private readonly options: BridgeOptions;
  private readonly control: Int32Array;
  private readonly data: Uint8Array;
  private readonly waiters = new Map<number, Waiter>();
  private nextId = 1;
  private fatal: TikvError | undefined;
  private closed = false;

  /**
   * `workerUrl` names the program of the worker; tests give others. Throws
   * RUTILE:Engine:Unavailable when the binding has no build for this platform.
   */
  constructor(workerUrl: URL, options: BridgeOptions) {
    const binding = bindingFile();
    // On this thread too, where nothing uses it. The binding registers itself when the library is
    // first mapped, and Node forgets that when the last thread that loaded it ends: without this, a
    // directory could be opened once in the life of a process.
    loadBinding(binding);
    this.options = options;
    const shared = new SharedArrayBuffer(CONTROL_BYTES + options.areaBytes);
    this.control = new Int32Array(shared, 0, CONTROL_WORDS);
    this.data = new Uint8Array(shared, CONTROL_BYTES);
    const start: WorkerStart = { shared, binding };
    this.worker = new Worker(workerUrl, { workerData: start });
    // An idle engine does not keep the process alive; a call under way does.
    this.worker.unref();
    this.worker.on("message", (answer: FromWorker) => this.onAnswer(answer));
    this.worker.on("error", (error: unknown) => this.onGone(errorMessage(error)));
    this.worker.on("exit", (code: number) => {
      if (!this.closed) this.onGone(`it exited with code ${code}`);
    });
  }

  /**
   * Sends `request` and blocks until the answer is here. The answer is a view of shared memory or
   * of a private copy, valid until the next call. Throws the worker's TikvError, or the fatal one.
   */
  read(request: Uint8Array): Uint8Array {
    if (this.fatal !== undefined) throw this.fatal;
    assert(Atomics.load(this.control, WORD_TURN) === TURN_MAIN, "one read at a time");
    const deadline = performance.now() + this.options.readDeadlineMs;
    this.send(request, deadline);
    const total = (this.control[WORD_TOTAL] as number) >>> 0;
    const failed = this.control[WORD_STATUS] === STATUS_ERROR;
    const answer = this.receive(total, deadline);
    if (failed) throw decodeError(answer);
    return answer;
  }

  /** Sends a message and resolves with its answer; `deadlineMs` 0 = none. */
  call(message: Call, transfer: readonly ArrayBuffer[], deadlineMs: number): Promise<void> {
    if (this.fatal !== undefined) return Promise.reject(this.fatal);
    const id = this.nextId++;
    return new Promise((resolve, reject) => {
      const timer =
        deadlineMs === 0
          ? undefined
          : setTimeout(() => this.onLate(id, message.kind, deadlineMs), deadlineMs);
      if (this.waiters.size === 0) this.worker.ref();
      this.waiters.set(id, { resolve, reject, timer });
      this.worker.postMessage({ ...message, id }, transfer);
    });
  }

  /** Sends a write and resolves when it is applied, and synced if asked. */
  write(representation: Uint8Array, sync: boolean, pin: number): Promise<void> {
    // The copy is handed over; a clone of the view would copy its whole buffer.
    const copy = representation.slice();
    const message: Call = { kind: "write", representation: copy, sync, pin };
    return this.call(message, [copy.buffer as ArrayBuffer], this.options.writeDeadlineMs);
  }

  /** Sends a message that has no answer. */
  post(message: Extract<ToWorker, { kind: "unpin" }>): void {
    if (this.fatal === undefined && !this.closed) this.worker.postMessage(message);
  }

  /** Closes the database and ends the worker. */
  async close(): Promise<void> {
    if (this.fatal === undefined) await this.call({ kind: "close" }, [], 0);
    this.closed = true;
    await this.worker.terminate();
  }

  /** Ends the worker of a database that did not open. */
  async abandon(): Promise<void> {
    this.closed = true;
    await this.worker.terminate();
  }

  private send(frame: Uint8Array, deadline: number): void {
    this.control[WORD_TOTAL] = frame.length;
    for (let sent = 0; ; ) {
      const length = Math.min(frame.length - sent, this.data.length);
      this.data.set(length === frame.length ? frame : frame.subarray(sent, sent + length));
      this.control[WORD_PIECE] = length;
      this.control[WORD_STATUS] = STATUS_FRAME;
      sent += length;
      this.handOver(deadline);
      if (sent === frame.length) return;
      assert(this.control[WORD_STATUS] === STATUS_MORE, "the worker asks for the next piece");
    }
  }

  private receive(total: number, deadline: number): Uint8Array {
    let piece = this.control[WORD_PIECE] as number;
    if (piece === total) return this.data.subarray(0, total);
    const whole = new Uint8Array(total);
    for (let received = 0; ; ) {
      whole.set(this.data.subarray(0, piece), received);
      received += piece;
      if (received === total) return whole;
      this.control[WORD_STATUS] = STATUS_MORE;
      this.handOver(deadline);
      piece = this.control[WORD_PIECE] as number;
      assert(piece > 0 && received + piece <= total, "the pieces add up to the total");
    }
  }

  /** Gives the area to the worker and waits until it comes back. */
  private handOver(deadline: number): void {
    const { control } = this;
    let left = deadline - performance.now();
    let graces = 1;
    Atomics.store(control, WORD_TURN, TURN_WORKER);
    this.worker.postMessage(WAKE);
    while (Atomics.load(control, WORD_TURN) === TURN_WORKER) {
      if (Atomics.wait(control, WORD_TURN, TURN_WORKER, Math.max(0, left)) !== "timed-out")
        continue;
      if (graces-- === 0) throw this.fail(this.missed("a read", this.options.readDeadlineMs));
      left = graceMs(this.options.readDeadlineMs);
    }
    if (control[WORD_STATUS] === STATUS_DEAD) {
      const reason = utf8Decode(this.data.slice(0, control[WORD_PIECE] as number));
      throw this.fail(gone(reason));
    }
  }

  /**
   * A process that was stopped (SIGSTOP, a suspended machine) meets its deadlines when it goes on,
   * with the answers still in the queue; so a missed deadline counts after a grace.
   */
  private onLate(id: number, kind: string, deadlineMs: number): void {
    const grace = setTimeout(() => {
      if (this.waiters.has(id)) this.fail(this.missed(`a ${kind}`, deadlineMs));
    }, graceMs(deadlineMs));
    grace.unref();
  }

  private onAnswer(answer: FromWorker): void {
    const waiter = this.waiters.get(answer.id);
    if (waiter === undefined) return;
    this.waiters.delete(answer.id);
    if (this.waiters.size === 0) this.worker.unref();
    clearTimeout(waiter.timer);
    if (answer.error === undefined) waiter.resolve();
    else waiter.reject(new TikvError(knownCode(answer.error.code), answer.error.message));
  }

  private onGone(reason: string): void {
    this.fail(gone(reason));
  }

  private missed(what: string, limitMs: number): TikvError {
    const text = `the RocksDB worker did not answer ${what} within ${limitMs} ms`;
    return new TikvError("RUTILE:Engine:Deadline", text);
  }

  /** Stops the bridge; returns the error that every caller gets from now on. */
  private fail(error: TikvError): TikvError {
    if (this.fatal !== undefined) return this.fatal;
    this.fatal = error;
    for (const waiter of this.waiters.values()) {
      clearTimeout(waiter.timer);
      waiter.reject(error);
    }
    this.waiters.clear();
    this.options.onFatal(error);
    return error;
  }
}

/** Extra wait after a missed deadline; see onLate. */
function graceMs(deadlineMs: number): number {
  return Math.min(1000, deadlineMs);
}

function gone(reason: string): TikvError {
  return new TikvError("KV:Engine:Engine", `the RocksDB worker is gone: ${reason}`);
}

function decodeError(frame: Uint8Array): TikvError {
  const text = utf8Decode(frame.slice());
  const end = text.indexOf("\n");
  return new TikvError(knownCode(text.slice(0, end)), text.slice(end + 1));
}

function knownCode(code: string): ErrorCode {
  return code in ERROR_CODES ? (code as ErrorCode) : "KV:Engine:Engine";
}
