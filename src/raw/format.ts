/**
 * How RawKV keys and values lie in a region, per API version. Pure.
 *
 *   V1      key                              value
 *   V1TTL   key                              value · u64 BE expire_ts (0 = never)
 *   V2      memcomparable(key) · ~ts u64 BE  value · [u64 BE expire_ts] · flags (1 = ttl, 2 = deleted)
 *
 * Keys here are region keys: without the CF byte and the "z" of the engine. expire_ts is in
 * seconds since the Unix epoch; a value is alive while expire_ts > now.
 * Source: tikv components/api_version. Hot in scans: no BigInt per row.
 */
import { concatBytes, U64_MAX } from "../base/index.js";
import {
  API_VERSION,
  type ApiVersion,
  decodeRawKey,
  decodeRawValue,
  encodeRawKey,
  isVersionOf,
  keyTruncateTs,
  rawValueSuffix,
  ttlEnabled,
} from "../codec/index.js";

/** What differs between the API versions. Stateless; one constant object each. */
export interface RawFormat {
  readonly version: ApiVersion;
  readonly ttlEnabled: boolean;
  /** Whether a key has many versions, each a physical key that ends with a timestamp. */
  readonly versioned: boolean;
  /** Returns the region key of a user key, without a timestamp. */
  encodeKey(userKey: Uint8Array): Uint8Array;
  /** Returns the user key of a stored key, timestamp included if versioned. Throws when damaged. */
  decodeKey(storedKey: Uint8Array): Uint8Array;
  /** `ttl` in seconds, 0 = for ever; the end saturates at u64::MAX. */
  encodeValue(userValue: Uint8Array, ttl: bigint, nowSeconds: number): Uint8Array;
  /**
   * Returns the user value, a view of `stored`, or undefined when it is deleted or expired.
   * Throws KV:Codec:* when `stored` is too short or has unknown flags.
   */
  liveValue(stored: Uint8Array, nowSeconds: number): Uint8Array | undefined;
  /** Returns the seconds left, 0n = for ever, undefined = deleted or expired. */
  remainingTtl(stored: Uint8Array, nowSeconds: number): bigint | undefined;
}

const U64_SIZE = 8;
const FLAG_EXPIRE_TS = 1;
const FLAGS_KNOWN = 3;

/** The value that stands for a deletion in V2. */
export const V2_TOMBSTONE: Uint8Array = rawValueSuffix(API_VERSION.V2, undefined, true);

function expireTsOf(ttl: bigint, nowSeconds: number): bigint | undefined {
  if (ttl === 0n) return undefined;
  const end = ttl + BigInt(nowSeconds);
  return end > U64_MAX ? U64_MAX : end;
}

/** expire_ts at `offset` as a Number: inexact above 2^53, but its order against `now` is right. */
function expireAt(stored: Uint8Array, offset: number): number {
  let high = 0;
  let low = 0;
  for (let i = 0; i < 4; i++) {
    high = high * 256 + (stored[offset + i] as number);
    low = low * 256 + (stored[offset + 4 + i] as number);
  }
  return high * 0x1_0000_0000 + low;
}

type LiveValue = RawFormat["liveValue"];

const liveV1: LiveValue = (stored) => stored;

const liveV1Ttl: LiveValue = (stored, nowSeconds) => {
  const end = stored.length - U64_SIZE;
  if (end < 0) return decodeRawValue(API_VERSION.V1TTL, stored).value;
  const expire = expireAt(stored, end);
  return expire !== 0 && expire <= nowSeconds ? undefined : stored.subarray(0, end);
};

const liveV2: LiveValue = (stored, nowSeconds) => {
  const last = stored.length - 1;
  const flags = stored[last];
  if (flags === 0) return stored.subarray(0, last);
  const end = last - U64_SIZE;
  // Damage is told by the decoder, which throws.
  if (flags === undefined || flags > FLAGS_KNOWN || ((flags & FLAG_EXPIRE_TS) !== 0 && end < 0)) {
    return decodeRawValue(API_VERSION.V2, stored).value;
  }
  if (flags !== FLAG_EXPIRE_TS) return undefined;
  return expireAt(stored, end) <= nowSeconds ? undefined : stored.subarray(0, end);
};

function formatOf(version: ApiVersion, liveValue: LiveValue): RawFormat {
  const versioned = version === API_VERSION.V2;
  return {
    version,
    ttlEnabled: ttlEnabled(version),
    versioned,
    encodeKey: (userKey) => encodeRawKey(version, userKey),
    decodeKey: (storedKey) => decodeRawKey(version, storedKey, versioned).key,
    encodeValue(userValue, ttl, nowSeconds) {
      const suffix = rawValueSuffix(version, expireTsOf(ttl, nowSeconds));
      return suffix.length === 0 ? userValue : concatBytes(userValue, suffix);
    },
    liveValue,
    remainingTtl(stored, nowSeconds) {
      if (liveValue(stored, nowSeconds) === undefined) return undefined;
      const { expireTs } = decodeRawValue(version, stored);
      return expireTs === undefined ? 0n : expireTs - BigInt(nowSeconds);
    },
  };
}

const FORMATS: Readonly<Record<ApiVersion, RawFormat>> = {
  [API_VERSION.V1]: formatOf(API_VERSION.V1, liveV1),
  [API_VERSION.V1TTL]: formatOf(API_VERSION.V1TTL, liveV1Ttl),
  [API_VERSION.V2]: formatOf(API_VERSION.V2, liveV2),
};

/** Returns the format of an API version. */
export function rawFormat(version: ApiVersion): RawFormat {
  return FORMATS[version];
}

/** Returns whether two stored V2 keys are versions of one user key. */
export function sameUserKey(a: Uint8Array, b: Uint8Array): boolean {
  return isVersionOf(a, keyTruncateTs(b));
}
