import { test } from "uvu";
import * as assert from "uvu/assert";
import { compareBytes, fromHex, keyInRange, prefixNext, toHex } from "../../src/base/index.js";

test("compareBytes is unsigned and puts a prefix first", () => {
  assert.ok(compareBytes(fromHex("80"), fromHex("7f")) > 0);
  assert.ok(compareBytes(fromHex("61"), fromHex("6100")) < 0);
  assert.is(compareBytes(fromHex("6162"), fromHex("6162")), 0);
});

test("prefixNext carries over 0xff and ends in the empty key", () => {
  assert.is(toHex(prefixNext(fromHex("61ff"))), "62");
  assert.is(prefixNext(fromHex("ffff")).length, 0);
});

test("keyInRange takes an empty end as +inf", () => {
  assert.ok(keyInRange(fromHex("ff"), fromHex(""), fromHex("")));
  assert.not.ok(keyInRange(fromHex("62"), fromHex("61"), fromHex("62")));
});

test("fromHex refuses what is not hex", () => {
  assert.throws(() => fromHex("0g"), /not a hex string/);
  assert.throws(() => fromHex("0"), /not a hex string/);
});

test.run();
