/** Versioned keys, engine keys and timestamps beyond the published bytes. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { compareBytes, fromHex, TikvError, toHex, utf8 } from "../../../src/base/index.js";
import {
  applyStateKey,
  composeTs,
  DATA_MAX_KEY,
  DATA_MIN_KEY,
  dataEndKey,
  dataKey,
  dataRange,
  isVersionOf,
  keyAppendTs,
  keyFromRaw,
  keyToRawVersioned,
  keyTruncateTs,
  keyTs,
  LOCAL_MAX_KEY,
  originEndKey,
  originKey,
  PREPARE_BOOTSTRAP_KEY,
  parseRaftLogKey,
  parseRegionStateKey,
  RECOVER_STATE_KEY,
  REGION_META_MAX_KEY,
  REGION_META_MIN_KEY,
  raftLogKey,
  raftLogRange,
  raftStateKey,
  regionRaftRange,
  regionStateKey,
  STORE_IDENT_KEY,
  snapshotRaftStateKey,
  TS_MAX,
  tsLogical,
  tsPhysical,
} from "../../../src/codec/index.js";

const U64_MAX = 2n ** 64n - 1n;

function isKeyLength(error: unknown): boolean {
  return error instanceof TikvError && error.code === "KV:Codec:KeyLength";
}

function below(a: Uint8Array, b: Uint8Array): boolean {
  return compareBytes(a, b) < 0;
}

test("a versioned key comes apart", () => {
  const versioned = keyAppendTs(keyFromRaw(utf8("user")), 7n);
  assert.is(keyTs(versioned), 7n);
  assert.is(toHex(keyToRawVersioned(versioned)), toHex(utf8("user")));
  assert.is(toHex(keyTruncateTs(versioned)), toHex(keyFromRaw(utf8("user"))));
  assert.is(keyTs(keyAppendTs(fromHex(""), TS_MAX)), U64_MAX);
});

test("a key too short for a timestamp is refused", () => {
  assert.throws(() => keyTs(new Uint8Array(7)), isKeyLength);
  assert.throws(() => keyTruncateTs(new Uint8Array(0)), isKeyLength);
});

test("isVersionOf compares lengths before bytes", () => {
  const key = keyFromRaw(utf8("a"));
  assert.ok(isVersionOf(keyAppendTs(key, 1n), key));
  assert.not.ok(isVersionOf(key, key));
  // Eight bytes of another key in the place of the timestamp, and one more.
  assert.not.ok(isVersionOf(fromHex(`${toHex(key)}000000000000000000`), key));
  assert.not.ok(isVersionOf(keyAppendTs(keyFromRaw(utf8("b")), 1n), key));
});

test("data keys: prefix, bounds, origin", () => {
  assert.is(toHex(dataKey(utf8("a"))), "7a61");
  assert.is(toHex(dataEndKey(fromHex(""))), "7b");
  const { start, end } = dataRange(fromHex(""), fromHex(""));
  assert.is(compareBytes(start, DATA_MIN_KEY), 0);
  assert.is(compareBytes(end, DATA_MAX_KEY), 0);
  assert.is(toHex(originKey(dataKey(utf8("a")))), "61");
  assert.is(originEndKey(DATA_MAX_KEY).length, 0);
  assert.is(toHex(originEndKey(dataKey(utf8("b")))), "62");
  assert.throws(() => originKey(raftStateKey(1n)), isKeyLength);
  assert.throws(() => originEndKey(fromHex("7b00")), isKeyLength);
  assert.throws(() => originKey(fromHex("")), isKeyLength);
});

test("local keys sort below all data, logs by region and index", () => {
  const sorted = [
    STORE_IDENT_KEY,
    PREPARE_BOOTSTRAP_KEY,
    raftLogKey(1n, 5n),
    raftLogKey(1n, 6n),
    raftLogKey(1n, 256n),
    raftLogKey(1n, U64_MAX),
    raftStateKey(1n),
    applyStateKey(1n),
    snapshotRaftStateKey(1n),
    raftLogKey(2n, 0n),
    raftStateKey(U64_MAX),
    RECOVER_STATE_KEY,
    regionStateKey(1n),
    regionStateKey(256n),
    LOCAL_MAX_KEY,
    DATA_MIN_KEY,
    dataKey(fromHex("ff")),
    DATA_MAX_KEY,
  ];
  for (let i = 1; i < sorted.length; i++) {
    assert.ok(below(sorted[i - 1] as Uint8Array, sorted[i] as Uint8Array), `element ${i}`);
  }
});

test("ranges hold exactly what they name", () => {
  const raft = regionRaftRange(7n);
  for (const key of [raftLogKey(7n, 0n), raftLogKey(7n, U64_MAX), snapshotRaftStateKey(7n)]) {
    assert.ok(!below(key, raft.start) && below(key, raft.end), toHex(key));
  }
  for (const key of [snapshotRaftStateKey(6n), raftLogKey(8n, 0n), regionStateKey(7n)]) {
    assert.ok(below(key, raft.start) || !below(key, raft.end), toHex(key));
  }
  const meta = regionStateKey(U64_MAX);
  assert.ok(below(REGION_META_MIN_KEY, meta) && below(meta, REGION_META_MAX_KEY));
  const log = raftLogRange(7n, 5n, 8n);
  assert.is(toHex(log.start), toHex(raftLogKey(7n, 5n)));
  assert.is(toHex(log.end), toHex(raftLogKey(7n, 8n)));
});

test("local keys parse back; others do not", () => {
  assert.equal(parseRaftLogKey(raftLogKey(U64_MAX, 9n)), { regionId: U64_MAX, index: 9n });
  assert.is(parseRaftLogKey(raftStateKey(1n)), undefined);
  const otherSuffix = raftLogKey(1n, 2n);
  otherSuffix[10] = 0x02;
  assert.is(parseRaftLogKey(otherSuffix), undefined);
  assert.is(parseRaftLogKey(fromHex("")), undefined);
  assert.is(parseRegionStateKey(regionStateKey(3n)), 3n);
  assert.is(parseRegionStateKey(applyStateKey(3n)), undefined);
  assert.is(parseRegionStateKey(STORE_IDENT_KEY), undefined);
});

test("timestamps have 46 and 18 bits", () => {
  assert.is(composeTs(2n ** 46n - 1n, 2n ** 18n - 1n), TS_MAX);
  assert.is(tsPhysical(TS_MAX), 2n ** 46n - 1n);
  assert.is(tsLogical(TS_MAX), 2n ** 18n - 1n);
  assert.throws(() => composeTs(2n ** 46n, 0n), /46 bits/);
  assert.throws(() => composeTs(0n, 2n ** 18n), /18 bits/);
});

test.run();
