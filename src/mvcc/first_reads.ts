/**
 * What commands that run together read first of their keys, all at once: the stored locks by one
 * batched get, the newest records by one seek a key into a block. Takes turns of the arena, so that
 * it must not be called inside one. Hot path.
 */
import { compareBytes, EMPTY_BYTES } from "../base/index.js";
import { TS_MAX } from "../codec/index.js";
import {
  type Arena,
  ENTRY_ROW_BYTES,
  type Kernels,
  MVCC_PREFIX_BYTES,
  SLICE_ABSENT,
  SLICE_BYTES,
} from "../kernel/index.js";
import type { LockGlance } from "./lock_glance.js";
import { GET_SCRATCH_BYTES, type PointItem, placeKeys, TS_BYTES } from "./point_keys.js";
import type { FirstRead, FirstReads, MvccCursor, MvccSnapshot, NewestRecord } from "./snapshot.js";

/** Bytes of the locks of a turn; further ones are read by who needs them. */
const LOCK_BYTES_MAX = 256 * 1024;
const NOTHING: FirstRead = { lock: undefined, newest: undefined };
const NO_LOCK: FirstRead = { lock: undefined, newest: "unread" };

/** What is read in every turn. */
interface Reading {
  readonly arena: Arena;
  readonly snapshot: MvccSnapshot;
  readonly items: readonly PointItem[];
  readonly found: Map<Uint8Array, FirstRead>;
  /** undefined: newest records are not wanted. */
  readonly cursor: MvccCursor | undefined;
  /** It is known that no key has a stored lock. */
  readonly hasNoLocks: boolean;
}

/** The newest records of a turn: rows of entries, and a copy of their bytes. */
interface Block {
  readonly seekKeys: number;
  readonly rows: number;
  /** Keys that were sought. */
  readonly sought: number;
  readonly bytes: Uint8Array;
  /** Where the copied bytes were. */
  readonly start: number;
}

/**
 * Returns what the snapshot holds of `keys`, encoded; with `withNewest` the newest records as well.
 * Keys may be missing: what does not fit into the arena. undefined: the snapshot serves no blocks,
 * or the arena is somebody else's. `glance` saves looks for locks where there are none.
 */
export function readFirst(
  kernels: Kernels,
  snapshot: MvccSnapshot,
  keys: readonly Uint8Array[],
  withNewest: boolean,
  glance: LockGlance,
): FirstReads | undefined {
  const { arena } = kernels;
  if (snapshot.multiGetBlock === undefined || arena.isBusy) return undefined;
  const found = new Map<Uint8Array, FirstRead>();
  const items = keys.map((key): PointItem => ({ key, ts: TS_MAX }));
  const hasNoLocks = showsNoLocks(snapshot, keys, glance);
  const range = { lower: EMPTY_BYTES, upper: EMPTY_BYTES };
  const cursor = withNewest ? snapshot.cursor("write", range) : undefined;
  const reading: Reading = { arena, snapshot, items, found, cursor, hasNoLocks };
  try {
    for (let from = 0; from < items.length; ) {
      arena.enter();
      try {
        const done = turn(reading, from);
        if (done === 0) break;
        from += done;
      } finally {
        arena.leave();
      }
    }
  } finally {
    cursor?.close();
  }
  return { of: (key) => found.get(key) };
}

function showsNoLocks(
  snapshot: MvccSnapshot,
  keys: readonly Uint8Array[],
  glance: LockGlance,
): boolean {
  let [first] = keys;
  let last = first;
  if (first === undefined || last === undefined) return false;
  for (const key of keys) {
    if (compareBytes(key, first) < 0) first = key;
    else if (compareBytes(key, last) > 0) last = key;
  }
  return glance.showsNone(snapshot, keys.length, first, last);
}

/** Reads some items from `from` on; returns how many. */
function turn(reading: Reading, from: number): number {
  const { arena, cursor, found, hasNoLocks, items } = reading;
  const placed = placeKeys(arena, items, from);
  if (placed === undefined) return 0;
  const { count, lockKeys, seekKeys } = placed;
  const rows = arena.scratch.reserve(count * ENTRY_ROW_BYTES);
  const locks = hasNoLocks ? [] : locksOf(reading, lockKeys, count);
  if (rows === 0 || locks === undefined) return 0;
  const known = hasNoLocks ? count : locks.length;
  const block = cursor && blockOf(arena, cursor, known, seekKeys, rows);
  for (let i = 0; i < known; i++) {
    const { key } = items[from + i] as PointItem;
    const lock = locks[i];
    if (block === undefined || i >= block.sought) {
      found.set(key, lock === undefined ? NO_LOCK : { lock, newest: "unread" });
    } else {
      const newest = newestOf(arena, block, i);
      found.set(key, lock === undefined && newest === undefined ? NOTHING : { lock, newest });
    }
  }
  return count;
}

/** Returns the locks of as many keys as fit; undefined: there is no room for the tables. */
function locksOf(
  { arena, snapshot }: Reading,
  keyTable: number,
  count: number,
): (Uint8Array | undefined)[] | undefined {
  const valueTable = arena.scratch.reserve(count * SLICE_BYTES);
  const scratch = arena.scratch.reserve(count * GET_SCRATCH_BYTES);
  if (valueTable * scratch === 0) return undefined;
  const { u32, u8 } = arena;
  const out = arena.output.next;
  const outEnd = Math.min(arena.output.end, out + LOCK_BYTES_MAX);
  const scratchEnd = scratch + count * GET_SCRATCH_BYTES;
  const request = { memory: u8, count, keyTable, valueTable, out, outEnd, scratch, scratchEnd };
  const done = snapshot.multiGetBlock?.(request).done ?? 0;
  const locks = new Array<Uint8Array | undefined>(done);
  for (let i = 0; i < done; i++) {
    const slice = (valueTable + i * SLICE_BYTES) >>> 2;
    const [at, length] = [u32[slice] as number, u32[slice + 1] as number];
    // A copy each: a lock in memory may be kept for long.
    locks[i] = length === SLICE_ABSENT ? undefined : u8.slice(at, at + length);
  }
  return locks;
}

/** Seeks `count` keys. */
function blockOf(
  arena: Arena,
  cursor: MvccCursor,
  count: number,
  seekKeys: number,
  rows: number,
): Block {
  const start = arena.input.next;
  const place = { out: start, outEnd: arena.input.end };
  const request = { memory: arena.u8, count, keyTable: seekKeys, table: rows, ...place };
  const { items = 0, outUsedEnd = start } = cursor.seekBlock?.(request) ?? {};
  return { seekKeys, rows, sought: items, bytes: arena.u8.slice(start, outUsedEnd), start };
}

/** Returns the entry that was found for key `i`, if it is a version of it. */
function newestOf(
  { u32, view }: Arena,
  { bytes, rows, seekKeys, start }: Block,
  i: number,
): NewestRecord | undefined {
  const row = (rows + i * ENTRY_ROW_BYTES) >>> 2;
  const seek = (seekKeys + i * SLICE_BYTES) >>> 2;
  const [key, length] = [u32[row] as number, u32[row + 1] as number];
  if (length !== u32[seek + 1]) return undefined;
  if (!isSameKey(view, key, u32[seek] as number, length - TS_BYTES)) return undefined;
  const commitTs = TS_MAX - view.getBigUint64(key + length - TS_BYTES);
  const at = (u32[row + 2] as number) - start;
  return { commitTs, record: bytes.subarray(at, at + (u32[row + 3] as number)) };
}

/** Compares from the end: neighbours differ there. */
function isSameKey(view: DataView, a: number, b: number, length: number): boolean {
  for (let i = length - 1; i >= MVCC_PREFIX_BYTES; i--) {
    if (view.getUint8(a + i) !== view.getUint8(b + i)) return false;
  }
  return true;
}
