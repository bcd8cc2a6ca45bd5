/**
 * What the main thread and the worker of the npm RocksDB binding say to each other: the layout of
 * the shared area, the read requests in it, and the messages of the port. Both sides import this.
 * Hot path.
 *
 *   SharedArrayBuffer
 *   ┌ control: 8 × i32 ────────────────────────────────────────────┬ data ────────────────┐
 *   │ 0 turn · 1 status · 2 total bytes · 3 bytes of this piece · … │ one piece of a frame │
 *   └──────────────────────────────────────────────────────────────┴──────────────────────┘
 *
 * A read is one frame there and one frame back. The side whose turn it is owns the whole area; it
 * gives it away by storing the other turn and waking the other side. A frame larger than the data
 * area crosses in pieces: the receiver takes a piece and hands the turn back with status MORE.
 */

export const CONTROL_WORDS = 8;
export const CONTROL_BYTES = CONTROL_WORDS * 4;
export const WORD_TURN = 0;
export const WORD_STATUS = 1;
export const WORD_TOTAL = 2;
export const WORD_PIECE = 3;

export const TURN_MAIN = 0;
export const TURN_WORKER = 1;

/** A piece of a frame; the frame is complete when the pieces add up to WORD_TOTAL. */
export const STATUS_FRAME = 0;
/** The receiver took a piece and waits for the next one. */
export const STATUS_MORE = 1;
/** The frame is an error: `code\nmessage` in UTF-8. */
export const STATUS_ERROR = 2;
/** The worker is gone; the frame is the reason. It may appear at any time, on any turn. */
export const STATUS_DEAD = 3;

/** Values of many keys: u32 pin, u32 count, count × (u32 length, key). */
export const OP_GET_MANY = 1;
/** Consecutive entries: see ScanRequest. */
export const OP_SCAN = 2;
/** Opens a pin, a native write may be under way: u32 pin. */
export const OP_PIN = 3;
/** Approximate bytes on disk of a key range: u32 length, start, u32 length, end. */
export const OP_APPROXIMATE_SIZE = 4;
/** A property of RocksDB as text: the name. */
export const OP_PROPERTY = 5;

/** The entries at or behind many keys: see seekMany in rocksdb_worker.ts. */
export const OP_SEEK_MANY = 6;

/** Length that stands for "no such key" in the answer of OP_GET_MANY. */
export const NOT_FOUND = 0xffff_ffff;
/** The pin number of the newest state. */
export const PIN_NONE = 0;

export const SCAN_REVERSE = 1;
/** The entry at the start key, if there is one, is wanted too. */
export const SCAN_INCLUSIVE = 2;
export const SCAN_KEYS_ONLY = 4;
/** One entry more than the limits say, so that the caller knows whether something follows. */
export const SCAN_LOOKAHEAD = 8;

/** The pin is not open yet and no native write is under way: open it first. */
export const SCAN_OPEN_PIN = 16;

/** In the answer of OP_SCAN: nothing follows within the bound. */
export const SCAN_AT_END = 1;

/** Messages from the main thread, in the order in which they take effect. */
export type ToWorker =
  | {
      readonly kind: "open";
      readonly id: number;
      readonly path: string;
      readonly options: NativeOpenOptions;
    }
  | {
      readonly kind: "write";
      readonly id: number;
      /** Transferred; a WriteBatch representation, or empty for a sync of the log alone. */
      readonly representation: Uint8Array;
      readonly sync: boolean;
      /** The pin to open before the write, or PIN_NONE. */
      readonly pin: number;
    }
  | { readonly kind: "unpin"; readonly pin: number }
  | { readonly kind: "compact"; readonly id: number }
  | { readonly kind: "close"; readonly id: number };

/** The wake-up for a frame in the shared area; a bare number is the cheapest message. */
export const WAKE = 1;

/** The answer to a message that carries an id. */
export interface FromWorker {
  readonly id: number;
  readonly error?: { readonly code: string; readonly message: string };
}

/** What the worker is started with. */
export interface WorkerStart {
  readonly shared: SharedArrayBuffer;
  /** The native library. */
  readonly binding: string;
}

/** Options of the binding's db_open that we set. */
export interface NativeOpenOptions {
  readonly createIfMissing: boolean;
  readonly cacheSize: number;
  readonly writeBufferSize: number;
  readonly maxOpenFiles: number;
}

/** Writes u32s and byte strings into a growable buffer; the frame is a view until the next use. */
export class FrameWriter {
  private buffer = new Uint8Array(64 * 1024);
  private view = new DataView(this.buffer.buffer);
  private end = 0;

  start(): this {
    this.end = 0;
    return this;
  }

  u32(value: number): this {
    this.reserve(4);
    this.view.setUint32(this.end, value, true);
    this.end += 4;
    return this;
  }

  /** Appends u32 length and the bytes. */
  sized(bytes: Uint8Array): this {
    this.reserve(4 + bytes.length);
    this.view.setUint32(this.end, bytes.length, true);
    this.buffer.set(bytes, this.end + 4);
    this.end += 4 + bytes.length;
    return this;
  }

  /** Appends u32 length + 1, the byte `prefix` and the bytes. */
  prefixed(prefix: number, bytes: Uint8Array): this {
    this.reserve(5 + bytes.length);
    this.view.setUint32(this.end, bytes.length + 1, true);
    this.buffer[this.end + 4] = prefix;
    this.buffer.set(bytes, this.end + 5);
    this.end += 5 + bytes.length;
    return this;
  }

  raw(bytes: Uint8Array): this {
    this.reserve(bytes.length);
    this.buffer.set(bytes, this.end);
    this.end += bytes.length;
    return this;
  }

  /** Overwrites a u32 written before. */
  patch(offset: number, value: number): this {
    this.view.setUint32(offset, value, true);
    return this;
  }

  frame(): Uint8Array {
    const frame = this.buffer.subarray(0, this.end);
    return frame;
  }

  /** Gives a very large buffer back. Call it when the frame is no longer needed. */
  trim(): void {
    if (this.buffer.length <= FRAME_KEPT_BYTES) return;
    this.buffer = new Uint8Array(64 * 1024);
    this.view = new DataView(this.buffer.buffer);
    this.end = 0;
  }

  private reserve(bytes: number): void {
    const needed = this.end + bytes;
    if (needed <= this.buffer.length) return;
    const larger = new Uint8Array(Math.max(needed, this.buffer.length * 2));
    larger.set(this.buffer.subarray(0, this.end));
    this.buffer = larger;
    this.view = new DataView(larger.buffer);
  }
}

/** Above this a frame buffer is not kept; a guess: a few times a usual batch. */
const FRAME_KEPT_BYTES = 8 * 1024 * 1024;

/** Reads u32s and byte strings in the order in which they were written. */
export class FrameReader {
  private readonly bytes: Uint8Array;
  private readonly view: DataView;
  private at = 0;

  /** `bytes` stays the caller's; `slice` copies out of it, `view` does not. */
  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  u32(): number {
    const value = this.view.getUint32(this.at, true);
    this.at += 4;
    return value;
  }

  /** Returns a copy of the next `length` bytes; a copy of shared memory is not shared. */
  slice(length: number): Uint8Array {
    const start = this.at;
    this.at += length;
    return this.bytes.slice(start, this.at);
  }

  /** Returns a view of the next `length` bytes. */
  viewOf(length: number): Uint8Array {
    const start = this.at;
    this.at += length;
    return this.bytes.subarray(start, this.at);
  }

  skip(length: number): void {
    this.at += length;
  }
}
