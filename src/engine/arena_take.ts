/**
 * The rows of `takeArena`, and the plain way to fill them: a move for each entry. The way over native
 * pointers is in librocksdb_iter.ts.
 */
import { assert } from "../base/index.js";
import { CF_PREFIX } from "./cf.js";
import type { ArenaTake, ArenaTakeResult, CfName, Iter } from "./types.js";

/** Bytes of one row: u32 key pointer, key length, value pointer, value length. */
export const ARENA_ENTRY_BYTES = 16;

/** Asserts that rows and area lie in the memory. */
export function checkArenaTake({ memory, table, itemsMax, out, outEnd }: ArenaTake): void {
  assert(table % 4 === 0, "the table is aligned");
  assert(itemsMax >= 0 && table + itemsMax * ARENA_ENTRY_BYTES <= memory.length, "rows in memory");
  assert(out <= outEnd && outEnd <= memory.length, "the out area lies in memory");
}

/** Serves `request` with the moves of `iter`, which is over `cf`. */
export function arenaTakeByMoves(
  request: ArenaTake,
  cf: CfName,
  iter: Pick<Iter, "valid" | "key" | "value" | "next" | "prev">,
): ArenaTakeResult {
  checkArenaTake(request);
  const { memory, itemsMax, outEnd, reverse } = request;
  const view = new DataView(memory.buffer, memory.byteOffset, memory.byteLength);
  let end = request.out;
  let row = request.table;
  let items = 0;
  for (; iter.valid && items < itemsMax; items++) {
    const key = iter.key();
    const value = iter.value();
    const valueAt = end + 1 + key.length;
    if (valueAt + value.length > outEnd) break;
    memory[end] = CF_PREFIX[cf];
    memory.set(key, end + 1);
    memory.set(value, valueAt);
    view.setUint32(row, end, true);
    view.setUint32(row + 4, key.length + 1, true);
    view.setUint32(row + 8, valueAt, true);
    view.setUint32(row + 12, value.length, true);
    row += ARENA_ENTRY_BYTES;
    end = valueAt + value.length;
    if (reverse) iter.prev();
    else iter.next();
  }
  return { items, outUsedEnd: end };
}
