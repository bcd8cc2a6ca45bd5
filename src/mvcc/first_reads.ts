/**
 * What commands that run together read first of their keys, all at once: the stored locks by one
 * batched get, the newest records by one seek a key into a block. Takes turns of the arena, so that
 * it must not be called inside one. Hot path.
 */
import { EMPTY_BYTES } from "../base/index.js";
import { keyTs, TS_MAX } from "../codec/index.js";
import {
  type Arena,
  ENTRY_ROW_BYTES,
  type Kernels,
  MVCC_PREFIX_BYTES,
  SLICE_ABSENT,
  SLICE_BYTES,
} from "../kernel/index.js";
import { GET_SCRATCH_BYTES, type PointItem, placeKeys, TS_BYTES } from "./point_keys.js";
import type { FirstRead, FirstReads, MvccCursor, MvccSnapshot, NewestRecord } from "./snapshot.js";

/** Bytes of the locks of a turn; further ones are read by who needs them. */
const LOCK_BYTES_MAX = 256 * 1024;
const NOTHING: FirstRead = { lock: undefined, newest: undefined };
const NO_LOCK: FirstRead = { lock: undefined, newest: "unread" };

/** Where one turn's tables are, and how many of its keys they hold. */
interface Tables {
  readonly seekKeys: number;
  readonly locks: number;
  readonly rows: number;
  /** Keys whose lock was looked for, and those of them whose newest record was. */
  locked: number;
  sought: number;
}

/**
 * Returns what the snapshot holds of `keys`, encoded; with `withNewest` the newest records as well.
 * Keys may be missing: what does not fit into the arena. undefined: the snapshot serves no blocks,
 * or the arena is somebody else's.
 */
export function readFirst(
  kernels: Kernels,
  snapshot: MvccSnapshot,
  keys: readonly Uint8Array[],
  withNewest: boolean,
): FirstReads | undefined {
  const { arena } = kernels;
  if (snapshot.multiGetBlock === undefined || arena.isBusy) return undefined;
  const found = new Map<Uint8Array, FirstRead>();
  const items = keys.map((key): PointItem => ({ key, ts: TS_MAX }));
  const range = { lower: EMPTY_BYTES, upper: EMPTY_BYTES };
  const cursor = withNewest ? snapshot.cursor("write", range) : undefined;
  try {
    for (let from = 0; from < items.length; ) {
      arena.enter();
      try {
        const done = turn(arena, snapshot, cursor, items, from, found);
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

/** Reads some items from `from` on; returns how many. */
function turn(
  arena: Arena,
  snapshot: MvccSnapshot,
  cursor: MvccCursor | undefined,
  items: readonly PointItem[],
  from: number,
  found: Map<Uint8Array, FirstRead>,
): number {
  const placed = placeKeys(arena, items, from);
  if (placed === undefined) return 0;
  const { count, lockKeys, seekKeys } = placed;
  const locks = arena.scratch.reserve(count * SLICE_BYTES);
  const rows = arena.scratch.reserve(count * ENTRY_ROW_BYTES);
  const scratch = arena.scratch.reserve(count * GET_SCRATCH_BYTES);
  if (locks * rows * scratch === 0) return 0;
  const tables: Tables = { seekKeys, locks, rows, locked: 0, sought: 0 };
  const out = arena.output.next;
  const got = snapshot.multiGetBlock?.({
    memory: arena.u8,
    count,
    keyTable: lockKeys,
    valueTable: locks,
    out,
    outEnd: Math.min(arena.output.end, out + LOCK_BYTES_MAX),
    scratch,
    scratchEnd: scratch + count * GET_SCRATCH_BYTES,
  });
  tables.locked = got?.done ?? 0;
  if (cursor !== undefined) {
    const place = { out: arena.input.next, outEnd: arena.input.end };
    const request = { memory: arena.u8, count: tables.locked, keyTable: seekKeys, table: rows };
    tables.sought = cursor.seekBlock?.({ ...request, ...place }).items ?? 0;
  }
  for (let i = 0; i < tables.locked; i++) {
    const { key } = items[from + i] as PointItem;
    found.set(key, firstRead(arena, tables, i));
  }
  return count;
}

/** Returns what the tables hold of key `i`, whose lock was looked for. */
function firstRead(arena: Arena, { locks, rows, seekKeys, sought }: Tables, i: number): FirstRead {
  const { u32 } = arena;
  const slice = (locks + i * SLICE_BYTES) >>> 2;
  const lock =
    u32[slice + 1] === SLICE_ABSENT
      ? undefined
      : bytesAt(arena, u32[slice] as number, u32[slice + 1] as number);
  if (i >= sought) return lock === undefined ? NO_LOCK : { lock, newest: "unread" as const };
  const seek = (seekKeys + i * SLICE_BYTES) >>> 2;
  const [target, length] = [u32[seek] as number, u32[seek + 1] as number];
  const newest = newestAt(arena, rows + i * ENTRY_ROW_BYTES, target, length);
  return lock === undefined && newest === undefined ? NOTHING : { lock, newest };
}

/** Returns the entry of a row, if it is a version of the key of `length` bytes that was sought. */
function newestAt(
  arena: Arena,
  row: number,
  target: number,
  length: number,
): NewestRecord | undefined {
  const { u8, u32 } = arena;
  const at = row >>> 2;
  const key = u32[at] as number;
  if (u32[at + 1] !== length) return undefined;
  const end = length - TS_BYTES;
  // From the end: neighbours differ there.
  for (let i = end - 1; i >= MVCC_PREFIX_BYTES; i--) {
    if (u8[key + i] !== u8[target + i]) return undefined;
  }
  const commitTs = keyTs(u8.subarray(key + end, key + length));
  return { commitTs, record: bytesAt(arena, u32[at + 2] as number, u32[at + 3] as number) };
}

function bytesAt({ u8 }: Arena, at: number, length: number): Uint8Array {
  return u8.slice(at, at + length);
}
