/** Order, round trips and damage of numbers. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { compareBytes, fromHex, TikvError, toHex } from "../../../src/base/index.js";
import {
  decodeF64,
  decodeI64,
  decodeI64Desc,
  decodeU64,
  decodeU64Desc,
  decodeVarI64,
  decodeVarU64,
  encodeF64,
  encodeI64,
  encodeI64Desc,
  encodeU64,
  encodeU64Desc,
  encodeVarI64,
  encodeVarU64,
} from "../../../src/codec/index.js";

const U64_MAX = 2n ** 64n - 1n;
const UNSIGNED = [0n, 1n, 127n, 128n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 53n, 2n ** 63n, U64_MAX];
const SIGNED = [
  -(2n ** 63n),
  -(2n ** 32n),
  -129n,
  -1n,
  0n,
  1n,
  63n,
  64n,
  2n ** 53n,
  2n ** 63n - 1n,
];
const FLOATS = [
  -Infinity,
  -Number.MAX_VALUE,
  -1.8,
  -Number.MIN_VALUE,
  -0,
  0,
  1e-300,
  1.8,
  Infinity,
];

function inOrder(encoded: readonly Uint8Array[], sign: number, what: string): void {
  for (let i = 1; i < encoded.length; i++) {
    const order = compareBytes(encoded[i - 1] as Uint8Array, encoded[i] as Uint8Array);
    assert.is(Math.sign(order), sign, `${what}, element ${i}`);
  }
}

function isCut(error: unknown): boolean {
  return error instanceof TikvError && error.code === "KV:Codec:Io";
}

test("comparable numbers sort as the numbers, descending ones in reverse", () => {
  inOrder(UNSIGNED.map(encodeU64), -1, "u64");
  inOrder(UNSIGNED.map(encodeU64Desc), 1, "u64 desc");
  inOrder(SIGNED.map(encodeI64), -1, "i64");
  inOrder(SIGNED.map(encodeI64Desc), 1, "i64 desc");
  inOrder(FLOATS.map(encodeF64), -1, "f64");
});

test("numbers survive a round trip", () => {
  for (const value of UNSIGNED) {
    assert.is(decodeU64(encodeU64(value)), value, `u64 ${value}`);
    assert.is(decodeU64Desc(encodeU64Desc(value)), value, `u64 desc ${value}`);
    assert.is(decodeVarU64(encodeVarU64(value)).value, value, `varint ${value}`);
  }
  for (const value of SIGNED) {
    assert.is(decodeI64(encodeI64(value)), value, `i64 ${value}`);
    assert.is(decodeI64Desc(encodeI64Desc(value)), value, `i64 desc ${value}`);
    assert.is(decodeVarI64(encodeVarI64(value)).value, value, `zig-zag ${value}`);
  }
  for (const value of FLOATS) assert.ok(Object.is(decodeF64(encodeF64(value)), value), `${value}`);
});

test("zig-zag maps 0, -1, 1, -2 to 0, 1, 2, 3", () => {
  assert.equal([0n, -1n, 1n, -2n].map(encodeVarI64).map(toHex), ["00", "01", "02", "03"]);
});

test("cut and oversize bytes are refused", () => {
  assert.throws(() => decodeU64(fromHex("00000000000000")), isCut);
  assert.throws(() => decodeU64(new Uint8Array(9), 2), isCut);
  assert.throws(() => decodeVarU64(fromHex("")), isCut);
  assert.throws(() => decodeVarU64(fromHex("ffff")), isCut);
  assert.throws(() => decodeVarU64(fromHex("ffffffffffffffffff02")), isCut, "65 bits");
  assert.throws(() => decodeVarU64(fromHex("8080808080808080808000")), isCut, "11 bytes");
  assert.equal(decodeVarU64(fromHex("ffffffffffffffffff01")), { value: U64_MAX, end: 10 });
});

test("values outside of 64 bits are bugs", () => {
  assert.throws(() => encodeU64(-1n), /64 bits/);
  assert.throws(() => encodeU64(U64_MAX + 1n), /64 bits/);
  assert.throws(() => encodeI64(2n ** 63n), /64 bits/);
  assert.throws(() => encodeVarI64(-(2n ** 63n) - 1n), /64 bits/);
});

test.run();
