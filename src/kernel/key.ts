/** Façade of the versioned-key kernels; strings and timestamps lie in linear memory. Hot path. */
import { assert } from "../base/index.js";
import { KEY_PREFIX_MAX } from "./abi.js";
import { type Kernels, pick } from "./kernels.js";

/**
 * Fewest items for which wasm beats the twin in linear memory. Measured in ns a call, twin and SIMD
 * build, one build a process, best of 300, Node 20, x86-64:
 * append 159 and 56 for 1 item, 2051 and 157 for 16; split 21 and 25 for 1, 69 and 44 for 2.
 */
export const KEY_APPEND_WASM_MIN_ITEMS = 1;
export const KEY_SPLIT_WASM_MIN_ITEMS = 2;

/** Bytes to put in front of every key. */
export interface KeyPrefix {
  readonly ptr: number;
  /** At most KEY_PREFIX_MAX. */
  readonly length: number;
}

/**
 * Builds prefix · key · NOT(ts) for `count` rows of the slice table `table` and the u64 table
 * `tsTable` (both 8-byte rows, 4-byte aligned) into `[out, outEnd)`; lists them in `outTable`.
 * `encode`: the slices are user keys, to be memcomparable-encoded; else they are encoded already.
 * Returns items done; fewer than count, or OUT_FULL for none, means that the output is full.
 */
export function keyAppendTs(
  kernels: Kernels,
  table: number,
  tsTable: number,
  count: number,
  prefix: KeyPrefix,
  outTable: number,
  out: number,
  outEnd: number,
  encode: boolean,
): number {
  assert(((table | tsTable | outTable) & 3) === 0, "tables are aligned");
  assert(prefix.length <= KEY_PREFIX_MAX, "a key prefix is short");
  assert(out <= outEnd && outEnd <= kernels.arena.scratch.end, "the output is inside the arena");
  return pick(kernels, "keyAppendTs", count >= KEY_APPEND_WASM_MIN_ITEMS).keyAppendTs(
    table,
    tsTable,
    count,
    prefix.ptr,
    prefix.length,
    outTable,
    out,
    outEnd,
    encode ? 1 : 0,
  );
}

/**
 * Takes `count` keys apart in place: `outTable` gets the slices between the prefix and the
 * timestamp, `tsTable` the timestamps. `outTable` may be `table`. Returns items done, or CORRUPT
 * for a key shorter than prefix and timestamp (`arena.errItem`).
 */
export function keySplitTs(
  kernels: Kernels,
  table: number,
  count: number,
  prefixLength: number,
  outTable: number,
  tsTable: number,
): number {
  assert(((table | tsTable | outTable) & 3) === 0, "tables are aligned");
  return pick(kernels, "keySplitTs", count >= KEY_SPLIT_WASM_MIN_ITEMS).keySplitTs(
    table,
    count,
    prefixLength,
    outTable,
    tsTable,
  );
}
