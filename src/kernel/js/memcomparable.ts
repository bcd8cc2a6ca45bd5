/**
 * Twin of assembly/memcomparable.ts, and the single-item functions behind codec/memcomparable.ts:
 * the executable specification of the format. Groups of 8 bytes padded with 0, each followed by a
 * marker 0xff - padding; the last group always has padding. Descending inverts every byte.
 * Source: tikv codec/src/byte.rs (the format).
 */
import {
  CORRUPT,
  HEADER_ERR_ITEM,
  HEADER_NEEDED,
  HEADER_OUT_END,
  MEMCOMPARABLE_GROUP,
  MEMCOMPARABLE_GROUP_ENCODED,
  OUT_FULL,
} from "../abi.js";
import type { LinearMemory } from "../arena.js";

const MARKER_FULL = 0xff;
/** Marker of a group without any data. */
const MARKER_EMPTY = MARKER_FULL - MEMCOMPARABLE_GROUP;

/** Returns the length of the encoding of `length` bytes. */
export function memcomparableLength(length: number): number {
  return (Math.floor(length / MEMCOMPARABLE_GROUP) + 1) * MEMCOMPARABLE_GROUP_ENCODED;
}

/**
 * Encodes source[from .. from+length) at target[to]; `flip` is 0 ascending, 0xff descending.
 * Returns the end of the output. source and target may be the same memory, the areas not.
 */
export function memcomparableEncodeInto(
  target: Uint8Array,
  to: number,
  source: Uint8Array,
  from: number,
  length: number,
  flip: number,
): number {
  let at = to;
  const end = from + length;
  let next = from;
  for (; end - next >= MEMCOMPARABLE_GROUP; next += MEMCOMPARABLE_GROUP) {
    for (let i = 0; i < MEMCOMPARABLE_GROUP; i++) {
      target[at++] = (source[next + i] as number) ^ flip;
    }
    target[at++] = MARKER_FULL ^ flip;
  }
  const rest = end - next;
  for (let i = 0; i < rest; i++) target[at++] = (source[next + i] as number) ^ flip;
  for (let i = rest; i < MEMCOMPARABLE_GROUP; i++) target[at++] = flip;
  target[at++] = (MARKER_EMPTY + rest) ^ flip;
  return at;
}

/**
 * Returns the length of the encoding that starts at source[from] and ends before `end`, group by
 * group up to the first group with padding; -1 when it is cut, has a bad marker or bad padding.
 */
export function memcomparableScan(
  source: Uint8Array,
  from: number,
  end: number,
  flip: number,
): number {
  for (let at = from; end - at >= MEMCOMPARABLE_GROUP_ENCODED; at += MEMCOMPARABLE_GROUP_ENCODED) {
    const marker = (source[at + MEMCOMPARABLE_GROUP] as number) ^ flip;
    if (marker === MARKER_FULL) continue;
    if (marker < MARKER_EMPTY) return -1;
    for (let i = marker - MARKER_EMPTY; i < MEMCOMPARABLE_GROUP; i++) {
      if (source[at + i] !== flip) return -1;
    }
    return at + MEMCOMPARABLE_GROUP_ENCODED - from;
  }
  return -1;
}

/**
 * Decodes an encoding that `memcomparableScan` accepted and that is `length` bytes long.
 * Returns the end of the output.
 */
export function memcomparableDecodeInto(
  target: Uint8Array,
  to: number,
  source: Uint8Array,
  from: number,
  length: number,
  flip: number,
): number {
  let at = to;
  let next = from;
  const last = from + length - MEMCOMPARABLE_GROUP_ENCODED;
  for (; next < last; next += MEMCOMPARABLE_GROUP_ENCODED) {
    for (let i = 0; i < MEMCOMPARABLE_GROUP; i++) {
      target[at++] = (source[next + i] as number) ^ flip;
    }
  }
  const data = ((source[last + MEMCOMPARABLE_GROUP] as number) ^ flip) - MARKER_EMPTY;
  for (let i = 0; i < data; i++) target[at++] = (source[last + i] as number) ^ flip;
  return at;
}

/** Twin of the kernel of this name. */
export function memcomparableEncode(
  memory: LinearMemory,
  table: number,
  count: number,
  outTable: number,
  out: number,
  outEnd: number,
  desc: number,
): number {
  const { u8, u32 } = memory;
  const flip = desc === 0 ? 0 : 0xff;
  let to = out;
  for (let item = 0; item < count; item++) {
    const row = (table >> 2) + item * 2;
    const length = u32[row + 1] as number;
    const needed = memcomparableLength(length);
    if (needed > outEnd - to) {
      u32[HEADER_OUT_END >> 2] = to;
      u32[HEADER_ERR_ITEM >> 2] = item;
      u32[HEADER_NEEDED >> 2] = needed;
      return item === 0 ? OUT_FULL : item;
    }
    const outRow = (outTable >> 2) + item * 2;
    u32[outRow] = to;
    u32[outRow + 1] = needed;
    to = memcomparableEncodeInto(u8, to, u8, u32[row] as number, length, flip);
  }
  u32[HEADER_OUT_END >> 2] = to;
  return count;
}

/** Twin of the kernel of this name. */
export function memcomparableDecode(
  memory: LinearMemory,
  table: number,
  count: number,
  outTable: number,
  out: number,
  outEnd: number,
  desc: number,
): number {
  const { u8, u32 } = memory;
  const flip = desc === 0 ? 0 : 0xff;
  let to = out;
  for (let item = 0; item < count; item++) {
    const row = (table >> 2) + item * 2;
    const from = u32[row] as number;
    const length = u32[row + 1] as number;
    const needed = Math.floor(length / MEMCOMPARABLE_GROUP_ENCODED) * MEMCOMPARABLE_GROUP;
    if (needed > outEnd - to) {
      u32[HEADER_OUT_END >> 2] = to;
      u32[HEADER_ERR_ITEM >> 2] = item;
      u32[HEADER_NEEDED >> 2] = needed;
      return item === 0 ? OUT_FULL : item;
    }
    if (memcomparableScan(u8, from, from + length, flip) !== length) {
      u32[HEADER_OUT_END >> 2] = to;
      u32[HEADER_ERR_ITEM >> 2] = item;
      return CORRUPT;
    }
    const end = memcomparableDecodeInto(u8, to, u8, from, length, flip);
    const outRow = (outTable >> 2) + item * 2;
    u32[outRow] = to;
    u32[outRow + 1] = end - to;
    to = end;
  }
  u32[HEADER_OUT_END >> 2] = to;
  return count;
}
