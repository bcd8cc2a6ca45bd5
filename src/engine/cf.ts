/**
 * Our column families as a one-byte key prefix inside one RocksDB column family.
 * PERSISTED: do not renumber.
 */
import type { CfName } from "./types.js";

export const CF_PREFIX: Readonly<Record<CfName, number>> = {
  default: 0x64, // "d"
  lock: 0x6c, // "l"
  raft: 0x72, // "r"
  write: 0x77, // "w"
};

/** Returns `key` behind the prefix byte of `cf`. */
export function cfKey(cf: CfName, key: Uint8Array): Uint8Array {
  const out = new Uint8Array(key.length + 1);
  out[0] = CF_PREFIX[cf];
  out.set(key, 1);
  return out;
}

/** Returns the exclusive upper bound of a CF for `end`, where an empty `end` means +inf. */
export function cfUpperBound(cf: CfName, end: Uint8Array): Uint8Array {
  return end.length === 0 ? Uint8Array.of(CF_PREFIX[cf] + 1) : cfKey(cf, end);
}
