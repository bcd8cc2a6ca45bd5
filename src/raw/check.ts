/**
 * Checks of a raw request that do not need data: API version and key mode, CF, key size, TTL.
 * Each returns TiKV's error text, which clients see in the `error` field, or undefined. Pure.
 * Source: tikv src/storage/{mod,errors}.rs.
 */
import { compareBytes, toHex } from "../base/index.js";
import {
  API_VERSION,
  type ApiVersion,
  checkRawKeys,
  checkRawRanges,
  type RawCheck,
} from "../codec/index.js";
import type { CfName } from "../engine/index.js";

/** TiKV's CommandKind, as its texts and metrics print it. */
export type RawCommand =
  | "raw_get"
  | "raw_batch_get"
  | "raw_get_key_ttl"
  | "raw_scan"
  | "raw_batch_scan"
  | "raw_put"
  | "raw_batch_put"
  | "raw_delete"
  | "raw_batch_delete"
  | "raw_delete_range"
  | "raw_compare_and_swap"
  | "raw_atomic_store"
  | "raw_checksum";

export interface VersionCheck {
  readonly storage: ApiVersion;
  /** As sent; may be no known version. */
  readonly request: number;
  readonly command: RawCommand;
}

const API_VERSION_NAMES = ["V1", "V1ttl", "V2", "V3"];

/** Returns TiKV's name of an API version: V1, V1ttl, V2. */
export function apiVersionName(version: number): string {
  return API_VERSION_NAMES[version] ?? String(version);
}

const hexUpper = (bytes: Uint8Array): string => toHex(bytes).toUpperCase();

function notMatched({ storage, request, command }: VersionCheck): string {
  return (
    "Api version in request does not match with TiKV storage, " +
    `cmd: ${command}, storage: ${apiVersionName(storage)}, request: ${apiVersionName(request)}`
  );
}

function keyModeText({ storage, command }: VersionCheck, where: string): string {
  const version = apiVersionName(storage);
  return `Key mode mismatched with the request mode, cmd: ${command}, storage: ${version}, ${where}`;
}

function textOf(check: VersionCheck, result: RawCheck): string | undefined {
  if (result.ok) return undefined;
  if (result.reason === "apiVersionNotMatched") return notMatched(check);
  if (result.reason === "invalidKeyMode") {
    return keyModeText(check, `key: ${hexUpper(result.key)}`);
  }
  const end = result.end.length === 0 ? "None" : `Some("${hexUpper(result.end)}")`;
  return keyModeText(check, `range: (Some("${hexUpper(result.start)}"), ${end})`);
}

/** Checks the API version and, in V2, that each key is a raw key ("r" + keyspace). */
export function checkApiVersion(
  check: VersionCheck,
  keys: readonly Uint8Array[],
): string | undefined {
  return textOf(check, checkRawKeys(check.storage, check.request, keys));
}

/** A range of a request; for a reverse scan startKey is the upper bound. An open end is empty. */
export interface UserRange {
  readonly startKey: Uint8Array;
  readonly endKey: Uint8Array;
}

/** Checks the API version and, in V2, that each range lies within the raw keys. */
export function checkApiVersionRanges(
  check: VersionCheck,
  ranges: readonly UserRange[],
): string | undefined {
  const bounded = ranges.map(({ startKey, endKey }) => ({ start: startKey, end: endKey }));
  return textOf(check, checkRawRanges(check.storage, check.request, bounded));
}

/** Returns the CF of a raw request; an Err is TiKV's text. */
export function rawCf(
  name: string,
  version: ApiVersion,
): { readonly cf: CfName } | { readonly error: string } {
  if (name === "") return { cf: "default" };
  if (version === API_VERSION.V2) {
    return { error: `cf is deprecated in API V2, cf name: ${name}` };
  }
  if (name === "default" || name === "lock" || name === "write") return { cf: name };
  return { error: `invalid cf name: ${name}` };
}

/** Checks the length of user keys. */
export function checkKeySize(keys: readonly Uint8Array[], limitBytes: number): string | undefined {
  for (const key of keys) {
    if (key.length > limitBytes) {
      return `max key size exceeded, size: ${key.length}, limit: ${limitBytes}`;
    }
  }
  return undefined;
}

export const TTL_NOT_ENABLED = "ttl is not enabled, but get put request with ttl";
/** TiKV dies on this request in a debug build; the text is its panic message. */
export const GET_TTL_ON_NON_TTL_STORE = "get ttl on non-ttl store";
export const INVALID_KEY_RANGES = "Invalid KeyRanges";

/**
 * Checks the ranges of a batch scan: each range runs in the direction of the scan; an open end
 * means the start of the next range.
 */
export function checkKeyRanges(ranges: readonly UserRange[], reverse: boolean): boolean {
  for (let i = 0; i < ranges.length; i++) {
    const { startKey } = ranges[i] as UserRange;
    const endKey = endOfRange(ranges, i);
    if (endKey.length === 0) continue;
    const order = compareBytes(startKey, endKey);
    if (reverse ? order <= 0 : order >= 0) return false;
  }
  return true;
}

/** Returns the end of range `i` of a batch scan: an open end is the start of the next range. */
export function endOfRange(ranges: readonly UserRange[], i: number): Uint8Array {
  const { endKey } = ranges[i] as UserRange;
  const next = ranges[i + 1];
  return endKey.length === 0 && next !== undefined ? next.startKey : endKey;
}
