/**
 * User keys ⇄ keys in requests ⇄ region boundaries in PD, for each API version. For raw keys in V1 and
 * V1TTL all three are the same; of transactional keys in V1 boundaries are the memcomparable form. In
 * V2 a request's key has the keyspace's prefix, and boundaries are its memcomparable form.
 * Source: client-go internal/apicodec.
 */
import { concatBytes, EMPTY_BYTES } from "../base/index.js";
import {
  API_VERSION,
  decodeBytes,
  encodeBytes,
  KEYSPACE_ID_NULL,
  keyspacePrefix,
  prefixedRange,
} from "../codec/index.js";
import { ClientError } from "./errors.js";
import type { ApiVersionName } from "./options.js";

/** `[start, end)` of keys as requests carry them; an empty end is +inf. */
export interface WireRange {
  readonly start: Uint8Array;
  readonly end: Uint8Array;
}

export interface KeyMode {
  /** kvrpcpb.APIVersion of requests. */
  readonly apiVersion: number;
  /** keyspace_id of requests. */
  readonly keyspaceId: number;
  toWire(key: Uint8Array): Uint8Array;
  /** Returns a copy of the user's part of a key. */
  fromWire(key: Uint8Array): Uint8Array;
  range(start: Uint8Array, end: Uint8Array): WireRange;
  /** A key as PD's region queries want it. */
  toPd(wireKey: Uint8Array): Uint8Array;
  /** A region boundary as a key of requests; "" stays "". Throws Protocol if it is none. */
  fromPd(boundary: Uint8Array): Uint8Array;
}

const same = (key: Uint8Array): Uint8Array => key;

const RAW_V1: KeyMode = {
  apiVersion: API_VERSION.V1,
  keyspaceId: KEYSPACE_ID_NULL,
  toWire: same,
  fromWire: (key) => new Uint8Array(key),
  range: (start, end) => ({ start, end }),
  toPd: same,
  fromPd: same,
};

function decodeBoundary(boundary: Uint8Array): Uint8Array {
  if (boundary.length === 0) return EMPTY_BYTES;
  try {
    return decodeBytes(boundary);
  } catch (cause) {
    const message = "a region boundary is not memcomparable: raw and transactional keys do not mix";
    throw new ClientError("RUTILE:Client:Protocol", message, { cause });
  }
}

const encodeBoundary = (key: Uint8Array): Uint8Array => (key.length === 0 ? key : encodeBytes(key));

const TXN_V1: KeyMode = { ...RAW_V1, toPd: encodeBoundary, fromPd: decodeBoundary };

/** Returns the key mode of an API version; `keyspaceId` counts in V2 only. */
export function keyModeOf(
  version: ApiVersionName,
  kind: "raw" | "txn",
  keyspaceId: number,
): KeyMode {
  if (version !== "V2") return kind === "raw" ? RAW_V1 : TXN_V1;
  const prefix = keyspacePrefix(kind, keyspaceId);
  return {
    apiVersion: API_VERSION.V2,
    keyspaceId,
    toWire: (key) => concatBytes(prefix, key),
    fromWire: (key) => new Uint8Array(key.subarray(prefix.length)),
    range: (start, end) => prefixedRange(prefix, start, end),
    toPd: encodeBoundary,
    fromPd: decodeBoundary,
  };
}
