/**
 * The engine contract: an ordered key-value store with atomic batches and snapshots.
 * Reads are synchronous, writes are asynchronous. One contract, three implementations
 * (memory.ts, rocksdb.ts, librocksdb.ts), one conformance suite (test/conformance/engine_suite.ts).
 *
 * On disk there is one RocksDB column family; ours are a one-byte key prefix (cf.ts), so that all
 * bindings write the same layout. Keys passed to this interface do not carry that prefix, except
 * in the places that say so: the bytes of a write batch, and the tables of `multiGetArena`,
 * `takeArena` and `seekArena`.
 *
 * Ownership: arrays that an engine returns belong to the caller. Arrays given to an engine may be
 * reused by the caller as soon as the call returns, unless the method says otherwise.
 */

import type { EnginePressure } from "./pressure.js";

export const CF_NAMES = ["default", "lock", "write", "raft"] as const;
export type CfName = (typeof CF_NAMES)[number];

export type EngineBinding = "memory" | "rocksdb" | "librocksdb";

/** A range `[start, end)`; empty start = -inf, empty end = +inf. */
export interface KeyRange {
  readonly start: Uint8Array;
  readonly end: Uint8Array;
}

export interface IterOptions {
  /** Inclusive lower bound; empty = none. */
  readonly lower: Uint8Array;
  /** Exclusive upper bound; empty = none. */
  readonly upper: Uint8Array;
  /** Values are not loaded; `value` is empty. */
  readonly keysOnly?: boolean;
  /** A long scan that should not displace hot blocks from the block cache. */
  readonly fillCache?: boolean;
}

/**
 * A cursor over one CF of a snapshot. It starts invalid; a seek positions it.
 * `key()` and `value()` return copies that the caller owns; call them only while valid.
 */
export interface Iter {
  readonly valid: boolean;
  /** Moves to the first entry of the bounds. */
  seekToFirst(): boolean;
  /** Moves to the last entry of the bounds. */
  seekToLast(): boolean;
  /** Moves to the first entry with key >= target. Returns validity, as all moves do. */
  seek(target: Uint8Array): boolean;
  /** Moves to the last entry with key <= target. */
  seekForPrev(target: Uint8Array): boolean;
  next(): boolean;
  prev(): boolean;
  key(): Uint8Array;
  value(): Uint8Array;
  /**
   * Takes entries from the current position on, in direction `reverse ? prev : next`, and moves
   * behind them: at most `maxItems` entries, ending after the first entry that brings the sum of
   * key and value lengths to `maxBytes` or more. Cheaper than one call per entry.
   */
  take(maxItems: number, maxBytes: number, reverse?: boolean): Entries;
  /**
   * As `take`, without copies into JS objects: fills rows and bytes of `request` from the current
   * position on and stops before the first entry that does not fit, where the iterator then stands.
   * No items while valid: the entry is larger than the area.
   */
  takeArena(request: ArenaTake): ArenaTakeResult;
  /**
   * Seeks each key of a table and fills the row of the first entry at or behind it; its key length is
   * 0 where there is none. Where the iterator stands afterwards is open. Returns the rows filled,
   * fewer than count when the next entry does not fit.
   */
  seekArena(request: ArenaSeek): ArenaTakeResult;
  close(): void;
}

/**
 * Keys to seek, and where their entries go. `keyTable`: count pairs of u32 LE (pointer, length); the
 * keys carry the CF prefix byte. `table` and `[out, outEnd)`: as in ArenaTake.
 */
export interface ArenaSeek {
  readonly memory: Uint8Array;
  readonly count: number;
  readonly keyTable: number;
  readonly table: number;
  readonly out: number;
  readonly outEnd: number;
}

/**
 * A block of entries in linear memory, to be filled by an iterator.
 * `table`: itemsMax rows of u32 LE: key pointer, key length, value pointer, value length; the keys
 * carry the CF prefix byte. Bytes are placed in `[out, outEnd)`, an entry's value behind its key.
 */
export interface ArenaTake {
  readonly memory: Uint8Array;
  readonly table: number;
  readonly itemsMax: number;
  readonly out: number;
  readonly outEnd: number;
  readonly reverse: boolean;
}

export interface ArenaTakeResult {
  readonly items: number;
  /** First free byte of the out area. */
  readonly outUsedEnd: number;
}

/** Keys and values of consecutive entries; equal lengths. */
export interface Entries {
  readonly keys: Uint8Array[];
  readonly values: Uint8Array[];
}

/** An immutable view of all CFs as of one moment; later writes are not seen. */
export interface Snapshot {
  get(cf: CfName, key: Uint8Array): Uint8Array | undefined;
  /** Returns the value of each key, in the order given. */
  multiGet(cf: CfName, keys: readonly Uint8Array[]): (Uint8Array | undefined)[];
  /** As Engine.multiGetArena, of this moment. */
  multiGetArena(request: ArenaGet): ArenaGetResult;
  iterate(cf: CfName, options: IterOptions): Iter;
  /**
   * Whether `[start, end)` is known to hold nothing, for no more than a few point reads cost. False
   * where it holds something, or where finding out would cost more: deleted entries lie there, or the
   * binding has no cheap cursor.
   */
  provenEmpty(cf: CfName, start: Uint8Array, end: Uint8Array): boolean;
  /** Releases the snapshot; its iterators must be closed before. Idempotent. */
  close(): void;
}

/**
 * Collects changes across CFs; applied atomically, in the order of the calls.
 * The bytes are RocksDB's WriteBatch representation with CF-prefixed keys in the default RocksDB
 * CF: u64 LE sequence 0 · u32 LE count · records (0x00 delete, 0x01 put, 0x0f delete-range).
 */
export interface WriteBatch {
  /** Number of records. */
  readonly count: number;
  /** Length of the representation, bytes. */
  readonly sizeBytes: number;
  put(cf: CfName, key: Uint8Array, value: Uint8Array): void;
  delete(cf: CfName, key: Uint8Array): void;
  /** Deletes `[start, end)`; an empty end means to the end of the CF. No record if start >= end. */
  deleteRange(cf: CfName, start: Uint8Array, end: Uint8Array): void;
  /** Returns a view of the representation, valid until the next change of the batch. */
  bytes(): Uint8Array;
  clear(): void;
}

export interface WriteOptions {
  /** Whether the returned promise waits for fdatasync of the write-ahead log. */
  readonly sync: boolean;
}

/**
 * A table of keys in linear memory and where their values go (design: bytes enter once, leave once).
 * `keyTable`: count pairs of u32 LE (pointer, length); the keys carry the CF prefix byte.
 * `valueTable`: count pairs of u32 LE (pointer, length) to fill; length 0xffffffff = not found.
 * Values are placed one after the other in `[out, outEnd)`.
 * `scratch`..`scratchEnd`: working space of at least 48 bytes an item, 8-byte aligned.
 */
export interface ArenaGet {
  readonly memory: Uint8Array;
  readonly count: number;
  readonly keyTable: number;
  readonly valueTable: number;
  readonly out: number;
  readonly outEnd: number;
  readonly scratch: number;
  readonly scratchEnd: number;
}

export interface ArenaGetResult {
  /** Items whose row in the value table is filled; less than count when `out` is full. */
  readonly done: number;
  /** First free byte of the out area. */
  readonly outUsedEnd: number;
}

/** Counters since open, for metrics. */
export interface EngineStats {
  /** Native writes, each of one merged batch. */
  readonly writes: number;
  /** Batches submitted; batches / writes is the merge factor. */
  readonly batches: number;
  /** Native writes that waited for fdatasync. */
  readonly syncs: number;
  readonly bytesWritten: number;
  readonly snapshotsOpen: number;
  readonly iteratorsOpen: number;
  /** Approximate bytes on disk, 0 for memory. */
  readonly sizeBytes: number;
  /** How far flushes and compactions are behind. */
  readonly pressure: EnginePressure;
}

export interface Engine {
  readonly binding: EngineBinding;
  /** What opened, for people: "memory", "rocksdb 6.17.3 (npm)", "librocksdb 7.8.3". */
  readonly description: string;
  /** Directory, or the empty string for memory. */
  readonly path: string;

  /** Reads the newest committed state. Err RUTILE:Engine:Corruption thrown for a damaged block. */
  get(cf: CfName, key: Uint8Array): Uint8Array | undefined;
  multiGet(cf: CfName, keys: readonly Uint8Array[]): (Uint8Array | undefined)[];
  /** Batch point reads of the newest committed state without copies into JS objects. */
  multiGetArena(request: ArenaGet): ArenaGetResult;
  snapshot(): Snapshot;

  newWriteBatch(): WriteBatch;
  /**
   * Applies `batch` atomically after all batches submitted before it. The bytes are copied before
   * the call returns, so the batch may be cleared at once. One native write is in flight at a
   * time; what is submitted meanwhile is merged in order into the next, synced if any part asks.
   * Resolves when applied (and synced, if asked). A write or sync error is fatal: the promise
   * rejects, every later write rejects with the same error, and `onFatal` is called once.
   */
  write(batch: WriteBatch, options: WriteOptions): Promise<void>;
  /** As `write`, for a representation that was built elsewhere (by the write_batch kernel). */
  writeBytes(representation: Uint8Array, options: WriteOptions): Promise<void>;
  /** Resolves when all writes submitted so far are applied and synced. */
  sync(): Promise<void>;

  stats(): EngineStats;
  /** Approximate bytes of user data in a range of one CF; cheap, may be wrong by a memtable. */
  approximateSize(cf: CfName, range: KeyRange): number;
  /** Compacts the whole key space; for benches and tests. */
  compact(): Promise<void>;
  /**
   * Finishes submitted writes, syncs and closes. Rejects with RUTILE:Engine:Closed while snapshots
   * or iterators are open.
   */
  close(): Promise<void>;
}

export interface EngineOptions {
  readonly path: string;
  /** "auto" takes librocksdb when the library loads, else the npm binding. */
  readonly binding: "auto" | EngineBinding;
  readonly blockCacheBytes: number;
  readonly writeBufferBytes: number;
  /** Called once with the first write or sync error, or a missed deadline of the bridge. */
  readonly onFatal: (error: Error) => void;
}
