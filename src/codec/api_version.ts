/**
 * Key modes of API V1, V1TTL and V2, which requests a store of each version takes, and how raw keys
 * and keyspaces are laid out. Values: raw_value.ts. Source: tikv components/api_version,
 * storage/mod.rs check_api_version.
 */
import { assert, concatBytes, EMPTY_BYTES, prefixNext } from "../base/index.js";
import { keyAppendTs, keyFromRaw, keySplitTs, keyToRaw } from "./key.js";
import type { BoundedRange } from "./keys.js";

/** kvrpcpb.APIVersion. */
export const API_VERSION = { V1: 0, V1TTL: 1, V2: 2 } as const;
export type ApiVersion = (typeof API_VERSION)[keyof typeof API_VERSION];

/** Who owns a key, told from its first byte. */
export type KeyMode = "raw" | "txn" | "tidb" | "unknown";

const RAW_PREFIX = 0x72; // "r"
const TXN_PREFIX = 0x78; // "x"
const TIDB_META_PREFIX = 0x6d; // "m"
const TIDB_TABLE_PREFIX = 0x74; // "t"

/** Returns the mode of a key as a store of `version` sees it. */
export function keyModeOf(version: ApiVersion, key: Uint8Array): KeyMode {
  if (version === API_VERSION.V1TTL) return "raw";
  const first = key[0];
  if (first === TIDB_META_PREFIX || first === TIDB_TABLE_PREFIX) return "tidb";
  if (version === API_VERSION.V1) return "unknown";
  if (first === RAW_PREFIX) return "raw";
  return first === TXN_PREFIX ? "txn" : "unknown";
}

/**
 * Returns the mode of `[start, end)`. In V2 a range is complete: neither end is empty, and both lie in
 * one mode; the end may be the first byte behind the mode, alone.
 */
export function rangeModeOf(version: ApiVersion, start: Uint8Array, end: Uint8Array): KeyMode {
  if (version === API_VERSION.V1TTL) return "raw";
  const [first] = start;
  const [last] = end;
  if (first === undefined || last === undefined) return "unknown";
  if (first === last || (end.length === 1 && last === first + 1)) return keyModeOf(version, start);
  return "unknown";
}

/** Whether a raw request may run; texts for clients are made where the command is known. */
export type RawCheck =
  | { readonly ok: true }
  | { readonly ok: false; readonly reason: "apiVersionNotMatched" }
  | { readonly ok: false; readonly reason: "invalidKeyMode"; readonly key: Uint8Array }
  | {
      readonly ok: false;
      readonly reason: "invalidKeyRangeMode";
      readonly start: Uint8Array;
      readonly end: Uint8Array;
    };

const PASSED: RawCheck = { ok: true };
const NOT_MATCHED: RawCheck = { ok: false, reason: "apiVersionNotMatched" };

/**
 * Returns whether a store of version `store` takes raw requests of version `request`: V1 and V1TTL
 * take V1, V2 takes V2. V1TTL is never a request's version.
 */
function versionsMatch(store: ApiVersion, request: number): boolean {
  return store === API_VERSION.V2 ? request === API_VERSION.V2 : request === API_VERSION.V1;
}

/** Checks version and keys of a raw request; the first bad key is named. */
export function checkRawKeys(
  store: ApiVersion,
  request: number,
  keys: readonly Uint8Array[],
): RawCheck {
  if (!versionsMatch(store, request)) return NOT_MATCHED;
  if (store !== API_VERSION.V2) return PASSED;
  const key = keys.find((candidate) => keyModeOf(store, candidate) !== "raw");
  return key === undefined ? PASSED : { ok: false, reason: "invalidKeyMode", key };
}

/**
 * Checks version and ranges of a raw request; the first bad range is named. Ranges are `[start, end)`
 * with start below end, also for reverse scans.
 */
export function checkRawRanges(
  store: ApiVersion,
  request: number,
  ranges: readonly BoundedRange[],
): RawCheck {
  if (!versionsMatch(store, request)) return NOT_MATCHED;
  if (store !== API_VERSION.V2) return PASSED;
  const bad = ranges.find(({ start, end }) => rangeModeOf(store, start, end) !== "raw");
  if (bad === undefined) return PASSED;
  return { ok: false, reason: "invalidKeyRangeMode", start: bad.start, end: bad.end };
}

/** Returns whether values of a store of this version can expire. */
export function ttlEnabled(version: ApiVersion): boolean {
  return version !== API_VERSION.V1;
}

/**
 * Returns the key under which a raw key is stored, without the data prefix: as it is in V1 and V1TTL,
 * memcomparable in V2, there with `ts` behind it if given.
 */
export function encodeRawKey(version: ApiVersion, key: Uint8Array, ts?: bigint): Uint8Array {
  if (version !== API_VERSION.V2) {
    assert(ts === undefined, "raw keys have timestamps in API V2 only");
    return key;
  }
  const encoded = keyFromRaw(key);
  return ts === undefined ? encoded : keyAppendTs(encoded, ts);
}

/**
 * Returns what `encodeRawKey` got. Throws KV:Codec:KeyLength or KV:Codec:BadPadding for bytes that it
 * did not make.
 */
export function decodeRawKey(
  version: ApiVersion,
  stored: Uint8Array,
  withTs: boolean,
): { readonly key: Uint8Array; readonly ts: bigint | undefined } {
  if (version !== API_VERSION.V2) return { key: stored, ts: undefined };
  if (!withTs) return { key: keyToRaw(stored), ts: undefined };
  const { key, ts } = keySplitTs(stored);
  return { key: keyToRaw(key), ts };
}

/** Largest keyspace id: 24 bits. */
export const KEYSPACE_ID_MAX = 0xff_ffff;
/** keyspace_id of requests without a keyspace. */
export const KEYSPACE_ID_NULL = 0xffff_ffff;

/** Returns the 4 bytes in front of every user key of a keyspace. */
export function keyspacePrefix(mode: "raw" | "txn", keyspaceId: number): Uint8Array {
  assert(
    Number.isInteger(keyspaceId) && keyspaceId >= 0 && keyspaceId <= KEYSPACE_ID_MAX,
    "a keyspace id has 24 bits",
  );
  const first = mode === "raw" ? RAW_PREFIX : TXN_PREFIX;
  return Uint8Array.of(first, keyspaceId >> 16, (keyspaceId >> 8) & 0xff, keyspaceId & 0xff);
}

/**
 * Returns `[start, end)` of user keys inside the keyspace of `prefix`; an empty end becomes the end of
 * the keyspace, so that the range is complete.
 */
export function prefixedRange(
  prefix: Uint8Array,
  start: Uint8Array,
  end: Uint8Array = EMPTY_BYTES,
): BoundedRange {
  return {
    start: concatBytes(prefix, start),
    end: end.length === 0 ? prefixNext(prefix) : concatBytes(prefix, end),
  };
}
