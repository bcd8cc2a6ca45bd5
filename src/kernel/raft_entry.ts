/**
 * Façade of the raft_entry kernels: raft log entries and messages between tables and the wire.
 * Layouts: assembly/raft_abi.ts. Hot path. Bytes of decoded rows are views into the frame.
 */
import { assert } from "../base/index.js";
import { type Kernels, pick } from "./kernels.js";

/**
 * Fewest items for which wasm beats the twin in linear memory. bench/kernel/raft_entry.ts, entries
 * of 256 bytes, ns an entry, twin and SIMD build, busy 2-core machine, Node 20: encode 367 and 141
 * for 1, 314 and 54 for 64; one MsgAppend of 64 encodes in 274 and 63, decodes in 357 and 106.
 */
export const RAFT_ENTRY_WASM_MIN_ITEMS = 1;

function check(kernels: Kernels, tables: number, out: number, outEnd: number): void {
  assert((tables & 3) === 0, "tables are aligned");
  assert(out <= outEnd && outEnd <= kernels.arena.scratch.end, "the output is inside the arena");
}

/**
 * Encodes `count` ENTRY rows one behind the other at `out`; `outTable` gets their slices. Returns
 * entries done; OUT_FULL when the first does not fit (`arena.needed` bytes would do).
 */
export function raftEntryEncode(
  kernels: Kernels,
  rows: number,
  count: number,
  outTable: number,
  out: number,
  outEnd: number,
): number {
  check(kernels, rows | outTable, out, outEnd);
  const impl = pick(kernels, "raftEntryEncode", count >= RAFT_ENTRY_WASM_MIN_ITEMS);
  return impl.raftEntryEncode(rows, count, outTable, out, outEnd);
}

/** Decodes the entries of a slice table. Returns count, or CORRUPT with `arena.errItem`. */
export function raftEntryDecode(
  kernels: Kernels,
  table: number,
  count: number,
  rows: number,
): number {
  check(kernels, table | rows, 0, 0);
  const impl = pick(kernels, "raftEntryDecode", count >= RAFT_ENTRY_WASM_MIN_ITEMS);
  return impl.raftEntryDecode(table, count, rows);
}

/**
 * Encodes messages one behind the other, those that the `count` u32 indexes at `order` name, or
 * with `order` 0 the first `count` rows. Returns messages done; OUT_FULL as above.
 */
export function raftMessageEncode(
  kernels: Kernels,
  messages: number,
  order: number,
  count: number,
  entries: number,
  outTable: number,
  out: number,
  outEnd: number,
): number {
  check(kernels, messages | order | entries | outTable, out, outEnd);
  const impl = pick(kernels, "raftMessageEncode", count >= RAFT_ENTRY_WASM_MIN_ITEMS);
  return impl.raftMessageEncode(messages, order, count, entries, outTable, out, outEnd);
}

/**
 * Decodes the messages of a slice table, and their entries into `capacity` ENTRY rows. Returns
 * messages done; fewer when the entry rows are full (`arena.outEnd` is behind those in use);
 * OUT_FULL when the first message alone has too many (`arena.needed` bytes of rows would do);
 * CORRUPT with `arena.errItem`, the messages before it done.
 */
export function raftMessageDecode(
  kernels: Kernels,
  table: number,
  count: number,
  messages: number,
  entries: number,
  capacity: number,
): number {
  check(kernels, table | messages | entries, 0, 0);
  const impl = pick(kernels, "raftMessageDecode", count >= RAFT_ENTRY_WASM_MIN_ITEMS);
  return impl.raftMessageDecode(table, count, messages, entries, capacity);
}
