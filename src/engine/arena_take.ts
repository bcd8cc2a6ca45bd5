/**
 * The rows of `takeArena` and `seekArena`, and the plain way to fill them: a move for each entry. The
 * way over native pointers is in librocksdb_iter.ts.
 */
import { assert } from "../base/index.js";
import { CF_PREFIX } from "./cf.js";
import type { ArenaSeek, ArenaTake, ArenaTakeResult, CfName, Iter } from "./types.js";

/** Bytes of one row: u32 key pointer, key length, value pointer, value length. */
export const ARENA_ENTRY_BYTES = 16;

/** Asserts that rows and area lie in the memory. */
export function checkArenaTake({ memory, table, itemsMax, out, outEnd }: ArenaTake): void {
  assert(table % 4 === 0, "the table is aligned");
  assert(itemsMax >= 0 && table + itemsMax * ARENA_ENTRY_BYTES <= memory.length, "rows in memory");
  assert(out <= outEnd && outEnd <= memory.length, "the out area lies in memory");
}

/** Asserts that tables and area lie in the memory. */
export function checkArenaSeek({ memory, count, keyTable, table, out, outEnd }: ArenaSeek): void {
  assert(keyTable % 4 === 0 && keyTable + count * 8 <= memory.length, "keys in memory");
  checkArenaTake({ memory, table, itemsMax: count, out, outEnd, reverse: false });
}

/** Serves `request` with seeks of `iter`, which is over `cf`. */
export function arenaSeekByMoves(
  request: ArenaSeek,
  cf: CfName,
  iter: Pick<Iter, "seek" | "key" | "value">,
): ArenaTakeResult {
  checkArenaSeek(request);
  const { memory, count, keyTable, table, outEnd } = request;
  const view = new DataView(memory.buffer, memory.byteOffset, memory.byteLength);
  let end = request.out;
  for (let items = 0; items < count; items++) {
    const keyAt = view.getUint32(keyTable + items * 8, true);
    const keyEnd = keyAt + view.getUint32(keyTable + items * 8 + 4, true);
    const row = table + items * ARENA_ENTRY_BYTES;
    view.setUint32(row + 4, 0, true);
    if (!iter.seek(memory.slice(keyAt + 1, keyEnd))) continue;
    const filled = fillRow(memory, view, row, cf, iter.key(), iter.value(), end, outEnd);
    if (filled === 0) return { items, outUsedEnd: end };
    end = filled;
  }
  return { items: count, outUsedEnd: end };
}

/** Places an entry at `at` and fills its row. Returns the end of its bytes, 0 if it does not fit. */
function fillRow(
  memory: Uint8Array,
  view: DataView,
  row: number,
  cf: CfName,
  key: Uint8Array,
  value: Uint8Array,
  at: number,
  outEnd: number,
): number {
  const valueAt = at + 1 + key.length;
  if (valueAt + value.length > outEnd) return 0;
  memory[at] = CF_PREFIX[cf];
  memory.set(key, at + 1);
  memory.set(value, valueAt);
  view.setUint32(row, at, true);
  view.setUint32(row + 4, key.length + 1, true);
  view.setUint32(row + 8, valueAt, true);
  view.setUint32(row + 12, value.length, true);
  return valueAt + value.length;
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
    const filled = fillRow(memory, view, row, cf, iter.key(), iter.value(), end, outEnd);
    if (filled === 0) break;
    end = filled;
    row += ARENA_ENTRY_BYTES;
    if (reverse) iter.prev();
    else iter.next();
  }
  return { items, outUsedEnd: end };
}
