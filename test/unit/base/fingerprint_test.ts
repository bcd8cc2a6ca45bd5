/** Fingerprint64 against values of Google's farmhash 1.1. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { fingerprint64, utf8 } from "../../../src/base/index.js";

/** Length n → fingerprint of the bytes (7i + n) mod 256. Lengths sit at the seams of the method. */
const KNOWN: readonly (readonly [number, bigint])[] = [
  [0, 0x9ae16a3b2f90404fn],
  [1, 0x47a24c13b17e583en],
  [2, 0xf0c23b32303a63c2n],
  [3, 0x40b4412e33eefd64n],
  [4, 0xc107ef4cfd78de68n],
  [7, 0xef296bc3f2781108n],
  [8, 0xaf3c2feaecfb8228n],
  [9, 0xdc844b50ea30fa56n],
  [15, 0x319e0df4926db491n],
  [16, 0x8935c33c50c919d8n],
  [17, 0xeb5e445e8ed8468fn],
  [31, 0xa6e1af36b767e2f2n],
  [32, 0x37679234ee53fb79n],
  [33, 0xace067ceef8b7acdn],
  [48, 0x5aab4dbfabd61f8en],
  [63, 0xd0b2a6646c271569n],
  [64, 0x99cef40b2c6f98ecn],
  [65, 0x062c410b763bef3dn],
  [127, 0x523ebfd89d1c476cn],
  [128, 0xdbceebb7b5db6dc9n],
  [129, 0x4651ad82f97e3ac7n],
  [200, 0x02cf7f5990a1b14fn],
  [257, 0xd234d6f96dd0a017n],
  [1000, 0xc3d452cfc7712240n],
];

for (const [length, expected] of KNOWN) {
  test(`${length} bytes have the fingerprint that other stores compute`, () => {
    const bytes = Uint8Array.from({ length }, (_, index) => (index * 7 + length) & 0xff);
    assert.is(fingerprint64(bytes), expected);
    const inside = new Uint8Array(length + 3);
    inside.set(bytes, 3);
    assert.is(fingerprint64(inside.subarray(3)), expected, "a view at an odd offset");
  });
}

test("text has the fingerprint that other stores compute", () => {
  assert.is(fingerprint64(utf8("hello world")), 0x588fb7478bd6b01bn);
});

test.run();
