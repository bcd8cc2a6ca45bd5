/**
 * Versioned keys, one at a time: memcomparable(user key) [· big-endian NOT(ts)]. "Encoded" names the
 * first part, "versioned" both. Batches are kernels (kernel/key.ts).
 * Source: tikv txn_types/src/types.rs.
 */
import { compareBytes } from "../base/index.js";
import { codecError } from "./error.js";
import { decodeBytes, encodeBytes } from "./memcomparable.js";
import { decodeU64Desc, encodeU64Desc } from "./number.js";

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

/** Returns `encoded` with `ts` behind it; newer timestamps sort first. */
export function keyAppendTs(encoded: Uint8Array, ts: bigint): Uint8Array {
  const out = new Uint8Array(encoded.length + TS_SUFFIX_BYTES);
  out.set(encoded);
  out.set(encodeU64Desc(ts), encoded.length);
  return out;
}

/** Returns the part before the timestamp, as a view. Throws KV:Codec:KeyLength if too short. */
export function keyTruncateTs(versioned: Uint8Array): Uint8Array {
  if (versioned.length < TS_SUFFIX_BYTES) {
    throw codecError("KV:Codec:KeyLength", `a key of ${versioned.length} bytes has no timestamp`);
  }
  return versioned.subarray(0, versioned.length - TS_SUFFIX_BYTES);
}

/** Returns the timestamp of a versioned key. Throws KV:Codec:KeyLength if too short. */
export function keyTs(versioned: Uint8Array): bigint {
  return decodeU64Desc(versioned, keyTruncateTs(versioned).length);
}

/** Returns both parts of a versioned key; `key` is a view. Throws KV:Codec:KeyLength. */
export function keySplitTs(versioned: Uint8Array): {
  readonly key: Uint8Array;
  readonly ts: bigint;
} {
  const key = keyTruncateTs(versioned);
  return { key, ts: decodeU64Desc(versioned, key.length) };
}

/**
 * Returns whether `versioned` is a version of `encoded`. Lengths are compared first: "encoded is a
 * prefix" alone would take a longer user key for this one.
 */
export function isVersionOf(versioned: Uint8Array, encoded: Uint8Array): boolean {
  if (versioned.length !== encoded.length + TS_SUFFIX_BYTES) return false;
  return compareBytes(versioned.subarray(0, encoded.length), encoded) === 0;
}
