/** What must not decode, and where a decoder stops. Exact bytes: test/compat/codec_test.ts. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { fromHex, TikvError, toHex } from "../../../src/base/index.js";
import { decodeBytes, decodeBytesAt, encodeBytes } from "../../../src/codec/index.js";

function isBadPadding(error: unknown): boolean {
  return error instanceof TikvError && error.code === "KV:Codec:BadPadding";
}

const REFUSED: Readonly<Record<string, string>> = {
  empty: "",
  "one byte short": "01020304050607fe",
  "no group after a full one": "0102030405060708ff",
  "second group cut": "0102030405060708ff010203",
  "marker below f7": "0102030405060708f6",
  "padding is not zero": "01020300000100 00fa".replace(" ", ""),
  "padding that claims eight": "0000000000000001f7",
  "bytes behind the end": "0102030000000000fa00",
};

for (const [what, hex] of Object.entries(REFUSED)) {
  test(`refused: ${what}`, () => {
    assert.throws(() => decodeBytes(fromHex(hex)), isBadPadding);
    const inverted = fromHex(hex).map((byte) => byte ^ 0xff);
    assert.throws(() => decodeBytes(inverted, true), isBadPadding);
  });
}

test("decodeBytesAt reads from an offset and says where it ended", () => {
  const bytes = fromHex(`aa${toHex(encodeBytes(fromHex("0102030405060708")))}bbcc`);
  const { value, end } = decodeBytesAt(bytes, 1);
  assert.is(toHex(value), "0102030405060708");
  assert.is(end, 19);
});

test("ascending bytes do not decode as descending", () => {
  assert.throws(() => decodeBytes(encodeBytes(fromHex("01")), true), isBadPadding);
});

test.run();
