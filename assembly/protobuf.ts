/**
 * Protobuf's wire format: varints, tags, lengths, skipping. Not here: messages.
 * A reader is three registers; they carry nothing from one kernel call to the next.
 */
import { PROTOBUF_DEPTH_MAX } from "./batch_commands_abi";

/** Read position. */
export let pos: usize = 0;
/** Bits 0..31 and 32..63 of the varint that was read last. */
export let low: u32 = 0;
export let high: u32 = 0;

// @ts-ignore: decorator
@inline
/** Sets the read position. */
export function seek(to: usize): void {
  pos = to;
}

/** Reads a varint of at most 10 bytes that ends before `end` into low and high. */
export function readVarint(end: usize): bool {
  let p = pos;
  if (p >= end) return false;
  let byte: u32 = load<u8>(p++);
  if (byte < 0x80) {
    low = byte;
    high = 0;
    pos = p;
    return true;
  }
  let value: u64 = byte & 0x7f;
  let shift: u64 = 7;
  while (p < end && shift < 70) {
    byte = load<u8>(p++);
    value |= (<u64>(byte & 0x7f)) << shift;
    if (byte < 0x80) {
      low = <u32>value;
      high = <u32>(value >> 32);
      pos = p;
      return true;
    }
    shift += 7;
    if (shift == 63 && p < end) {
      // Of the tenth byte only bit 0 fits.
      byte = load<u8>(p++);
      if (byte >= 0x80) return false;
      value |= (<u64>(byte & 1)) << 63;
      low = <u32>value;
      high = <u32>(value >> 32);
      pos = p;
      return true;
    }
  }
  return false;
}

// @ts-ignore: decorator
@inline
/** Reads a tag into low; false for field 0 and tags beyond 32 bits. */
export function readTag(end: usize): bool {
  return readVarint(end) && high == 0 && low >>> 3 != 0;
}

// @ts-ignore: decorator
@inline
/** Reads a length into low; false when that many bytes do not follow before `end`. */
export function readLength(end: usize): bool {
  return readVarint(end) && high == 0 && <usize>low <= end - pos;
}

/** Skips the content of a field whose tag was read. */
export function skipField(tag: u32, end: usize, depth: i32): bool {
  const wireType = tag & 7;
  if (wireType == 0) return readVarint(end);
  if (wireType == 2) {
    if (!readLength(end)) return false;
    pos += <usize>low;
    return true;
  }
  if (wireType == 1 || wireType == 5) {
    const width: usize = wireType == 1 ? 8 : 4;
    if (end - pos < width) return false;
    pos += width;
    return true;
  }
  if (wireType != 3 || depth >= PROTOBUF_DEPTH_MAX) return false;
  while (readTag(end)) {
    const inner = low;
    if ((inner & 7) == 4) return inner >>> 3 == tag >>> 3;
    if (!skipField(inner, end, depth + 1)) return false;
  }
  return false;
}

/** Bytes that a u64 takes as a varint. */
export function varintSize(low: u32, high: u32): u32 {
  if (high == 0) {
    if (low < 0x80) return 1;
    if (low < 0x4000) return 2;
    return (38 - clz<u32>(low)) / 7;
  }
  return (70 - clz<u32>(high)) / 7;
}

/** Writes a u32 as a varint and returns the address behind it. */
export function writeVarint(to: usize, value: u32): usize {
  while (value >= 0x80) {
    store<u8>(to++, value | 0x80);
    value >>>= 7;
  }
  store<u8>(to++, value);
  return to;
}

/** Writes a u64 as a varint and returns the address behind it. */
export function writeVarint64(to: usize, low: u32, high: u32): usize {
  if (high == 0) return writeVarint(to, low);
  let value = ((<u64>high) << 32) | <u64>low;
  while (value >= 0x80) {
    store<u8>(to++, (<u8>value) | 0x80);
    value >>= 7;
  }
  store<u8>(to++, <u8>value);
  return to;
}
