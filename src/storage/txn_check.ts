/**
 * Checks of transactional requests that need neither context nor data: API version and key mode,
 * key size. Texts are TiKV's. Pure. Source: tikv src/storage/mod.rs check_api_version.
 */
import { toHex } from "../base/index.js";
import { API_VERSION, type ApiVersion, keyModeOf, keyToRaw } from "../codec/index.js";
import type { TxnRequest } from "../txn/index.js";
import { invalidRequest, type TxnFailure } from "./txn_errors.js";

const API_VERSION_NAMES = ["V1", "V1ttl", "V2", "V3"];
const nameOf = (version: number): string => API_VERSION_NAMES[version] ?? String(version);

/** What a request is checked against. */
export interface TxnCheck {
  readonly storage: ApiVersion;
  /** As sent; may be no known version. */
  readonly request: number;
  /** TiKV's name of the command: "get", "prewrite". */
  readonly command: string;
}

/**
 * Checks the API version, and in V2 that each key belongs to transactions: to a keyspace ("x"), or
 * for a client of V1 to TiDB ("m", "t"). Keys are encoded; their first byte is the user key's.
 */
export function checkTxnVersion(
  { storage, request, command }: TxnCheck,
  keys: Iterable<Uint8Array>,
): TxnFailure | undefined {
  if (storage === API_VERSION.V1 && request === API_VERSION.V1) return undefined;
  if (storage !== API_VERSION.V2 || (request !== API_VERSION.V1 && request !== API_VERSION.V2)) {
    return invalidRequest(
      "Api version in request does not match with TiKV storage, " +
        `cmd: ${command}, storage: ${nameOf(storage)}, request: ${nameOf(request)}`,
    );
  }
  const wanted = request === API_VERSION.V1 ? "tidb" : "txn";
  for (const key of keys) {
    if (keyModeOf(storage, key) === wanted) continue;
    const shown = toHex(keyToRaw(key)).toUpperCase();
    return invalidRequest(
      "Key mode mismatched with the request mode, " +
        `cmd: ${command}, storage: ${nameOf(storage)}, key: ${shown}`,
    );
  }
  return undefined;
}

/** Returns the text of a refusal, for responses that have no KeyError. */
export function textOfInvalid({ error }: TxnFailure): string {
  return error.type === "txn" && error.error.kind === "invalidRequest" ? error.error.message : "";
}

/** Checks the length of encoded keys. */
export function checkTxnKeySize(keys: Iterable<Uint8Array>, limit: number): TxnFailure | undefined {
  for (const { length } of keys) {
    if (length > limit) {
      return invalidRequest(`max key size exceeded, size: ${length}, limit: ${limit}`);
    }
  }
  return undefined;
}

/** Returns the encoded keys that a command names; none if it concerns the whole region. */
export function keysOfRequest(request: TxnRequest): readonly Uint8Array[] {
  switch (request.kind) {
    case "prewrite":
      return request.mutations.map(({ key }) => key);
    case "acquirePessimisticLock":
      return request.keys.map(({ key }) => key);
    case "cleanup":
      return [request.key];
    case "checkTxnStatus":
    case "txnHeartBeat":
      return [request.primaryKey];
    default:
      return request.keys;
  }
}

/** Bytes that a command holds beside its keys and values, about. */
const COMMAND_OVERHEAD_BYTES = 512;

/** Returns the bytes that a command holds while it waits or runs, about. */
export function requestBytes(request: TxnRequest): number {
  let bytes = COMMAND_OVERHEAD_BYTES;
  if (request.kind === "prewrite") {
    for (const { key, value } of request.mutations) bytes += key.length + value.length + 64;
    for (const key of request.secondaries ?? []) bytes += key.length;
  } else {
    for (const key of keysOfRequest(request)) bytes += key.length + 64;
  }
  return bytes;
}
