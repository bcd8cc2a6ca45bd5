/**
 * The submission queue of every binding: one native write in flight; what is submitted meanwhile is
 * merged, in order, into the next one, which syncs if any part asks for it.
 *
 * It exists because asynchronous native writes run on a thread pool: of 3,000 rounds of three writes
 * to one key, submitted in order but not waited for, 43 ended with an older value.
 *
 * Not here: retries. A failed write or sync leaves the log in an unknown state, so the first error
 * is final. Hot path.
 */
import { assert, errorMessage, TikvError } from "../base/index.js";
import type { WriteOptions } from "./types.js";

/** Bytes before the records of a representation: u64 sequence, u32 count. */
const HEADER_BYTES = 12;
const COUNT_OFFSET = 8;
const GROUP_CAPACITY_MIN = 64 * 1024;
export interface WriteQueueLimits {
  /**
   * A group of this size is written before more is merged into it, so that a small write is not
   * held up by a copy of everything that waits.
   */
  readonly groupBytesMax: number;
  /** Bytes that may wait; more is refused with RUTILE:Engine:Busy (callers: ServerIsBusy). */
  readonly pendingBytesMax: number;
}

/** Guesses; `bytesWritten / writes` and the memory of a store under load would change them. */
export const WRITE_QUEUE_LIMITS: WriteQueueLimits = {
  groupBytesMax: 8 * 1024 * 1024,
  pendingBytesMax: 256 * 1024 * 1024,
};

/** What a binding gives to the queue. */
export interface WritePort {
  /**
   * Applies a representation of at least one record. `representation` is a view that stays
   * unchanged until the promise settles. Called again only after the promise settled.
   */
  apply(representation: Uint8Array, sync: boolean): Promise<void>;
  /** Syncs the log without writing a record. */
  syncLog(): Promise<void>;
}

export interface WriteQueueStats {
  readonly writes: number;
  readonly batches: number;
  readonly syncs: number;
  readonly bytesWritten: number;
}

/** Batches that go into one native write. */
class Group {
  private buffer: Uint8Array;
  private used = HEADER_BYTES;
  count = 0;
  batches = 0;
  sync = false;
  readonly settled: Promise<void>;
  resolve: () => void = unset;
  reject: (error: Error) => void = unset;

  constructor(buffer: Uint8Array) {
    this.buffer = buffer;
    this.settled = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    // Each waiter handles its own promise; a group without waiters must not end the process.
    this.settled.catch(() => {});
  }

  get sizeBytes(): number {
    return this.used;
  }

  append(representation: Uint8Array, count: number): void {
    const length = representation.length - HEADER_BYTES;
    if (this.used + length > this.buffer.length) this.grow(this.used + length);
    this.buffer.set(representation.subarray(HEADER_BYTES), this.used);
    this.used += length;
    this.count += count;
    this.batches++;
  }

  /** The buffer, for the next group; this one must be settled. */
  release(): Uint8Array {
    return this.buffer;
  }

  bytes(): Uint8Array {
    new DataView(this.buffer.buffer).setUint32(COUNT_OFFSET, this.count, true);
    return this.buffer.subarray(0, this.used);
  }

  private grow(needed: number): void {
    const larger = new Uint8Array(Math.max(needed, this.buffer.length * 2));
    larger.set(this.buffer.subarray(0, this.used));
    this.buffer = larger;
  }
}

function unset(): void {
  throw new Error("promise executor has not run");
}

/** Orders the writes of one engine. Invariant: at most one `port` call is under way. */
export class WriteQueue {
  private readonly port: WritePort;
  private readonly onFatal: (error: Error) => void;
  private readonly limits: WriteQueueLimits;
  private inFlight: Group | undefined;
  /** Groups that wait, oldest first; batches are added to the last one only. */
  private readonly waiting: Group[] = [];
  private pendingBytes = 0;
  /** The buffer of the last settled group. */
  private spare: Uint8Array | undefined;
  /** Whether a write was applied after the last sync. */
  private dirty = false;
  private fatal: Error | undefined;
  private closing = false;
  private writes = 0;
  private batches = 0;
  private syncs = 0;
  private bytesWritten = 0;

  /** `onFatal` is called once, with the first error of `port`. */
  constructor(
    port: WritePort,
    onFatal: (error: Error) => void,
    limits: WriteQueueLimits = WRITE_QUEUE_LIMITS,
  ) {
    this.port = port;
    this.onFatal = onFatal;
    this.limits = limits;
  }

  /**
   * Takes a copy of `representation` and resolves when it is applied, and synced if asked.
   * Batches take effect in the order of the calls. Errs with the first error of the port, with
   * RUTILE:Engine:Closed after `close`, with RUTILE:Engine:Busy (nothing taken) above the bound.
   */
  submit(representation: Uint8Array, options: WriteOptions): Promise<void> {
    const refusal = this.refusal(representation.length);
    if (refusal !== undefined) return Promise.reject(refusal);
    assert(representation.length >= HEADER_BYTES, "a batch representation has a header");
    const view = new DataView(
      representation.buffer,
      representation.byteOffset,
      representation.length,
    );
    const count = view.getUint32(COUNT_OFFSET, true);
    assert(count > 0 || representation.length === HEADER_BYTES, "an empty batch has no records");
    const group = this.groupFor(representation.length);
    group.append(representation, count);
    group.sync ||= options.sync;
    this.pendingBytes += representation.length;
    this.batches++;
    if (this.inFlight === undefined) this.start();
    return group.settled;
  }

  /** Resolves when everything submitted before is applied and synced. */
  sync(): Promise<void> {
    const refusal = this.refusal(0);
    if (refusal !== undefined) return Promise.reject(refusal);
    if (this.waiting.length === 0 && this.inFlight?.sync === true) return this.inFlight.settled;
    if (this.waiting.length === 0 && this.inFlight === undefined && !this.dirty) {
      return Promise.resolve();
    }
    const group = this.groupFor(0);
    group.sync = true;
    if (this.inFlight === undefined) this.start();
    return group.settled;
  }

  /** Syncs what was submitted; refuses everything after. Resolves also after a fatal error. */
  async close(): Promise<void> {
    if (this.fatal === undefined && !this.closing) {
      const last = this.sync();
      this.closing = true;
      await last.catch(() => {});
    }
    this.closing = true;
    while (this.inFlight !== undefined) await this.inFlight.settled.catch(() => {});
  }

  stats(): WriteQueueStats {
    return {
      writes: this.writes,
      batches: this.batches,
      syncs: this.syncs,
      bytesWritten: this.bytesWritten,
    };
  }

  /** Stops the queue as if the port had failed: for a missed deadline of a bridge. */
  fail(error: Error): void {
    if (this.fatal !== undefined) return;
    this.fatal = error;
    const groups = this.inFlight === undefined ? this.waiting : [this.inFlight, ...this.waiting];
    for (const group of groups) group.reject(error);
    this.waiting.length = 0;
    this.inFlight = undefined;
    this.pendingBytes = 0;
    this.onFatal(error);
  }

  private refusal(length: number): Error | undefined {
    if (this.fatal !== undefined) return this.fatal;
    if (this.closing) return new TikvError("RUTILE:Engine:Closed", "the engine is closed");
    if (this.pendingBytes > 0 && this.pendingBytes + length > this.limits.pendingBytesMax) {
      const waiting = `${this.pendingBytes} bytes of writes wait for the disk`;
      return new TikvError(
        "RUTILE:Engine:Busy",
        `${waiting}; at most ${this.limits.pendingBytesMax} may`,
      );
    }
    return undefined;
  }

  private groupFor(length: number): Group {
    const last = this.waiting[this.waiting.length - 1];
    if (last !== undefined && last.sizeBytes + length <= this.limits.groupBytesMax) return last;
    const spare = this.spare;
    this.spare = undefined;
    const group = new Group(
      spare !== undefined && spare.length >= length
        ? spare
        : new Uint8Array(Math.max(GROUP_CAPACITY_MIN, length)),
    );
    this.waiting.push(group);
    return group;
  }

  private start(): void {
    const group = this.waiting.shift();
    if (group === undefined) return;
    this.inFlight = group;
    const call =
      group.count > 0
        ? this.port.apply(group.bytes(), group.sync)
        : group.sync
          ? this.port.syncLog()
          : Promise.resolve();
    call.then(
      () => this.finish(group),
      (error: unknown) => this.fail(asError(error)),
    );
  }

  private finish(group: Group): void {
    if (this.inFlight !== group) return;
    this.inFlight = undefined;
    this.pendingBytes -= group.sizeBytes + HEADER_BYTES * (group.batches - 1);
    if (group.count > 0) this.writes++;
    if (group.sync) this.syncs++;
    this.dirty = group.sync ? false : this.dirty || group.count > 0;
    this.bytesWritten += group.sizeBytes;
    group.resolve();
    const buffer = group.release();
    if (buffer.length <= this.limits.groupBytesMax) this.spare = buffer;
    this.start();
  }
}

function asError(error: unknown): Error {
  return error instanceof Error
    ? error
    : new TikvError("KV:Engine:Engine", errorMessage(error), { cause: error });
}
