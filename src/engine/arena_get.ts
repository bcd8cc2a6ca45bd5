/**
 * The tables of `multiGetArena`, and the plain way to serve one: a lookup for each item.
 * The batched way over native pointers is librocksdb_multi_get.ts.
 */
import { assert } from "../base/index.js";
import type { ArenaGet, ArenaGetResult } from "./types.js";

/** Length in the value table that says "no such key". */
export const ARENA_NOT_FOUND = 0xffff_ffff;
/** Bytes of one row of the key and value tables: u32 pointer, u32 length. */
export const ARENA_ROW_BYTES = 8;
/** Scratch bytes an item, at least. */
export const ARENA_SCRATCH_ITEM_BYTES = 48;

/** Asserts that the tables lie in the memory and that the scratch area has its least size. */
export function checkArenaGet(request: ArenaGet): void {
  const { memory, count, keyTable, valueTable, out, outEnd, scratch, scratchEnd } = request;
  const rows = count * ARENA_ROW_BYTES;
  assert(keyTable + rows <= memory.length, "the key table lies in memory");
  assert(valueTable + rows <= memory.length, "the value table lies in memory");
  assert(out <= outEnd && outEnd <= memory.length, "the out area lies in memory");
  assert(scratch % 8 === 0 && scratchEnd <= memory.length, "scratch is aligned and in memory");
  assert(scratchEnd - scratch >= count * ARENA_SCRATCH_ITEM_BYTES, "scratch holds all items");
}

/** Serves `request` with one `lookup` an item; keys carry the CF prefix byte. */
export function arenaGetByLookup(
  request: ArenaGet,
  lookup: (prefixedKey: Uint8Array) => Uint8Array | undefined,
): ArenaGetResult {
  checkArenaGet(request);
  const { memory, count, keyTable, valueTable, outEnd } = request;
  const view = new DataView(memory.buffer, memory.byteOffset, memory.byteLength);
  let end = request.out;
  for (let item = 0; item < count; item++) {
    const row = keyTable + item * ARENA_ROW_BYTES;
    const at = view.getUint32(row, true);
    const value = lookup(memory.subarray(at, at + view.getUint32(row + 4, true)));
    const length = value === undefined ? 0 : value.length;
    if (end + length > outEnd) return { done: item, outUsedEnd: end };
    if (value !== undefined) memory.set(value, end);
    const target = valueTable + item * ARENA_ROW_BYTES;
    view.setUint32(target, end, true);
    view.setUint32(target + 4, value === undefined ? ARENA_NOT_FOUND : length, true);
    end += length;
  }
  return { done: count, outUsedEnd: end };
}
