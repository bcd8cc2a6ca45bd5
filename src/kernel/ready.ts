/**
 * Façade of the ready kernels: the Readies of one poll round become one WriteBatch, the round's
 * messages groups by target store. Layouts: assembly/raft_abi.ts. Hot path.
 */
import { assert } from "../base/index.js";
import { type Kernels, pick } from "./kernels.js";

/**
 * Fewest items for which wasm beats the twin in linear memory. bench/kernel/ready.ts, batch and
 * groups together, ns a peer, twin and SIMD build, busy 2-core machine, Node 20: 1910 and 1046 for
 * 1 peer, 1423 and 198 for 16, 1287 and 110 for 256, 1145 and 159 for 1,024.
 */
export const READY_WASM_MIN_ITEMS = 1;

/**
 * Builds one WriteBatch representation at `out` from `count` READY rows. Returns rows done, each
 * whole: `[out, arena.outEnd)` is a complete batch of them. OUT_FULL: not even the first fits
 * (`arena.needed` bytes would do). CORRUPT: row `arena.errItem` cuts backwards.
 */
export function readyBatch(
  kernels: Kernels,
  rows: number,
  count: number,
  entries: number,
  out: number,
  outEnd: number,
): number {
  assert(((rows | entries) & 3) === 0, "tables are aligned");
  assert(out <= outEnd && outEnd <= kernels.arena.scratch.end, "the output is inside the arena");
  const impl = pick(kernels, "readyBatch", count >= READY_WASM_MIN_ITEMS);
  return impl.readyBatch(rows, count, entries, out, outEnd);
}

/**
 * Groups `count` messages by their target, a dense index below `stores` (u32 each at `targets`).
 * `order` gets the message indexes, store by store; group s is
 * order[offsets[s] .. offsets[s + 1]). Returns count; CORRUPT with `arena.errItem`.
 */
export function readyGroup(
  kernels: Kernels,
  targets: number,
  count: number,
  stores: number,
  offsets: number,
  order: number,
): number {
  assert(((targets | offsets | order) & 3) === 0, "tables are aligned");
  const impl = pick(kernels, "readyGroup", count >= READY_WASM_MIN_ITEMS);
  return impl.readyGroup(targets, count, stores, offsets, order);
}
