/**
 * Façade of the MVCC kernels: which version of each key a reader sees, over blocks of raw engine
 * entries in linear memory. Layouts and parameters: assembly/mvcc_abi.ts. Hot path. Who fills blocks
 * and makes answers of rows: src/mvcc.
 */
import { assert } from "../base/index.js";
import {
  MVCC_DEFAULTS,
  MVCC_ITEMS,
  MVCC_ITEMS_COUNT,
  MVCC_LOCKS,
  MVCC_OUT,
  MVCC_OUT_END,
  MVCC_ROWS,
  MVCC_ROWS_CAPACITY,
  MVCC_WRITES,
  MVCC_WRITES_COUNT,
} from "./abi.js";
import { type Kernels, pick } from "./kernels.js";

/**
 * Fewest entries (mvccScan) or items (mvccPoint) for which wasm beats the twin in linear memory.
 * bench/kernel/mvcc_scan.ts, ns an entry, twin and SIMD build, busy 2-core machine, Node 20: range of
 * 1,024 entries 422 and 52 with 1 version a key, 269 and 28 with 2, 155 and 10 with 8, 109 and 6 with
 * 64; one key of one version 849 and 111. Points, ns a key: 331 and 109 for 1, 315 and 35 for 128.
 */
export const MVCC_SCAN_WASM_MIN_ENTRIES = 1;
export const MVCC_POINT_WASM_MIN_ITEMS = 1;

/** Asserts what the kernels trust. */
function check(kernels: Kernels, params: number): void {
  const { u32, scratch } = kernels.arena;
  const at = params >> 2;
  const tables =
    (u32[at + MVCC_WRITES / 4] as number) |
    (u32[at + MVCC_LOCKS / 4] as number) |
    (u32[at + MVCC_ROWS / 4] as number) |
    (u32[at + MVCC_DEFAULTS / 4] as number) |
    (u32[at + MVCC_ITEMS / 4] as number);
  assert(((params | tables) & 3) === 0, "parameters and tables are aligned");
  const outEnd = u32[at + MVCC_OUT_END / 4] as number;
  assert((u32[at + MVCC_OUT / 4] as number) <= outEnd, "the output area is not negative");
  assert(outEnd <= scratch.end, "the output is inside the arena");
}

/**
 * Decides the keys of a range from a block of the write CF and one of the lock CF; a lock on a key
 * without versions counts. Keys of which nothing is visible make no row. Returns rows done; the
 * parameters say why it ended (MVCC_STOP) and from where the next call goes on. OUT_FULL when the
 * first default key does not fit (`arena.needed`). CORRUPT for a record that does not parse: entry
 * `arena.errItem` of the block that MVCC_ERR_CF names; the rows before it are done (MVCC_ROWS_DONE).
 * Pointers in rows are valid as long as the blocks are.
 */
export function mvccScan(kernels: Kernels, params: number): number {
  check(kernels, params);
  const entries = kernels.arena.u32[(params + MVCC_WRITES_COUNT) >> 2] as number;
  return pick(kernels, "mvccScan", entries >= MVCC_SCAN_WASM_MIN_ENTRIES).mvccScan(params);
}

/**
 * Decides each item from its entries in the write block and its row in the lock table; makes a row
 * for each. Returns items done; fewer, or OUT_FULL for none, when default keys do not fit. CORRUPT:
 * `arena.errItem` is the write entry, or the item whose lock is damaged.
 */
export function mvccPoint(kernels: Kernels, params: number): number {
  check(kernels, params);
  const { u32 } = kernels.arena;
  const items = u32[(params + MVCC_ITEMS_COUNT) >> 2] as number;
  assert(items <= (u32[(params + MVCC_ROWS_CAPACITY) >> 2] as number), "each item has a row");
  return pick(kernels, "mvccPoint", items >= MVCC_POINT_WASM_MIN_ITEMS).mvccPoint(params);
}
