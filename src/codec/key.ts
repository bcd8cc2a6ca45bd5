/**
 * Versioned keys, one at a time: memcomparable(user key) [· big-endian NOT(ts)]. "Encoded" names the
 * first part, "versioned" both. Batches are kernels (kernel/key.ts).
 * Source: tikv txn_types/src/types.rs.
 */
import { assert, U64_MAX } from "../base/index.js";
import { codecError } from "./error.js";
import { decodeBytes, encodeBytes } from "./memcomparable.js";

/** Bytes of the timestamp at the end of a versioned key. */
export const TS_SUFFIX_BYTES = 8;

/** Returns the encoded form of a user key. */
export function keyFromRaw(userKey: Uint8Array): Uint8Array {
  return encodeBytes(userKey);
}

/** Returns the user key of an encoded key without timestamp. Throws KV:Codec:BadPadding. */
export function keyToRaw(encoded: Uint8Array): Uint8Array {
  return decodeBytes(encoded);
}

/** Returns the user key of a versioned key. Throws KV:Codec:KeyLength, KV:Codec:BadPadding. */
export function keyToRawVersioned(versioned: Uint8Array): Uint8Array {
  return decodeBytes(keyTruncateTs(versioned));
}

/** The halves of a timestamp on its way to bytes and back; BigInt arithmetic costs more. */
const HALVES = new DataView(new ArrayBuffer(8));

/** Returns `encoded` with `ts` behind it; newer timestamps sort first. */
export function keyAppendTs(encoded: Uint8Array, ts: bigint): Uint8Array {
  assert(ts >= 0n && ts <= U64_MAX, "a timestamp has 64 bits");
  const { length } = encoded;
  const out = new Uint8Array(length + TS_SUFFIX_BYTES);
  out.set(encoded);
  HALVES.setBigUint64(0, ts);
  for (let i = 0; i < TS_SUFFIX_BYTES; i++) out[length + i] = ~HALVES.getUint8(i);
  return out;
}

function tsAt(bytes: Uint8Array, offset: number): bigint {
  for (let i = 0; i < TS_SUFFIX_BYTES; i++) HALVES.setUint8(i, ~(bytes[offset + i] as number));
  return HALVES.getBigUint64(0);
}

/** Returns the part before the timestamp, as a view. Throws KV:Codec:KeyLength if too short. */
export function keyTruncateTs(versioned: Uint8Array): Uint8Array {
  checkVersioned(versioned);
  return versioned.subarray(0, versioned.length - TS_SUFFIX_BYTES);
}

function checkVersioned({ length }: Uint8Array): void {
  if (length >= TS_SUFFIX_BYTES) return;
  throw codecError("KV:Codec:KeyLength", `a key of ${length} bytes has no timestamp`);
}

/** Returns the timestamp of a versioned key. Throws KV:Codec:KeyLength if too short. */
export function keyTs(versioned: Uint8Array): bigint {
  checkVersioned(versioned);
  return tsAt(versioned, versioned.length - TS_SUFFIX_BYTES);
}

/** Returns both parts of a versioned key; `key` is a view. Throws KV:Codec:KeyLength. */
export function keySplitTs(versioned: Uint8Array): {
  readonly key: Uint8Array;
  readonly ts: bigint;
} {
  const key = keyTruncateTs(versioned);
  return { key, ts: tsAt(versioned, key.length) };
}

/**
 * Returns whether `versioned` is a version of `encoded`. Lengths are compared first: "encoded is a
 * prefix" alone would take a longer user key for this one.
 */
export function isVersionOf(versioned: Uint8Array, encoded: Uint8Array): boolean {
  const { length } = encoded;
  if (versioned.length !== length + TS_SUFFIX_BYTES) return false;
  // From the end: neighbours differ there.
  for (let i = length - 1; i >= 0; i--) if (versioned[i] !== encoded[i]) return false;
  return true;
}
