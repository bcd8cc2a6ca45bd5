/**
 * Single byte strings in the order-preserving encoding; batches are kernels (kernel/memcomparable.ts).
 * Groups of 8 bytes padded with 0, each followed by a marker 0xff - padding. Source: tikv
 * codec/src/byte.rs.
 */
import {
  memcomparableDecodeInto,
  memcomparableEncodeInto,
  memcomparableLength,
  memcomparableScan,
} from "../kernel/index.js";
import { codecError } from "./error.js";

const ASCENDING = 0;
const DESCENDING = 0xff;

/** A decoded value and the offset of the first byte behind its encoding. */
export interface Decoded<T> {
  readonly value: T;
  readonly end: number;
}

/** Returns the encoding; its byte order is the order of the strings, reversed with `desc`. */
export function encodeBytes(bytes: Uint8Array, desc = false): Uint8Array {
  const out = new Uint8Array(memcomparableLength(bytes.length));
  memcomparableEncodeInto(out, 0, bytes, 0, bytes.length, desc ? DESCENDING : ASCENDING);
  return out;
}

/**
 * Decodes the encoding that starts at `offset`; bytes behind it are ignored.
 * Throws KV:Codec:BadPadding when it is cut or malformed.
 */
export function decodeBytesAt(encoded: Uint8Array, offset = 0, desc = false): Decoded<Uint8Array> {
  const flip = desc ? DESCENDING : ASCENDING;
  const length = memcomparableScan(encoded, offset, encoded.length, flip);
  if (length < 0) {
    throw codecError("KV:Codec:BadPadding", `no memcomparable bytes at offset ${offset}`);
  }
  const out = new Uint8Array((length / 9) * 8);
  const end = memcomparableDecodeInto(out, 0, encoded, offset, length, flip);
  return { value: out.subarray(0, end), end: offset + length };
}

/** Decodes an encoding that is all of `encoded`. Throws KV:Codec:BadPadding. */
export function decodeBytes(encoded: Uint8Array, desc = false): Uint8Array {
  const { value, end } = decodeBytesAt(encoded, 0, desc);
  if (end !== encoded.length) {
    throw codecError("KV:Codec:BadPadding", `${encoded.length - end} bytes behind the encoding`);
  }
  return value;
}
