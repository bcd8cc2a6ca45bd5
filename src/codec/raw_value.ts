/**
 * Raw values as stored: V1 plain; V1TTL value · expiry; V2 value [· expiry] · flags. The expiry is a
 * big-endian u64 of seconds since the Unix epoch. Source: tikv components/api_version.
 */
import { concatBytes, U64_MAX } from "../base/index.js";
import { API_VERSION, type ApiVersion } from "./api_version.js";
import { codecError } from "./error.js";
import { decodeU64, encodeU64 } from "./number.js";

const EXPIRY_BYTES = 8;
const FLAGS_BYTES = 1;
/** PERSISTED: do not renumber. */
const FLAG_EXPIRY = 0b01;
const FLAG_DELETE = 0b10;

export interface RawValue {
  readonly value: Uint8Array;
  /** Seconds since the epoch; undefined = lives for ever. Never 0n: that is "for ever" in V1TTL. */
  readonly expireTs: bigint | undefined;
  /** A deletion that is kept as a version; V2 only. */
  readonly isDelete: boolean;
}

/** Returns the bytes behind the user value; empty in V1. */
export function rawValueSuffix(
  version: ApiVersion,
  expireTs: bigint | undefined,
  isDelete = false,
): Uint8Array {
  if (version === API_VERSION.V1) return new Uint8Array(0);
  if (version === API_VERSION.V1TTL) return encodeU64(expireTs ?? 0n);
  const flags = (expireTs === undefined ? 0 : FLAG_EXPIRY) | (isDelete ? FLAG_DELETE : 0);
  const expiry = expireTs === undefined ? [] : [encodeU64(expireTs)];
  return concatBytes(...expiry, Uint8Array.of(flags));
}

/** Returns the stored form of a value. */
export function encodeRawValue(version: ApiVersion, raw: RawValue): Uint8Array {
  return concatBytes(raw.value, rawValueSuffix(version, raw.expireTs, raw.isDelete));
}

/**
 * Takes a stored value apart; `value` is a view. Throws KV:Codec:ValueLength when it is too short,
 * KV:Codec:ValueMeta for flags that this version does not know.
 */
export function decodeRawValue(version: ApiVersion, stored: Uint8Array): RawValue {
  if (version === API_VERSION.V1) return { value: stored, expireTs: undefined, isDelete: false };
  if (version === API_VERSION.V1TTL) {
    const expireTs = expiryBefore(stored, stored.length);
    const value = stored.subarray(0, stored.length - EXPIRY_BYTES);
    return { value, expireTs: expireTs === 0n ? undefined : expireTs, isDelete: false };
  }
  const end = stored.length - FLAGS_BYTES;
  const flags = stored[end];
  if (flags === undefined) throw codecError("KV:Codec:ValueLength", "a value without flags");
  if ((flags & ~(FLAG_EXPIRY | FLAG_DELETE)) !== 0) {
    throw codecError("KV:Codec:ValueMeta", `unknown value flags ${flags}`);
  }
  const isDelete = (flags & FLAG_DELETE) !== 0;
  if ((flags & FLAG_EXPIRY) === 0) {
    return { value: stored.subarray(0, end), expireTs: undefined, isDelete };
  }
  const expireTs = expiryBefore(stored, end);
  return { value: stored.subarray(0, end - EXPIRY_BYTES), expireTs, isDelete };
}

/** Returns the expiry of a value put at `nowSeconds` with `ttl` seconds to live; 0n = for ever. */
export function expireTsOf(ttl: bigint, nowSeconds: bigint): bigint | undefined {
  if (ttl === 0n) return undefined;
  return ttl > U64_MAX - nowSeconds ? U64_MAX : nowSeconds + ttl;
}

/** Returns whether a value with this expiry is gone at `nowSeconds`. */
export function isExpired(expireTs: bigint | undefined, nowSeconds: bigint): boolean {
  return expireTs !== undefined && expireTs <= nowSeconds;
}

function expiryBefore(stored: Uint8Array, end: number): bigint {
  if (end < EXPIRY_BYTES) throw codecError("KV:Codec:ValueLength", "a value without its expiry");
  return decodeU64(stored, end - EXPIRY_BYTES);
}
