/** Every row of codec.tsv: bytes published by TiKV, PD and their clients, or derived from a rule. */
import { readFileSync } from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { concatBytes, fromHex, toHex, utf8 } from "../../src/base/index.js";
import {
  API_VERSION,
  applyStateKey,
  composeTs,
  decodeBytes,
  decodeF64,
  decodeI64,
  decodeRawKey,
  decodeRawValue,
  decodeU64,
  decodeVarI64,
  decodeVarU64,
  encodeBytes,
  encodeF64,
  encodeI64,
  encodeLock,
  encodeRawKey,
  encodeRawValue,
  encodeU64,
  encodeVarI64,
  encodeVarU64,
  encodeWrite,
  keyAppendTs,
  keyFromRaw,
  keySplitTs,
  keyspacePrefix,
  LOCK_TYPE,
  newLock,
  newWrite,
  parseLock,
  parseWrite,
  raftLogKey,
  raftStateKey,
  regionStateKey,
  STORE_IDENT_KEY,
  snapshotRaftStateKey,
  tsLogical,
  tsPhysical,
  WRITE_TYPE,
} from "../../src/codec/index.js";
import { crc64 } from "../../src/kernel/index.js";

const FILE = new URL("../../../../test/compat/codec.tsv", import.meta.url);
const ROWS = readFileSync(FILE, "utf8").trim().split("\n").slice(1);

/** "hex:0102" or "str:ab", perhaps after other words. */
function bytesOf(input: string): Uint8Array {
  const [, kind, text] = /(hex|str):(\S*)/.exec(input) as unknown as [string, string, string];
  return kind === "hex" ? fromHex(text) : utf8(text);
}

function numberAfter(word: string, input: string): bigint {
  return BigInt((new RegExp(`${word} (\\d+)`).exec(input) as RegExpExecArray)[1] as string);
}

function same(actual: Uint8Array, expected: Uint8Array): Uint8Array {
  assert.is(toHex(actual), toHex(expected));
  return expected;
}

const WRITE_NAMES = {
  Put: WRITE_TYPE.put,
  Delete: WRITE_TYPE.delete,
  Rollback: WRITE_TYPE.rollback,
} as const;
const LOCK_NAMES = { Put: LOCK_TYPE.put, Delete: LOCK_TYPE.delete } as const;

function shortValueOf(input: string): Uint8Array | undefined {
  const found = /short_value "(.*?)"/.exec(input)?.[1];
  return found === undefined ? undefined : utf8(found);
}

/** One per codec name without its remark in brackets; encodes, compares, and decodes back. */
const CHECKS: Readonly<Record<string, (input: string, expected: Uint8Array) => void>> = {
  memcomparable_bytes_asc(input, expected) {
    same(encodeBytes(bytesOf(input)), expected);
    same(decodeBytes(expected), bytesOf(input));
  },
  memcomparable_bytes_desc(input, expected) {
    same(encodeBytes(bytesOf(input), true), expected);
    same(decodeBytes(expected, true), bytesOf(input));
  },
  datum_int_comparable(input, expected) {
    same(encodeI64(BigInt(input)), expected.subarray(1));
    assert.is(decodeI64(expected, 1), BigInt(input));
  },
  datum_uint_comparable(input, expected) {
    same(encodeU64(BigInt(input)), expected.subarray(1));
    assert.is(decodeU64(expected, 1), BigInt(input));
  },
  datum_varint(input, expected) {
    same(encodeVarI64(BigInt(input)), expected.subarray(1));
    assert.equal(decodeVarI64(expected, 1), { value: BigInt(input), end: expected.length });
  },
  datum_uvarint(input, expected) {
    same(encodeVarU64(BigInt(input)), expected.subarray(1));
    assert.equal(decodeVarU64(expected, 1), { value: BigInt(input), end: expected.length });
  },
  float64_comparable(input, expected) {
    same(encodeF64(Number(input)), expected);
    assert.is(decodeF64(expected), Number(input));
  },
  key_append_ts(input, expected) {
    const ts = numberAfter("ts", input);
    const key = input.startsWith("raw ") ? keyFromRaw(bytesOf(input)) : bytesOf(input);
    same(keyAppendTs(key, ts), expected);
    const split = keySplitTs(expected);
    same(split.key, key);
    assert.is(split.ts, ts);
  },
  apiv2_raw_key(input, expected) {
    const ts = input.includes(" ts ") ? numberAfter("ts", input) : undefined;
    same(encodeRawKey(API_VERSION.V2, bytesOf(input), ts), expected);
    const decoded = decodeRawKey(API_VERSION.V2, expected, ts !== undefined);
    assert.equal(decoded, { key: bytesOf(input), ts });
  },
  apiv2_raw_value(input, expected) {
    const [, text] = /'(.*?)'/.exec(input) as unknown as [string, string];
    const expireTs = input.includes("None") ? undefined : numberAfter("expire", input);
    const raw = { value: utf8(text), expireTs, isDelete: numberAfter("delete", input) === 1n };
    same(encodeRawValue(API_VERSION.V2, raw), expected);
    assert.equal(decodeRawValue(API_VERSION.V2, expected), raw);
  },
  keyspace_prefix(input, expected) {
    const [mode, id] = input.split(" ") as [string, string];
    same(keyspacePrefix(mode === "r" ? "raw" : "txn", Number(id)), expected);
  },
  keyspace_region_boundary(input, expected) {
    const fence = /raw fence: s/.test(input);
    const key = fence ? concatBytes(utf8("s"), new Uint8Array(3)) : keyspacePrefix("raw", 66051);
    same(keyFromRaw(key), expected);
  },
  tso_compose(input, expected) {
    const physical = numberAfter("physical", input);
    const logical = numberAfter("logical", input);
    const ts = composeTs(physical, logical);
    same(encodeU64(ts), expected);
    assert.is(tsPhysical(ts), physical);
    assert.is(tsLogical(ts), logical);
  },
  write_record(input, expected) {
    const [type] = input.split(" ") as [keyof typeof WRITE_NAMES];
    const write = newWrite({
      type: WRITE_NAMES[type],
      startTs: numberAfter(
        "start_ts",
        input.replace(/2\^(\d+)/, (_, n) => `${2n ** BigInt(n)}`),
      ),
      shortValue: input.endsWith(" protected") ? utf8("p") : shortValueOf(input),
      hasOverlappedRollback: input.includes("overlapped_rollback"),
      gcFence: input.includes("gc_fence") ? numberAfter("gc_fence", input) : undefined,
    });
    same(encodeWrite(write), expected);
    assert.equal(parseWrite(expected), write);
  },
  lock_record(input, expected) {
    const [type] = input.split(" ") as [keyof typeof LOCK_NAMES];
    const lock = newLock({
      type: LOCK_NAMES[type],
      primary: utf8((/primary "(.*?)"/.exec(input) as unknown as [string, string])[1]),
      startTs: numberAfter("ts", input),
      ttl: numberAfter("ttl", input),
      shortValue: shortValueOf(input),
      forUpdateTs: input.includes("for_update_ts") ? numberAfter("for_update_ts", input) : 0n,
    });
    same(encodeLock(lock), expected);
    assert.equal(parseLock(expected), lock);
  },
  "engine_key raft_log": (_, expected) => same(raftLogKey(1n, 2n), expected),
  "engine_key raft_state": (_, expected) => same(raftStateKey(1n), expected),
  "engine_key apply_state": (_, expected) => same(applyStateKey(1n), expected),
  "engine_key snapshot_raft_state": (_, expected) => same(snapshotRaftStateKey(1n), expected),
  "engine_key region_state": (_, expected) => same(regionStateKey(1n), expected),
  "engine_key store_ident": (_, expected) => same(STORE_IDENT_KEY, expected),
  crc64: (input, expected) => same(encodeU64(crc64(bytesOf(input))), expected),
};

test("codec.tsv is whole", () => {
  assert.is(ROWS.length, 59);
});

for (const row of ROWS) {
  const [codec, input, hex] = row.split("\t") as [string, string, string];
  test(`${codec}: ${input}`, () => {
    const check = CHECKS[codec.replace(/\(.*$/, "")];
    if (check === undefined) throw new Error(`no check for ${codec}`);
    check(input, fromHex(hex));
  });
}

test.run();
