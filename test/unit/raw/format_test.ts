/** Raw values: what is alive, how long, and what is damaged; agreement with the codec. */
import * as fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { fromHex, toHex, U64_MAX, utf8 } from "../../../src/base/index.js";
import { API_VERSION, decodeRawValue, isExpired, keyAppendTs } from "../../../src/codec/index.js";
import { rawFormat, removable, sameUserKey, V2_TOMBSTONE } from "../../../src/raw/index.js";

const VERSIONS = [API_VERSION.V1, API_VERSION.V1TTL, API_VERSION.V2] as const;
const NOW = 1000;

test("a value lives while expire_ts > now", () => {
  for (const version of [API_VERSION.V1TTL, API_VERSION.V2]) {
    const format = rawFormat(version);
    const stored = format.encodeValue(utf8("v"), 10n, NOW);
    assert.equal(format.liveValue(stored, NOW + 9), utf8("v"));
    assert.is(format.liveValue(stored, NOW + 10), undefined);
    assert.is(format.remainingTtl(stored, NOW + 9), 1n);
    assert.is(format.remainingTtl(stored, NOW + 10), undefined);
    assert.is(format.remainingTtl(format.encodeValue(utf8("v"), 0n, NOW), NOW), 0n);
  }
});

test("the end of a huge TTL saturates and stays exact", () => {
  for (const version of [API_VERSION.V1TTL, API_VERSION.V2]) {
    const format = rawFormat(version);
    const stored = format.encodeValue(utf8(""), U64_MAX, NOW);
    assert.is(format.remainingTtl(stored, NOW), U64_MAX - BigInt(NOW));
    const large = format.encodeValue(utf8(""), (1n << 60n) + 1n, NOW);
    assert.is(format.remainingTtl(large, NOW), (1n << 60n) + 1n);
  }
});

test("an empty value is a value; a V2 tombstone is none", () => {
  for (const version of VERSIONS) {
    const format = rawFormat(version);
    assert.is(format.liveValue(format.encodeValue(utf8(""), 0n, NOW), NOW)?.length, 0);
  }
  assert.is(toHex(V2_TOMBSTONE), "02");
  assert.is(rawFormat(API_VERSION.V2).liveValue(V2_TOMBSTONE, NOW), undefined);
});

test("damaged values are refused", () => {
  assert.throws(() => rawFormat(API_VERSION.V1TTL).liveValue(fromHex("01"), NOW));
  const v2 = rawFormat(API_VERSION.V2);
  for (const hex of ["", "04", "ff", "6101", "0003"]) {
    assert.throws(() => v2.liveValue(fromHex(hex), NOW), undefined, hex);
  }
});

test("liveness agrees with the codec on any stored bytes", () => {
  const bytes = fc.uint8Array({ maxLength: 20 });
  const plausible = fc
    .tuple(bytes, fc.bigInt({ min: 0n, max: U64_MAX }), fc.nat(3))
    .map(([value, expiry, flags]) => {
      const out = new Uint8Array(value.length + 9);
      out.set(value);
      new DataView(out.buffer).setBigUint64(value.length, expiry);
      out[out.length - 1] = flags;
      return out;
    });
  fc.assert(
    fc.property(fc.oneof(bytes, plausible), fc.nat(2 ** 31), (stored, now) => {
      for (const version of VERSIONS) {
        const attempt = (read: () => Uint8Array | undefined): string => {
          try {
            const value = read();
            return value === undefined ? "dead" : toHex(value);
          } catch {
            return "damaged";
          }
        };
        const expected = attempt(() => {
          const { value, expireTs, isDelete } = decodeRawValue(version, stored);
          return isDelete || isExpired(expireTs, BigInt(now)) ? undefined : value;
        });
        assert.is(
          attempt(() => rawFormat(version).liveValue(stored, now)),
          expected,
          `version ${version}`,
        );
      }
    }),
    { seed: 2, numRuns: 1000 },
  );
});

test("V2 removal: superseded versions at once, a dead newest only with all below it", () => {
  const format = rawFormat(API_VERSION.V2);
  const key = (name: string, ts: bigint): Uint8Array =>
    keyAppendTs(format.encodeKey(utf8(name)), ts);
  const live = format.encodeValue(utf8("v"), 0n, NOW);
  const entries = [
    [key("ra", 9n), live],
    [key("ra", 8n), live],
    [key("rb", 9n), V2_TOMBSTONE],
    [key("rb", 8n), live],
    [key("rc", 9n), V2_TOMBSTONE],
  ] as const;
  const slice = {
    keys: entries.map(([k]) => k),
    values: entries.map(([, v]) => v),
    before: undefined,
  };
  assert.equal(removable(format, { ...slice, ended: true }, NOW), [1, 2, 3, 4]);
  // More versions of rc may follow: it has to wait for the slice that shows them all.
  assert.equal(removable(format, { ...slice, ended: false }, NOW), [1, 2, 3]);
  const cut = { keys: slice.keys.slice(0, 3), values: slice.values.slice(0, 3) };
  assert.equal(removable(format, { ...cut, before: undefined, ended: false }, NOW), [1]);
  // The rest of ra, after a slice that ended within it.
  const rest = { keys: slice.keys.slice(1, 2), values: slice.values.slice(1, 2) };
  assert.equal(removable(format, { ...rest, before: key("ra", 9n), ended: true }, NOW), [0]);
  assert.ok(sameUserKey(key("ra", 1n), key("ra", 2n)));
  assert.not.ok(sameUserKey(key("ra", 1n), key("rb", 1n)));
});

test.run();
