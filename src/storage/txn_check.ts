/**
 * Checks of transactional requests that need neither context nor data: API version and key mode,
 * key size. Texts are TiKV's. Pure. Source: tikv src/storage/mod.rs check_api_version.
 */
import { equalBytes, err, ok, type Result, toHex } from "../base/index.js";
import {
  API_VERSION,
  type ApiVersion,
  type KeyMode,
  keyFromRaw,
  keyModeOf,
  rangeModeOf,
} from "../codec/index.js";
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

/** Returns whose keys a request of the version may name; a failure: it may name none. */
function wantedMode({ storage, request, command }: TxnCheck): Result<KeyMode | "any", TxnFailure> {
  if (storage === API_VERSION.V1 && request === API_VERSION.V1) return ok("any");
  if (storage === API_VERSION.V2 && request === API_VERSION.V2) return ok("txn");
  if (storage === API_VERSION.V2 && request === API_VERSION.V1) return ok("tidb");
  const text =
    "Api version in request does not match with TiKV storage, " +
    `cmd: ${command}, storage: ${nameOf(storage)}, request: ${nameOf(request)}`;
  return err(invalidRequest(text));
}

const MISMATCHED = "Key mode mismatched with the request mode";
const upperHex = (key: Uint8Array): string => toHex(key).toUpperCase();

/**
 * Checks the API version, and in V2 that each key belongs to transactions: to a keyspace ("x"), or
 * for a client of V1 to TiDB ("m", "t"). Keys are encoded; their first byte is the user key's.
 */
export function checkTxnVersion(
  check: TxnCheck,
  keys: Iterable<Uint8Array>,
): TxnFailure | undefined {
  const wanted = wantedMode(check);
  if (!wanted.ok) return wanted.error;
  if (wanted.value === "any") return undefined;
  const { command, storage } = check;
  for (const key of keys) {
    if (keyModeOf(storage, key) === wanted.value) continue;
    return invalidRequest(
      `${MISMATCHED}, cmd: ${command}, storage: ${nameOf(storage)}, key: ${upperHex(key)}`,
    );
  }
  return undefined;
}

/**
 * As `checkTxnVersion`, for a command on `[start, end)` in encoded keys: in V2 neither end is open, and
 * both belong to the same mode, so that no range reaches into data of another kind.
 */
export function checkTxnRange(
  check: TxnCheck,
  start: Uint8Array,
  end: Uint8Array,
): TxnFailure | undefined {
  const wanted = wantedMode(check);
  if (!wanted.ok) return wanted.error;
  if (wanted.value === "any" || rangeModeOfTxn(start, end) === wanted.value) return undefined;
  const { command, storage } = check;
  const to = end.length === 0 ? "None" : `Some("${upperHex(end)}")`;
  return invalidRequest(
    `${MISMATCHED}, cmd: ${command}, storage: ${nameOf(storage)}, ` +
      `range: (Some("${upperHex(start)}"), ${to})`,
  );
}

/** The first byte behind a mode, alone, ends its last keyspace: as the end of a range it is inside. */
function rangeModeOfTxn(start: Uint8Array, end: Uint8Array): KeyMode {
  const [first] = start;
  if (first !== undefined && equalBytes(end, keyFromRaw(Uint8Array.of(first + 1)))) {
    return keyModeOf(API_VERSION.V2, start);
  }
  return rangeModeOf(API_VERSION.V2, start, end);
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

/**
 * Checks that the primary, which every lock of a request repeats, is short enough to be a key: a few
 * megabytes, many times over, would be more than a store has.
 */
export function checkPrimarySize(request: TxnRequest, limit: number): TxnFailure | undefined {
  return "primary" in request ? checkTxnKeySize([request.primary], limit) : undefined;
}

/**
 * Whether a command begins something: its keys have to be of the request's mode. What ends
 * transactions takes keys of any mode, as in TiKV: whoever collects garbage ends the locks of all.
 */
export function beginsTxn({ kind }: TxnRequest): boolean {
  return kind === "prewrite" || kind === "acquirePessimisticLock";
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
    const each = request.primary.length + 64;
    for (const { key, value } of request.mutations) bytes += key.length + value.length + each;
    for (const key of request.secondaries ?? []) bytes += key.length;
  } else {
    for (const key of keysOfRequest(request)) bytes += key.length + 64;
  }
  return bytes;
}
