/**
 * What MVCC code reads from: a consistent view of one region. Keys are region keys: an encoded user
 * key (memcomparable), with a timestamp behind it in the default and write CF. Reads are synchronous.
 * storage/ adapts engine snapshots to it; tests and the simulator bring their own.
 */
import type { Lock } from "../codec/index.js";
import type {
  ArenaGet,
  ArenaGetResult,
  ArenaSeek,
  ArenaTake,
  ArenaTakeResult,
  Entries,
} from "../engine/index.js";

export type MvccCf = "default" | "lock" | "write";

/** `[lower, upper)` in region keys; empty upper = the end of the region. */
export interface CursorRange {
  readonly lower: Uint8Array;
  readonly upper: Uint8Array;
  readonly keysOnly?: boolean;
}

/** A cursor over one CF. It starts invalid; `key()` and `value()` are copies, valid cursors only. */
export interface MvccCursor {
  readonly valid: boolean;
  seekToFirst(): boolean;
  seekToLast(): boolean;
  /** Moves to the first entry with key >= target. */
  seek(target: Uint8Array): boolean;
  /** Moves to the last entry with key <= target. */
  seekForPrev(target: Uint8Array): boolean;
  next(): boolean;
  prev(): boolean;
  key(): Uint8Array;
  value(): Uint8Array;
  /** As engine Iter.take: entries from here on, and the cursor moves behind them. */
  take(maxItems: number, maxBytes: number, reverse?: boolean): Entries;
  /**
   * As engine Iter.takeArena: the keys in linear memory are the engine's, with CF and data prefix.
   * Absent where there is no engine below.
   */
  takeBlock?(request: ArenaTake): ArenaTakeResult;
  /** As engine Iter.seekArena; the keys are the engine's. Absent as above. */
  seekBlock?(request: ArenaSeek): ArenaTakeResult;
  close(): void;
}

export interface MvccSnapshot {
  get(cf: MvccCf, key: Uint8Array): Uint8Array | undefined;
  multiGet(cf: MvccCf, keys: readonly Uint8Array[]): (Uint8Array | undefined)[];
  /** As Engine.multiGetArena; the keys are the engine's. Absent where there is no engine below. */
  multiGetBlock?(request: ArenaGet): ArenaGetResult;
  /** As engine Snapshot.provenEmpty, for `[lower, upper)`. Absent where there is no engine below. */
  provenEmpty?(cf: MvccCf, lower: Uint8Array, upper: Uint8Array): boolean;
  /** The caller closes the cursor before the snapshot. */
  cursor(cf: MvccCf, range: CursorRange): MvccCursor;
  /** What was read before, for many keys at once; absent where nothing was. */
  readonly firstReads?: FirstReads;
  /** Pessimistic locks that are kept in the leader's memory; absent where there are none. */
  readonly memoryLocks?: MemoryLocks;
}

/** What commands read first of a key. */
export interface FirstRead {
  /** The stored lock; undefined = there is none. */
  readonly lock: Uint8Array | undefined;
  /** The newest record of the write CF; undefined = there is none, "unread" = nobody looked. */
  readonly newest: NewestRecord | undefined | "unread";
}

export interface NewestRecord {
  readonly commitTs: bigint;
  readonly record: Uint8Array;
}

export interface FirstReads {
  /** Returns what was read of a key, which is found by its array, not by its bytes. */
  of(key: Uint8Array): FirstRead | undefined;
}

/** Locks that are not in the engine. One hides the stored lock of its key. Keys are encoded. */
export interface MemoryLocks {
  get(key: Uint8Array): Lock | undefined;
  /** Those in `[start, end)`, empty end = +inf, ascending. */
  range(
    start: Uint8Array,
    end: Uint8Array,
  ): readonly { readonly key: Uint8Array; readonly lock: Lock }[];
}
