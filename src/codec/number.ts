/**
 * Numbers in keys and values: comparable (fixed length, byte order = number order) and varints.
 * 64-bit integers are BigInt. Source: tikv codec/src/number.rs.
 */
import { assert } from "../base/index.js";
import { codecError } from "./error.js";
import type { Decoded } from "./memcomparable.js";

const U64_BYTES = 8;
const VARINT_MAX_BYTES = 10;
const SIGN_BIT = 1n << 63n;
const U64_MAX = (1n << 64n) - 1n;

function fixed(write: (view: DataView) => void): Uint8Array {
  const out = new Uint8Array(U64_BYTES);
  write(new DataView(out.buffer));
  return out;
}

function fixedU64(bytes: Uint8Array, offset: number): bigint {
  if (bytes.length - offset < U64_BYTES) {
    throw codecError("KV:Codec:Io", `${U64_BYTES} bytes wanted at offset ${offset}`);
  }
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length).getBigUint64(offset);
}

function checkU64(value: bigint): void {
  assert(value >= 0n && value <= U64_MAX, "an unsigned number has 64 bits");
}

/** Returns the big-endian bytes, which sort as the numbers do. */
export function encodeU64(value: bigint): Uint8Array {
  checkU64(value);
  return fixed((view) => view.setBigUint64(0, value));
}

/** Returns the big-endian bytes of NOT(value), which sort in reverse. */
export function encodeU64Desc(value: bigint): Uint8Array {
  checkU64(value);
  return fixed((view) => view.setBigUint64(0, U64_MAX - value));
}

/** Reads what `encodeU64` wrote. Throws KV:Codec:Io when the bytes are cut, as all below. */
export function decodeU64(bytes: Uint8Array, offset = 0): bigint {
  return fixedU64(bytes, offset);
}

/** Reads what `encodeU64Desc` wrote. */
export function decodeU64Desc(bytes: Uint8Array, offset = 0): bigint {
  return U64_MAX - fixedU64(bytes, offset);
}

/** Returns the comparable bytes of a signed number: the sign bit flipped. */
export function encodeI64(value: bigint): Uint8Array {
  assert(value >= -SIGN_BIT && value < SIGN_BIT, "a signed number has 64 bits");
  return fixed((view) => view.setBigUint64(0, BigInt.asUintN(64, value) ^ SIGN_BIT));
}

/** Reads what `encodeI64` wrote. */
export function decodeI64(bytes: Uint8Array, offset = 0): bigint {
  return BigInt.asIntN(64, fixedU64(bytes, offset) ^ SIGN_BIT);
}

/** As `encodeI64`, sorting in reverse. */
export function encodeI64Desc(value: bigint): Uint8Array {
  return encodeI64(-1n - value);
}

/** Reads what `encodeI64Desc` wrote. */
export function decodeI64Desc(bytes: Uint8Array, offset = 0): bigint {
  return -1n - decodeI64(bytes, offset);
}

/**
 * Returns the comparable bytes of a float: sign bit flipped if positive, all bits if negative.
 * -0 sorts before 0; NaN has a place but no meaning.
 */
export function encodeF64(value: number): Uint8Array {
  const bits = fixedU64(
    fixed((view) => view.setFloat64(0, value)),
    0,
  );
  return fixed((view) => view.setBigUint64(0, bits < SIGN_BIT ? bits | SIGN_BIT : U64_MAX - bits));
}

/** Reads what `encodeF64` wrote. */
export function decodeF64(bytes: Uint8Array, offset = 0): number {
  const encoded = fixedU64(bytes, offset);
  const bits = encoded >= SIGN_BIT ? encoded ^ SIGN_BIT : U64_MAX - encoded;
  return new DataView(encodeU64(bits).buffer).getFloat64(0);
}

/** Returns protobuf's varint: 7 bits a byte, lowest first. */
export function encodeVarU64(value: bigint): Uint8Array {
  checkU64(value);
  const out: number[] = [];
  let rest = value;
  for (; rest >= 0x80n; rest >>= 7n) out.push(Number(rest & 0x7fn) | 0x80);
  out.push(Number(rest));
  return Uint8Array.from(out);
}

/** Reads a varint. Throws KV:Codec:Io when it is cut or exceeds 64 bits. */
export function decodeVarU64(bytes: Uint8Array, offset = 0): Decoded<bigint> {
  let value = 0n;
  for (let i = 0; i < VARINT_MAX_BYTES; i++) {
    const byte = bytes[offset + i];
    if (byte === undefined) throw codecError("KV:Codec:Io", `a varint at ${offset} is cut`);
    value |= BigInt(byte & 0x7f) << BigInt(7 * i);
    if (byte < 0x80) {
      if (value > U64_MAX) break;
      return { value, end: offset + i + 1 };
    }
  }
  throw codecError("KV:Codec:Io", `a varint at ${offset} exceeds 64 bits`);
}

/** Returns the varint of the zig-zag form: 0, -1, 1, -2 … become 0, 1, 2, 3 … */
export function encodeVarI64(value: bigint): Uint8Array {
  assert(value >= -SIGN_BIT && value < SIGN_BIT, "a signed number has 64 bits");
  return encodeVarU64(BigInt.asUintN(64, (value << 1n) ^ (value >> 63n)));
}

/** Reads what `encodeVarI64` wrote. Throws as `decodeVarU64`. */
export function decodeVarI64(bytes: Uint8Array, offset = 0): Decoded<bigint> {
  const { value, end } = decodeVarU64(bytes, offset);
  return { value: (value >> 1n) ^ -(value & 1n), end };
}
