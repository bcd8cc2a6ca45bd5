/** The texts that clients see in the `error` field, as TiKV prints them. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { utf8 } from "../../../src/base/index.js";
import { API_VERSION } from "../../../src/codec/index.js";
import {
  checkApiVersion,
  checkApiVersionRanges,
  checkKeyRanges,
  checkKeySize,
  rawCf,
} from "../../../src/raw/index.js";

const { V1, V1TTL, V2 } = API_VERSION;
const NOT_MATCHED = "Api version in request does not match with TiKV storage";
const KEY_MODE = "Key mode mismatched with the request mode";

test("API versions: V1 and V1TTL take V1, V2 takes V2", () => {
  for (const [storage, request, names] of [
    [V1, 0, undefined],
    [V1TTL, 0, undefined],
    [V2, 2, undefined],
    [V1, 1, "storage: V1, request: V1ttl"],
    [V1, 2, "storage: V1, request: V2"],
    [V1TTL, 1, "storage: V1ttl, request: V1ttl"],
    [V2, 0, "storage: V2, request: V1"],
    [V2, 77, "storage: V2, request: 77"],
  ] as const) {
    const check = { storage, request, command: "raw_get" } as const;
    assert.is(
      checkApiVersion(check, [utf8("r")]),
      names === undefined ? undefined : `${NOT_MATCHED}, cmd: raw_get, ${names}`,
    );
  }
});

test("V2 takes raw keys only, and names the first other one", () => {
  const check = { storage: V2, request: 2, command: "raw_batch_put" } as const;
  assert.is(checkApiVersion(check, [utf8("r1"), utf8("r2")]), undefined);
  assert.is(
    checkApiVersion(check, [utf8("r1"), utf8("x2")]),
    `${KEY_MODE}, cmd: raw_batch_put, storage: V2, key: 7832`,
  );
  assert.is(
    checkApiVersion(check, [utf8("")]),
    `${KEY_MODE}, cmd: raw_batch_put, storage: V2, key: `,
  );
});

test("V2 takes ranges of raw keys only", () => {
  const check = { storage: V2, request: 2, command: "raw_scan" } as const;
  const range = (start: string, end: string) => [{ startKey: utf8(start), endKey: utf8(end) }];
  assert.is(checkApiVersionRanges(check, range("r1", "r2")), undefined);
  assert.is(checkApiVersionRanges(check, range("r", "s")), undefined);
  assert.is(
    checkApiVersionRanges(check, range("r1", "s1")),
    `${KEY_MODE}, cmd: raw_scan, storage: V2, range: (Some("7231"), Some("7331"))`,
  );
  assert.is(
    checkApiVersionRanges(check, range("r1", "")),
    `${KEY_MODE}, cmd: raw_scan, storage: V2, range: (Some("7231"), None)`,
  );
});

test("column families", () => {
  assert.equal(rawCf("", V1), { cf: "default" });
  for (const cf of ["default", "lock", "write"] as const) {
    assert.equal(rawCf(cf, V1), { cf });
    assert.equal(rawCf(cf, V1TTL), { cf });
    assert.equal(rawCf(cf, V2), { error: `cf is deprecated in API V2, cf name: ${cf}` });
  }
  assert.equal(rawCf("raft", V1), { error: "invalid cf name: raft" });
  assert.equal(rawCf("nope", V1TTL), { error: "invalid cf name: nope" });
});

test("key size", () => {
  assert.is(checkKeySize([new Uint8Array(8192)], 8192), undefined);
  assert.is(
    checkKeySize([new Uint8Array(1), new Uint8Array(8193)], 8192),
    "max key size exceeded, size: 8193, limit: 8192",
  );
});

test("ranges of a batch scan run in its direction; an open end is the next start", () => {
  const ranges = (...ends: [string, string][]) =>
    ends.map(([start, end]) => ({ startKey: utf8(start), endKey: utf8(end) }));
  assert.ok(checkKeyRanges(ranges(["a", "b"], ["c", ""]), false));
  assert.not.ok(checkKeyRanges(ranges(["b", "a"]), false));
  assert.not.ok(checkKeyRanges(ranges(["a", "a"]), false));
  assert.ok(checkKeyRanges(ranges(["b", "a"]), true));
  assert.ok(checkKeyRanges(ranges(["a", ""], ["b", "c"]), false));
  assert.not.ok(checkKeyRanges(ranges(["b", ""], ["a", "c"]), false));
  assert.ok(checkKeyRanges([], false));
});

test.run();
