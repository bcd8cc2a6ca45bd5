/** Key modes, request checks, raw values and keyspaces of the three API versions. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { fromHex, TikvError, toHex, utf8 } from "../../../src/base/index.js";
import {
  API_VERSION,
  checkRawKeys,
  checkRawRanges,
  decodeRawKey,
  decodeRawValue,
  encodeRawKey,
  encodeRawValue,
  expireTsOf,
  isExpired,
  keyModeOf,
  keyspacePrefix,
  prefixedRange,
  rangeModeOf,
  rawValueSuffix,
  ttlEnabled,
} from "../../../src/codec/index.js";

const { V1, V1TTL, V2 } = API_VERSION;
const U64_MAX = 2n ** 64n - 1n;

function hasCode(code: string): (error: unknown) => boolean {
  return (error) => error instanceof TikvError && error.code === code;
}

test("the mode of a key", () => {
  const modes = (key: string): string[] => [V1, V1TTL, V2].map((v) => keyModeOf(v, utf8(key)));
  assert.equal(modes("rkey"), ["unknown", "raw", "raw"]);
  assert.equal(modes("xkey"), ["unknown", "raw", "txn"]);
  assert.equal(modes("mkey"), ["tidb", "raw", "tidb"]);
  assert.equal(modes("tkey"), ["tidb", "raw", "tidb"]);
  assert.equal(modes("akey"), ["unknown", "raw", "unknown"]);
  assert.equal(modes(""), ["unknown", "raw", "unknown"]);
});

test("the mode of a range: complete in V2, both ends in one mode", () => {
  const mode = (start: string, end: string): string => rangeModeOf(V2, utf8(start), utf8(end));
  assert.is(mode("r", "s"), "raw");
  assert.is(mode("ra", "rb"), "raw");
  assert.is(mode("x", "y"), "txn");
  assert.is(mode("t1", "u"), "tidb");
  assert.is(mode("r", ""), "unknown");
  assert.is(mode("", "s"), "unknown");
  assert.is(mode("r", "s\0"), "unknown", "one byte behind the mode, and more");
  assert.is(mode("r", "t"), "unknown");
  assert.is(mode("a", "b"), "unknown");
  assert.is(rangeModeOf(V1TTL, utf8(""), utf8("")), "raw");
});

test("which store takes which raw request", () => {
  const keys = [utf8("rkey")];
  const taken = [V1, V1TTL, V2].map((store) =>
    [V1, V1TTL, V2].map((request) => checkRawKeys(store, request, keys).ok),
  );
  assert.equal(taken, [
    [true, false, false],
    [true, false, false],
    [false, false, true],
  ]);
  assert.equal(checkRawKeys(V1, 3, keys), { ok: false, reason: "apiVersionNotMatched" });
  assert.equal(checkRawRanges(V2, V1, []), { ok: false, reason: "apiVersionNotMatched" });
});

test("V1 and V1TTL take any key and range", () => {
  for (const store of [V1, V1TTL]) {
    assert.ok(checkRawKeys(store, V1, [utf8(""), utf8("t"), utf8("x")]).ok, `keys of ${store}`);
    const range = { start: utf8(""), end: utf8("") };
    assert.ok(checkRawRanges(store, V1, [range]).ok, `ranges of ${store}`);
  }
});

test("V2 names the first key or range that is not raw", () => {
  const keys = [utf8("r1"), utf8("x2"), utf8("m3")];
  assert.equal(checkRawKeys(V2, V2, keys), { ok: false, reason: "invalidKeyMode", key: keys[1] });
  const good = { start: utf8("ra"), end: utf8("s") };
  const bad = { start: utf8("ra"), end: utf8("") };
  assert.ok(checkRawRanges(V2, V2, [good]).ok);
  assert.equal(checkRawRanges(V2, V2, [good, bad]), {
    ok: false,
    reason: "invalidKeyRangeMode",
    ...bad,
  });
});

test("raw keys are themselves in V1 and V1TTL", () => {
  for (const version of [V1, V1TTL]) {
    assert.is(toHex(encodeRawKey(version, utf8("k"))), "6b");
    assert.equal(decodeRawKey(version, utf8("k"), false), { key: utf8("k"), ts: undefined });
  }
  assert.throws(() => encodeRawKey(V1, utf8("k"), 1n), /API V2 only/);
  assert.throws(() => decodeRawKey(V2, utf8("rabc"), false), hasCode("KV:Codec:BadPadding"));
  assert.throws(() => decodeRawKey(V2, utf8("rabc"), true), hasCode("KV:Codec:KeyLength"));
});

test("values of V1 and V1TTL", () => {
  const plain = { value: utf8("v"), expireTs: undefined, isDelete: false };
  assert.is(toHex(encodeRawValue(V1, plain)), "76");
  assert.equal(decodeRawValue(V1, utf8("v")), plain);
  assert.is(toHex(encodeRawValue(V1TTL, plain)), "760000000000000000");
  assert.equal(decodeRawValue(V1TTL, fromHex("760000000000000000")), plain);
  const mortal = { ...plain, expireTs: U64_MAX };
  assert.is(toHex(encodeRawValue(V1TTL, mortal)), "76ffffffffffffffff");
  assert.equal(decodeRawValue(V1TTL, encodeRawValue(V1TTL, mortal)), mortal);
  assert.equal([V1, V1TTL, V2].map(ttlEnabled), [false, true, true]);
});

test("the suffix alone is what encodeRawValue appends", () => {
  assert.is(toHex(rawValueSuffix(V1, 5n)), "");
  assert.is(toHex(rawValueSuffix(V1TTL, 5n)), "0000000000000005");
  assert.is(toHex(rawValueSuffix(V2, 5n)), "000000000000000501");
  assert.is(toHex(rawValueSuffix(V2, undefined, true)), "02");
});

test("values that are too short or have unknown flags are refused", () => {
  assert.throws(() => decodeRawValue(V1TTL, new Uint8Array(7)), hasCode("KV:Codec:ValueLength"));
  assert.throws(() => decodeRawValue(V2, fromHex("")), hasCode("KV:Codec:ValueLength"));
  assert.throws(() => decodeRawValue(V2, fromHex("00000001")), hasCode("KV:Codec:ValueLength"));
  assert.throws(() => decodeRawValue(V2, fromHex("6104")), hasCode("KV:Codec:ValueMeta"));
});

test("expiry: for ever, at the second, saturating", () => {
  assert.is(expireTsOf(0n, 100n), undefined);
  assert.is(expireTsOf(5n, 100n), 105n);
  assert.is(expireTsOf(U64_MAX, 100n), U64_MAX);
  assert.is(isExpired(undefined, U64_MAX), false);
  assert.equal(
    [104n, 105n, 106n].map((now) => isExpired(105n, now)),
    [false, true, true],
  );
});

test("keyspace ranges: an empty end is the end of the keyspace", () => {
  const show = (prefix: Uint8Array, start: string, end: string): string[] => {
    const range = prefixedRange(prefix, utf8(start), utf8(end));
    return [toHex(range.start), toHex(range.end)];
  };
  assert.equal(show(keyspacePrefix("raw", 1), "a", "b"), ["7200000161", "7200000162"]);
  assert.equal(show(keyspacePrefix("raw", 1), "", ""), ["72000001", "72000002"]);
  assert.equal(show(keyspacePrefix("raw", 0xffffff), "", ""), ["72ffffff", "73"]);
  assert.throws(() => keyspacePrefix("raw", 0x1000000), /24 bits/);
  assert.throws(() => keyspacePrefix("txn", -1), /24 bits/);
});

test.run();
