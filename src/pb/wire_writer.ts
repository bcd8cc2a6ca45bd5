/**
 * Protobuf's wire format into an array of known size, for small messages that are written a
 * thousand times. Numbers are below 2^53; zeros and empty strings are left out, as in proto3.
 * Hot path.
 */
import { assert, U64_MAX } from "../base/index.js";

const TWO_31 = 0x8000_0000;
/** Below this length a byte loop beats a view and `set`. */
const BULK_COPY_BYTES = 64;

/** Returns the bytes that a number takes as a varint. */
export function varintSize(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x20_0000) return 3;
  let size = 3;
  for (let rest = value / 0x20_0000; rest >= 1; rest /= 128) size++;
  return size;
}

/** Returns the bytes of a number field whose tag takes one byte. Asserts 0 ≤ value < 2^53. */
export function fieldSize(value: number): number {
  assert(Number.isSafeInteger(value) && value >= 0, "numbers on the wire are below 2^53");
  return value === 0 ? 0 : 1 + varintSize(value);
}

/** Returns the bytes of a length-delimited field whose tag takes one byte; 0 if it is empty. */
export function bytesSize(length: number): number {
  return length === 0 ? 0 : 1 + varintSize(length) + length;
}

/** Halves of a u64 on its way to bytes; BigInt arithmetic costs more. */
const HALVES = new DataView(new ArrayBuffer(8));

/** Returns the bytes of a field whose tag takes one byte. Asserts 0 ≤ value < 2^64. */
export function u64FieldSize(value: bigint): number {
  assert(value >= 0n && value <= U64_MAX, "numbers on the wire have 64 bits");
  if (value === 0n) return 0;
  HALVES.setBigUint64(0, value);
  const high = HALVES.getUint32(0);
  if (high === 0) return 1 + varintSize(HALVES.getUint32(4));
  return 1 + Math.ceil((64 - Math.clz32(high)) / 7);
}

/** Writes fields from the front; the caller has computed their size. */
export class WireWriter {
  at = 0;

  constructor(readonly bytes: Uint8Array) {}

  varint(value: number): void {
    const { bytes } = this;
    let at = this.at;
    let rest = value;
    while (rest >= TWO_31) {
      bytes[at++] = (rest % 128) | 0x80;
      rest = Math.floor(rest / 128);
    }
    while (rest >= 0x80) {
      bytes[at++] = rest | 0x80;
      rest >>>= 7;
    }
    bytes[at++] = rest;
    this.at = at;
  }

  /** A number field; `tag` is field number times 8. */
  field(tag: number, value: number): void {
    if (value === 0) return;
    this.bytes[this.at++] = tag;
    this.varint(value);
  }

  /** As `field`, of any u64. */
  u64Field(tag: number, value: bigint): void {
    if (value === 0n) return;
    HALVES.setBigUint64(0, value);
    let high = HALVES.getUint32(0);
    let low = HALVES.getUint32(4);
    const { bytes } = this;
    let at = this.at;
    bytes[at++] = tag;
    while (high > 0 || low >= 0x80) {
      bytes[at++] = (low & 0x7f) | 0x80;
      low = ((low >>> 7) | ((high & 0x7f) << 25)) >>> 0;
      high >>>= 7;
    }
    bytes[at++] = low;
    this.at = at;
  }

  /** Tag and length of a field whose content follows; written for an empty one as well. */
  open(tag: number, length: number): void {
    this.bytes[this.at++] = tag;
    this.varint(length);
  }

  bytesField(tag: number, value: Uint8Array): void {
    if (value.length === 0) return;
    this.open(tag, value.length);
    this.copy(value, 0, value.length);
  }

  /** Copies `[ptr, ptr + length)` of `source`. */
  copy(source: Uint8Array, ptr: number, length: number): void {
    const { bytes, at } = this;
    if (length >= BULK_COPY_BYTES) bytes.set(source.subarray(ptr, ptr + length), at);
    else for (let i = 0; i < length; i++) bytes[at + i] = source[ptr + i] as number;
    this.at = at + length;
  }

  /** Returns the array; asserts that it is full. */
  finish(): Uint8Array {
    assert(this.at === this.bytes.length, "what is written has the size that was computed");
    return this.bytes;
  }
}
