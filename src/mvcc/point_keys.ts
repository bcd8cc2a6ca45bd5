/**
 * Keys of point reads in linear memory, as the engine takes them: one to seek in the write CF and one
 * to get from the lock CF for each. Hot path.
 */
import { TS_MAX } from "../codec/index.js";
import { type Arena, MVCC_PREFIX_BYTES, SLICE_BYTES } from "../kernel/index.js";

/** A key and the timestamp to read it at. Encoded. */
export interface PointItem {
  readonly key: Uint8Array;
  readonly ts: bigint;
}

/** Bytes that the engine needs to get a key. */
export const GET_SCRATCH_BYTES = 48;
/** Of the timestamp behind a key. */
export const TS_BYTES = 8;
/** Items of one turn. */
const TURN_ITEMS_MAX = 256;
/** First bytes of the engine's keys, the CF and the data prefix: "w", "l", "z". */
export const WRITE_CF = 0x77;
export const LOCK_CF = 0x6c;
export const DATA = 0x7a;

/** Tables of one turn; items are those from `from` on. */
export interface Placed {
  readonly count: number;
  readonly seekKeys: number;
  readonly lockKeys: number;
}

/** Places the keys to seek and those of locks, of as many items as fit; undefined: of none. */
export function placeKeys(
  arena: Arena,
  items: readonly PointItem[],
  from: number,
): Placed | undefined {
  const most = Math.min(TURN_ITEMS_MAX, items.length - from);
  const seekKeys = arena.scratch.reserve(most * SLICE_BYTES);
  const lockKeys = arena.scratch.reserve(most * SLICE_BYTES);
  if (seekKeys * lockKeys === 0) return undefined;
  const { u8, u32, view, input } = arena;
  // As much is left for entries.
  const room = input.free >>> 1;
  const start = input.next;
  let count = 0;
  for (; count < most; count++) {
    const { key, ts } = items[from + count] as PointItem;
    const length = MVCC_PREFIX_BYTES + key.length;
    if (input.next - start + 2 * length + TS_BYTES > room) break;
    const seek = input.reserve(length + TS_BYTES, 1);
    u8[seek] = WRITE_CF;
    u8[seek + 1] = DATA;
    u8.set(key, seek + MVCC_PREFIX_BYTES);
    view.setBigUint64(seek + length, TS_MAX - ts);
    const lock = input.reserve(length, 1);
    u8[lock] = LOCK_CF;
    u8[lock + 1] = DATA;
    u8.set(key, lock + MVCC_PREFIX_BYTES);
    u32[(seekKeys >>> 2) + 2 * count] = seek;
    u32[(seekKeys >>> 2) + 2 * count + 1] = length + TS_BYTES;
    u32[(lockKeys >>> 2) + 2 * count] = lock;
    u32[(lockKeys >>> 2) + 2 * count + 1] = length;
  }
  return count === 0 ? undefined : { count, seekKeys, lockKeys };
}
