/**
 * Twin of assembly/protobuf.ts: varints, tags, lengths, skipping. A reader is three registers that
 * carry nothing from one call to the next.
 */
import { PROTOBUF_DEPTH_MAX } from "../abi.js";
import { byteAt, putByte } from "./linear.js";

/** Read position. */
export let pos = 0;
/** Bits 0..31 and 32..63 of the varint that was read last, unsigned. */
export let low = 0;
export let high = 0;

/** Sets the read position. */
export function seek(to: number): void {
  pos = to;
}

/** Reads a varint of at most 10 bytes that ends before `end` into low and high. */
export function readVarint(end: number): boolean {
  let p = pos;
  let bits = 0;
  low = 0;
  high = 0;
  while (p < end && bits < 70) {
    const byte = byteAt(p++);
    const part = byte & 0x7f;
    if (bits < 28) low |= part << bits;
    else if (bits === 28) {
      low |= part << 28;
      high = part >>> 4;
    } else if (bits < 63) high |= part << (bits - 32);
    else high |= (part & 1) << 31;
    if (byte < 0x80) {
      low >>>= 0;
      high >>>= 0;
      pos = p;
      return true;
    }
    bits += 7;
  }
  return false;
}

/** Reads a tag into low; false for field 0 and tags beyond 32 bits. */
export function readTag(end: number): boolean {
  return readVarint(end) && high === 0 && low >>> 3 !== 0;
}

/** Reads a length into low; false when that many bytes do not follow before `end`. */
export function readLength(end: number): boolean {
  return readVarint(end) && high === 0 && low <= end - pos;
}

/** Skips the content of a field whose tag was read. */
export function skipField(tag: number, end: number, depth: number): boolean {
  const wireType = tag & 7;
  if (wireType === 0) return readVarint(end);
  if (wireType === 2) {
    if (!readLength(end)) return false;
    pos += low;
    return true;
  }
  if (wireType === 1 || wireType === 5) {
    const width = wireType === 1 ? 8 : 4;
    if (end - pos < width) return false;
    pos += width;
    return true;
  }
  if (wireType !== 3 || depth >= PROTOBUF_DEPTH_MAX) return false;
  for (;;) {
    if (!readTag(end)) return false;
    const inner = low;
    if ((inner & 7) === 4) return inner >>> 3 === tag >>> 3;
    if (!skipField(inner, end, depth + 1)) return false;
  }
}

/** Bytes that a u64 takes as a varint. */
export function varintSize(valueLow: number, valueHigh: number): number {
  if (valueHigh !== 0) return Math.floor((70 - Math.clz32(valueHigh)) / 7);
  if (valueLow < 0x80) return 1;
  return Math.floor((38 - Math.clz32(valueLow)) / 7);
}

/** Writes a u32 as a varint and returns the address behind it. */
export function writeVarint(to: number, value: number): number {
  let at = to;
  let rest = value >>> 0;
  while (rest >= 0x80) {
    putByte(at++, rest | 0x80);
    rest >>>= 7;
  }
  putByte(at++, rest);
  return at;
}

/** Writes a u64 as a varint and returns the address behind it. */
export function writeVarint64(to: number, valueLow: number, valueHigh: number): number {
  let at = to;
  let restLow = valueLow >>> 0;
  let restHigh = valueHigh >>> 0;
  while (restHigh !== 0) {
    putByte(at++, restLow | 0x80);
    // The lower 7 bits of high move into the upper bits of low.
    restLow = (restLow >>> 7) + (restHigh & 0x7f) * 0x200_0000;
    restHigh >>>= 7;
  }
  return writeVarint(at, restLow);
}
