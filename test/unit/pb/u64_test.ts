/** 64-bit fields keep every bit through encode and decode. */
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  fromBigInt,
  fromSignedBigInt,
  isZero,
  kvrpcpb,
  pdpb,
  toBigInt,
  toNumber,
  toNumberSaturating,
  toSafeNumber,
  u64MapEntries,
  u64MapKey,
} from "../../../src/pb/index.js";

const U64_MAX = 0xffff_ffff_ffff_ffffn;
const TWO_53 = 1n << 53n;
const TSO = (1_764_000_000_000n << 18n) | 262_143n;
const CORNERS = [
  0n,
  1n,
  0x7fff_ffffn,
  0x8000_0000n,
  0xffff_ffffn,
  1n << 32n,
  TWO_53 - 1n,
  TWO_53,
].concat([TWO_53 + 1n, TSO, 7_300_000_000_000_000_001n, 1n << 63n, U64_MAX - 1n, U64_MAX]);

function throughContext(value: bigint): bigint {
  const bytes = kvrpcpb.Context.encode({
    clusterId: fromBigInt(value),
    resolvedLocks: [fromBigInt(value), fromBigInt(value)],
  }).finish();
  const context = kvrpcpb.Context.decode(bytes);
  for (const lock of context.resolvedLocks) assert.is(toBigInt(lock), value);
  return toBigInt(context.clusterId);
}

test("corner values survive, in scalar and packed fields", () => {
  for (const value of CORNERS) assert.is(throughContext(value), value, String(value));
});

test("any u64 survives", () => {
  fc.assert(fc.property(fc.bigInt(0n, U64_MAX), (value) => throughContext(value) === value));
});

test("any i64 survives", () => {
  const values = fc.bigInt(-(1n << 63n), (1n << 63n) - 1n);
  fc.assert(
    fc.property(values, (value) => {
      const bytes = pdpb.Timestamp.encode({ physical: fromSignedBigInt(value) }).finish();
      return toBigInt(pdpb.Timestamp.decode(bytes).physical) === value;
    }),
  );
});

test("the bytes of u64::MAX are those of the protobuf specification", () => {
  const bytes = pdpb.RequestHeader.encode({ clusterId: fromBigInt(U64_MAX) }).finish();
  assert.is(Buffer.from(bytes).toString("hex"), "08ffffffffffffffffff01");
});

test("a missing field is zero", () => {
  assert.ok(isZero(kvrpcpb.Context.decode(new Uint8Array(0)).regionId));
  assert.not.ok(isZero(fromBigInt(1n << 32n)));
});

test("what does not fit is refused before it is sent", () => {
  assert.throws(() => fromBigInt(-1n), /u64/);
  assert.throws(() => fromBigInt(U64_MAX + 1n), /u64/);
  assert.throws(() => fromSignedBigInt(1n << 63n), /i64/);
});

test("numbers are exact or refused", () => {
  assert.is(toNumber(fromBigInt(TWO_53 - 1n)), Number(TWO_53 - 1n));
  assert.is(toSafeNumber(fromBigInt(TWO_53)), undefined);
  assert.throws(() => toNumber(fromBigInt(TWO_53)), /below 2\^53/);
  assert.is(toNumberSaturating(fromBigInt(U64_MAX)), Number.MAX_SAFE_INTEGER);
  assert.is(toNumberSaturating(7), 7);
});

test("maps with u64 keys keep their keys", () => {
  const regionsById: Record<string, pdpb.IRegionResponse> = {};
  for (const id of CORNERS) regionsById[u64MapKey(id)] = { region: { id: fromBigInt(id) } };
  const local = u64MapEntries(regionsById).map(([id]) => id);
  assert.equal(local.sort(), [...CORNERS].sort());
  const bytes = pdpb.QueryRegionResponse.encode({ regionsById }).finish();
  const decoded = u64MapEntries(pdpb.QueryRegionResponse.decode(bytes).regionsById);
  assert.is(decoded.length, CORNERS.length);
  for (const [id, { region }] of decoded) assert.is(toBigInt(region?.id ?? -1), id);
});

test.run();
