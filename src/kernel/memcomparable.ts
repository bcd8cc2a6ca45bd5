/** Façade of the memcomparable kernels: batches of byte strings inside linear memory. Hot path. */
import { assert } from "../base/index.js";
import { type Kernels, pick } from "./kernels.js";

/**
 * Fewest items for which wasm beats the twin in linear memory. Measured in ns a call, twin and SIMD
 * build, one build a process, best of 300, Node 20, x86-64:
 * encode 169 and 15 for 1 item, 2314 and 98 for 16; decode 150 and 28, 2459 and 134.
 */
export const MEMCOMPARABLE_WASM_MIN_ITEMS = 1;

/**
 * Encodes the `count` strings of slice table `table` into `[out, outEnd)`, one after the other, and
 * lists them in `outTable` (count rows, disjoint from the output). Returns items done; fewer than
 * count, or OUT_FULL for none, means that the output is full. `arena.outEnd` is the end of the
 * output. Source: tikv codec/src/byte.rs.
 */
export function memcomparableEncode(
  kernels: Kernels,
  table: number,
  count: number,
  outTable: number,
  out: number,
  outEnd: number,
  desc: boolean,
): number {
  checkPlaces(kernels, table | outTable, out, outEnd);
  const chosen = pick(kernels, "memcomparableEncode", count >= MEMCOMPARABLE_WASM_MIN_ITEMS);
  return chosen.memcomparableEncode(table, count, outTable, out, outEnd, desc ? 1 : 0);
}

/**
 * Decodes the `count` encodings of slice table `table`, each filling its slice exactly. As
 * `memcomparableEncode`; CORRUPT when one is malformed: `arena.errItem` says which, items before it
 * are done. The output area may hold garbage behind `arena.outEnd`.
 */
export function memcomparableDecode(
  kernels: Kernels,
  table: number,
  count: number,
  outTable: number,
  out: number,
  outEnd: number,
  desc: boolean,
): number {
  checkPlaces(kernels, table | outTable, out, outEnd);
  const chosen = pick(kernels, "memcomparableDecode", count >= MEMCOMPARABLE_WASM_MIN_ITEMS);
  return chosen.memcomparableDecode(table, count, outTable, out, outEnd, desc ? 1 : 0);
}

function checkPlaces(kernels: Kernels, tables: number, out: number, outEnd: number): void {
  assert((tables & 3) === 0, "slice tables are aligned");
  assert(out <= outEnd && outEnd <= kernels.arena.scratch.end, "the output is inside the arena");
}
