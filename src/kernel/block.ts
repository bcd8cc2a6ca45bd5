/**
 * Slice tables from and to JavaScript arrays: the copies at the edge of linear memory. Between
 * kernels nothing is copied, so a hot path comes here once with whole frames, if at all.
 */
import { assert } from "../base/index.js";
import { SLICE_BYTES } from "./abi.js";
import type { LinearMemory, Region } from "./arena.js";

/**
 * Copies `items` one after the other into `region`, behind a slice table that lists them.
 * Returns the table's address, or 0 when they do not fit (nothing is reserved then).
 */
export function writeSlices(
  memory: LinearMemory,
  region: Region,
  items: readonly Uint8Array[],
): number {
  let bytes = 0;
  for (const item of items) bytes += item.length;
  const table = region.reserve(items.length * SLICE_BYTES + bytes);
  if (table === 0) return 0;
  let row = table >> 2;
  let at = table + items.length * SLICE_BYTES;
  for (const item of items) {
    memory.u32[row] = at;
    memory.u32[row + 1] = item.length;
    memory.u8.set(item, at);
    at += item.length;
    row += 2;
  }
  return table;
}

/** Returns copies of the `count` slices of a table. */
export function readSlices(memory: LinearMemory, table: number, count: number): Uint8Array[] {
  assert(table % 4 === 0, "a slice table is aligned");
  const items: Uint8Array[] = [];
  for (let row = table >> 2; items.length < count; row += 2) {
    const at = memory.u32[row] as number;
    items.push(memory.u8.slice(at, at + (memory.u32[row + 1] as number)));
  }
  return items;
}
