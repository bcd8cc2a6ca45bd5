/**
 * The calls of the npm `rocksdb` 5.2.1 binding that the worker uses, typed, as promises. We take the
 * binding itself and not its LevelDOWN class, which adds a tick and two closures to every entry.
 * Loaded in the worker only: a process holds one RocksDB, and this one is not safe to share.
 *
 * What the binding does that matters here (its binding.cc):
 * - point reads verify block checksums; iterators do not, and with `fillCache` they would put
 *   unverified blocks where point reads find them, so `fillCache` stays off;
 * - an iterator holds the state at its creation, runs in one direction only, and `seek` runs on the
 *   calling thread; the first `next` after a seek gives one entry, later ones up to 1,000;
 * - an empty value as a Buffer leaks its copy; a number is taken as an empty slice and does not.
 */
import { workerData } from "node:worker_threads";
import { loadBinding } from "./rocksdb_binary.js";
import type { NativeOpenOptions, WorkerStart } from "./rocksdb_protocol.js";

/** An opaque native handle. */
export interface NativeHandle {
  readonly native: unique symbol;
}

type Done = (error: Error | null) => void;
type Bytes = Uint8Array;

interface IteratorOptions {
  readonly reverse: boolean;
  readonly fillCache: false;
  readonly highWaterMark: number;
}

/** The functions as the binding exports them. */
interface Native {
  db_init(): NativeHandle;
  db_open(db: NativeHandle, path: string, options: NativeOpenOptions, done: Done): void;
  db_close(db: NativeHandle, done: Done): void;
  db_get_many(
    db: NativeHandle,
    keys: readonly Bytes[],
    options: { readonly asBuffer: true; readonly fillCache: true },
    done: (error: Error | null, values: (Bytes | undefined)[]) => void,
  ): void;
  db_approximate_size(
    db: NativeHandle,
    start: Bytes,
    end: Bytes,
    done: (error: Error | null, size: number) => void,
  ): void;
  db_compact_range(db: NativeHandle, start: Bytes, end: Bytes, done: Done): void;
  db_get_property(db: NativeHandle, name: string): string;
  iterator_init(db: NativeHandle, options: IteratorOptions): NativeHandle;
  iterator_seek(iterator: NativeHandle, target: Bytes): void;
  iterator_next(
    iterator: NativeHandle,
    done: (error: Error | null, reversedPairs: Bytes[], finished: boolean) => void,
  ): void;
  iterator_end(iterator: NativeHandle, done: Done): void;
  batch_init(db: NativeHandle): NativeHandle;
  batch_put(batch: NativeHandle, key: Bytes, value: Bytes | number): void;
  batch_del(batch: NativeHandle, key: Bytes): void;
  batch_write(batch: NativeHandle, options: { readonly sync: boolean }, done: Done): void;
}

const native = loadBinding((workerData as WorkerStart).binding) as Native;

const GET_OPTIONS = { asBuffer: true, fillCache: true } as const;
/** Keys in RocksDB start with a CF prefix byte below this one. */
const KEY_MAX = Uint8Array.of(0xff);
const KEY_MIN = Uint8Array.of(0);
/**
 * Bytes after which the binding ends one `next`: about 250 entries of 116 B. More would make small
 * scans dearer, less would make long ones cross the thread pool more often.
 */
const ITERATOR_CHUNK_BYTES = 32 * 1024;

function promised(start: (done: Done) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    start((error) => (error === null || error === undefined ? resolve() : reject(error)));
  });
}

/** Entries of one native `next`: pairs in descending order, taken from the end. */
export interface NativeChunk {
  readonly reversedPairs: Bytes[];
  readonly finished: boolean;
}

export class NativeIterator {
  private readonly handle: NativeHandle;

  constructor(handle: NativeHandle) {
    this.handle = handle;
  }

  /** Positions at the first entry at or behind `target` in the iterator's direction. */
  seek(target: Bytes): void {
    native.iterator_seek(this.handle, target);
  }

  next(): Promise<NativeChunk> {
    return new Promise((resolve, reject) => {
      native.iterator_next(this.handle, (error, reversedPairs, finished) => {
        if (error !== null && error !== undefined) reject(error);
        else resolve({ reversedPairs, finished });
      });
    });
  }

  end(): Promise<void> {
    return promised((done) => native.iterator_end(this.handle, done));
  }
}

export class NativeBatch {
  private readonly handle: NativeHandle;

  constructor(handle: NativeHandle) {
    this.handle = handle;
  }

  put(key: Bytes, value: Bytes): void {
    native.batch_put(this.handle, key, value.length === 0 ? 0 : value);
  }

  delete(key: Bytes): void {
    native.batch_del(this.handle, key);
  }

  write(sync: boolean): Promise<void> {
    return promised((done) => native.batch_write(this.handle, { sync }, done));
  }
}

export class NativeDb {
  private readonly handle = native.db_init();

  open(path: string, options: NativeOpenOptions): Promise<void> {
    return promised((done) => native.db_open(this.handle, path, options, done));
  }

  /** Ends iterators that are still open, then closes. */
  close(): Promise<void> {
    return promised((done) => native.db_close(this.handle, done));
  }

  getMany(keys: readonly Bytes[]): Promise<(Bytes | undefined)[]> {
    return new Promise((resolve, reject) => {
      native.db_get_many(this.handle, keys, GET_OPTIONS, (error, values) => {
        if (error !== null && error !== undefined) reject(error);
        else resolve(values);
      });
    });
  }

  iterator(reverse: boolean): NativeIterator {
    const options = { reverse, fillCache: false, highWaterMark: ITERATOR_CHUNK_BYTES } as const;
    return new NativeIterator(native.iterator_init(this.handle, options));
  }

  batch(): NativeBatch {
    return new NativeBatch(native.batch_init(this.handle));
  }

  approximateSize(start: Bytes, end: Bytes): Promise<number> {
    return new Promise((resolve, reject) => {
      native.db_approximate_size(this.handle, start, end, (error, size) => {
        if (error !== null && error !== undefined) reject(error);
        else resolve(size);
      });
    });
  }

  compact(): Promise<void> {
    return promised((done) => native.db_compact_range(this.handle, KEY_MIN, KEY_MAX, done));
  }

  property(name: string): string {
    return native.db_get_property(this.handle, name);
  }
}
