/**
 * Façade of the WriteBatch kernel: raw puts and deletes become the bytes that RocksDB writes,
 * without leaving linear memory. Row layout: assembly/abi.ts. Hot path.
 */
import { assert } from "../base/index.js";
import {
  KEY_PREFIX_MAX,
  WRITE_ROW_BYTES,
  WRITE_ROW_KEY_LENGTH,
  WRITE_ROW_KEY_PTR,
  WRITE_ROW_SUFFIX_MAX,
  WRITE_ROW_VALUE_LENGTH,
  WRITE_ROW_VALUE_PTR,
} from "./abi.js";
import type { LinearMemory } from "./arena.js";
import { type Kernels, pick } from "./kernels.js";
import type { KeyPrefix } from "./key.js";

/**
 * Fewest items for which wasm beats the twin in linear memory. Measured in ns a call, twin and SIMD
 * build, one build a process, best of 300, Node 20, x86-64:
 * 169 and 46 for 1 put of 16 and 100 bytes, 3261 and 384 for 16. Single changes from JavaScript
 * arrays go to the builder of engine/write_batch.ts, which saves their way into linear memory.
 */
export const WRITE_BATCH_WASM_MIN_ITEMS = 1;

/**
 * Fills row `item` of a table of changes. `op` is a WRITE_BATCH_ tag; pointers are addresses in
 * linear memory. The suffix is empty; a put with one writes it behind (WRITE_ROW_SUFFIX).
 */
export function setWriteRow(
  memory: LinearMemory,
  rows: number,
  item: number,
  op: number,
  key: number,
  keyLength: number,
  value: number,
  valueLength: number,
): void {
  const row = rows + item * WRITE_ROW_BYTES;
  memory.u32[row >> 2] = op;
  memory.u32[(row + WRITE_ROW_KEY_PTR) >> 2] = key;
  memory.u32[(row + WRITE_ROW_KEY_LENGTH) >> 2] = keyLength;
  memory.u32[(row + WRITE_ROW_VALUE_PTR) >> 2] = value;
  memory.u32[(row + WRITE_ROW_VALUE_LENGTH) >> 2] = valueLength;
}

/**
 * Builds one WriteBatch representation at `out` from `count` rows; every key gets `prefix`.
 * Returns rows done: `[out, arena.outEnd)` is a complete batch of them. Fewer than count: the
 * output is full; OUT_FULL: not even the first row fits (`arena.needed` bytes would do); CORRUPT: row
 * `arena.errItem` has an unknown op, a suffix over WRITE_ROW_SUFFIX_MAX or a range that is empty.
 */
export function writeBatchBuild(
  kernels: Kernels,
  rows: number,
  count: number,
  prefix: KeyPrefix,
  out: number,
  outEnd: number,
): number {
  const { arena } = kernels;
  assert((rows & 3) === 0, "the table of changes is aligned");
  assert(prefix.length <= KEY_PREFIX_MAX, "a key prefix is short");
  // The end of "all keys with this prefix" is the prefix with its last byte increased.
  assert(
    prefix.length === 0 || arena.u8[prefix.ptr + prefix.length - 1] !== 0xff,
    "a key prefix does not end in 0xff",
  );
  assert(out <= outEnd && outEnd <= arena.scratch.end, "the output is inside the arena");
  return pick(kernels, "writeBatchBuild", count >= WRITE_BATCH_WASM_MIN_ITEMS).writeBatchBuild(
    rows,
    count,
    prefix.ptr,
    prefix.length,
    out,
    outEnd,
  );
}

assert(WRITE_ROW_SUFFIX_MAX >= 9, "an expiry and the flags of API V2 fit into the suffix");
