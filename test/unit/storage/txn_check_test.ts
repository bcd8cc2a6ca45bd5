/** Which keys and ranges a transactional request may name, by API version of store and request. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { EMPTY_BYTES } from "../../../src/base/index.js";
import {
  API_VERSION,
  type ApiVersion,
  keyFromRaw,
  keyspacePrefix,
} from "../../../src/codec/index.js";
import { checkTxnRange, checkTxnVersion } from "../../../src/storage/txn_check.js";
import type { TxnFailure } from "../../../src/storage/txn_errors.js";

const { V1, V1TTL, V2 } = API_VERSION;
const X = "x\0\0\x07";

const encode = (key: string): Uint8Array =>
  key === "" ? EMPTY_BYTES : keyFromRaw(Buffer.from(key, "latin1"));

/** "" = accepted. */
function textOf(failure: TxnFailure | undefined): string {
  if (failure === undefined) return "";
  const { error } = failure;
  assert.ok(error.type === "txn" && error.error.kind === "invalidRequest");
  return error.type === "txn" && error.error.kind === "invalidRequest" ? error.error.message : "";
}

const ofKey = (storage: ApiVersion, request: number, key: string): string =>
  textOf(checkTxnVersion({ storage, request, command: "prewrite" }, [encode(key)]));
const ofRange = (storage: ApiVersion, request: number, start: string, end: string): string =>
  textOf(checkTxnRange({ storage, request, command: "scan" }, encode(start), encode(end)));

test("the prefix of a keyspace is what the rows below say", () => {
  assert.equal(Buffer.from(keyspacePrefix("txn", 7)).toString("latin1"), X);
});

test("versions: V1 takes V1, V2 takes V2 and TiDB's V1, V1TTL nothing", () => {
  for (const [storage, request, key, expected] of [
    [V1, 0, "k", ""],
    [V1, 0, "", ""],
    [V1, 1, "k", "storage: V1, request: V1ttl"],
    [V1, 2, `${X}k`, "storage: V1, request: V2"],
    [V1, 3, "k", "storage: V1, request: V3"],
    [V1, 99, "k", "storage: V1, request: 99"],
    [V1TTL, 0, "k", "storage: V1ttl, request: V1"],
    [V1TTL, 1, "k", "storage: V1ttl, request: V1ttl"],
    [V2, 1, "k", "storage: V2, request: V1ttl"],
  ] as const) {
    const text = ofKey(storage, request, key);
    const prefix = "Api version in request does not match with TiKV storage, cmd: prewrite, ";
    assert.is(text, expected === "" ? "" : prefix + expected, `${storage} ${request} ${key}`);
    const range = ofRange(storage, request, key, "");
    assert.is(range, expected === "" ? "" : text.replace("prewrite", "scan"));
  }
});

test("V2: keys of keyspaces for V2, of TiDB for V1, and no others", () => {
  for (const [request, key, isTaken] of [
    [2, `${X}k`, true],
    [2, X, true],
    [2, "r\0\0\x07k", false],
    [2, "tk", false],
    [2, "k", false],
    [2, "", false],
    [0, "t\x80", true],
    [0, "m", true],
    [0, `${X}k`, false],
    [0, "k", false],
    [0, "", false],
  ] as const) {
    assert.is(ofKey(V2, request, key) === "", isTaken, `${request} ${key}`);
  }
  const text = "Key mode mismatched with the request mode, cmd: prewrite, storage: V2, key: ";
  assert.is(ofKey(V2, 0, "k"), `${text}6B00000000000000F8`);
});

test("V2: ranges stay within a mode, and neither end is open", () => {
  for (const [request, start, end, isTaken] of [
    [2, X, "x\0\0\x08", true],
    [2, `${X}a`, `${X}b`, true],
    [2, `x\xff\xff\xff`, "y", true],
    [2, "x", "y", true],
    [2, X, "", false],
    [2, "", `${X}a`, false],
    [2, "", "", false],
    [2, X, "y\0", false],
    [2, "r", X, false],
    [2, "t", "u", false],
    [0, "t", "u", true],
    [0, "m", "n", true],
    [0, "m", "t", false],
    [0, "t", "", false],
    [0, X, "y", false],
  ] as const) {
    assert.is(ofRange(V2, request, start, end) === "", isTaken, `${request} ${start} ${end}`);
  }
  const text = "Key mode mismatched with the request mode, cmd: scan, storage: V2, range: ";
  assert.is(ofRange(V2, 2, "k", ""), `${text}(Some("6B00000000000000F8"), None)`);
  const bounds = '(Some("6B00000000000000F8"), Some("6C00000000000000F8"))';
  assert.is(ofRange(V2, 2, "k", "l"), text + bounds);
});

test.run();
