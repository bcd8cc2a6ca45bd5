/**
 * Twin of assembly/key.ts: prefix · memcomparable(user key) · big-endian NOT(ts).
 * Source: tikv txn_types/src/types.rs (append_ts, split_on_ts_for).
 */
import {
  CORRUPT,
  HEADER_ERR_ITEM,
  HEADER_NEEDED,
  HEADER_OUT_END,
  OUT_FULL,
  TS_BYTES,
} from "../abi.js";
import type { LinearMemory } from "../arena.js";
import { memcomparableEncodeInto, memcomparableLength } from "./memcomparable.js";

/** Twin of the kernel of this name. */
export function keyAppendTs(
  memory: LinearMemory,
  table: number,
  tsTable: number,
  count: number,
  prefix: number,
  prefixLength: number,
  outTable: number,
  out: number,
  outEnd: number,
  encode: number,
): number {
  const { u8, u32, view } = memory;
  let to = out;
  for (let item = 0; item < count; item++) {
    const from = u32[(table >> 2) + item * 2] as number;
    const length = u32[(table >> 2) + item * 2 + 1] as number;
    const keyLength = encode === 0 ? length : memcomparableLength(length);
    const needed = prefixLength + keyLength + TS_BYTES;
    if (needed > outEnd - to) {
      u32[HEADER_OUT_END >> 2] = to;
      u32[HEADER_ERR_ITEM >> 2] = item;
      u32[HEADER_NEEDED >> 2] = needed;
      return item === 0 ? OUT_FULL : item;
    }
    u32[(outTable >> 2) + item * 2] = to;
    u32[(outTable >> 2) + item * 2 + 1] = needed;
    u8.copyWithin(to, prefix, prefix + prefixLength);
    to += prefixLength;
    if (encode === 0) u8.copyWithin(to, from, from + length);
    else memcomparableEncodeInto(u8, to, u8, from, length, 0);
    to += keyLength;
    const ts = (tsTable >> 2) + item * 2;
    view.setUint32(to, ~(u32[ts + 1] as number));
    view.setUint32(to + 4, ~(u32[ts] as number));
    to += TS_BYTES;
  }
  u32[HEADER_OUT_END >> 2] = to;
  return count;
}

/** Twin of the kernel of this name. */
export function keySplitTs(
  memory: LinearMemory,
  table: number,
  count: number,
  prefixLength: number,
  outTable: number,
  tsTable: number,
): number {
  const { u32, view } = memory;
  for (let item = 0; item < count; item++) {
    const from = u32[(table >> 2) + item * 2] as number;
    const length = u32[(table >> 2) + item * 2 + 1] as number;
    if (length < prefixLength + TS_BYTES) {
      u32[HEADER_ERR_ITEM >> 2] = item;
      return CORRUPT;
    }
    u32[(outTable >> 2) + item * 2] = from + prefixLength;
    u32[(outTable >> 2) + item * 2 + 1] = length - prefixLength - TS_BYTES;
    const at = from + length - TS_BYTES;
    u32[(tsTable >> 2) + item * 2] = ~view.getUint32(at + 4);
    u32[(tsTable >> 2) + item * 2 + 1] = ~view.getUint32(at);
  }
  return count;
}
