/** crc kernel: all builds against the twin, and the twin against the catalogue's check value. */
import * as fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { concatBytes, utf8 } from "../../src/base/index.js";
import { crc64, crc64Pairs, loadKernels, PAGE_BYTES } from "../../src/kernel/index.js";
import { agree, bytesArbitrary, forAll, place } from "./support.js";

const CHECK = 0x995dc9bbdf1939fan;

/** Bit by bit, straight from the definition. */
function slowCrc64(bytes: Uint8Array): bigint {
  let crc = 2n ** 64n - 1n;
  for (const byte of bytes) {
    crc ^= BigInt(byte);
    for (let i = 0; i < 8; i++) crc = crc & 1n ? (crc >> 1n) ^ 0xc96c5795d7870f42n : crc >> 1n;
  }
  return crc ^ (2n ** 64n - 1n);
}

function checksum(pairs: readonly (readonly [Uint8Array, Uint8Array])[], offset: number): unknown {
  return agree((functions, arena) => {
    const keys = place(
      arena,
      pairs.map(([key]) => key),
      offset,
    );
    const values = place(
      arena,
      pairs.map(([, value]) => value),
      16 - offset,
    );
    const result = arena.scratch.reserve(32);
    const code = functions.crc64Pairs(keys, values, pairs.length, result);
    return {
      code,
      checksum: arena.view.getBigUint64(result, true),
      bytes: arena.view.getBigUint64(result + 8, true),
      behind: arena.u32[(result >> 2) + 4],
    };
  });
}

test("check value of CRC-64/XZ, whole and in parts", () => {
  assert.is(crc64(utf8("123456789")), CHECK);
  assert.is(crc64(utf8("1234"), utf8(""), utf8("56789")), CHECK);
  assert.is(crc64(), 0n);
});

test("all builds agree on any pairs and alignment, and with the definition", () => {
  const pairs = fc.array(fc.tuple(bytesArbitrary, bytesArbitrary), { maxLength: 20 });
  forAll(fc.tuple(pairs, fc.nat(16)), ([items, offset]) => {
    let sum = 0n;
    let bytes = 0n;
    for (const [key, value] of items) {
      sum ^= crc64(key, value);
      bytes += BigInt(key.length + value.length);
    }
    const seen = checksum(items, offset);
    assert.equal(seen, { code: items.length, checksum: sum, bytes, behind: 0xcccccccc });
    const [first] = items;
    if (first !== undefined) assert.is(crc64(...first), slowCrc64(concatBytes(...first)));
  });
});

test("key and value are one string: moving the border changes nothing", () => {
  const moved = checksum([[utf8("12345"), utf8("6789")]], 1);
  assert.equal(moved, checksum([[utf8(""), utf8("123456789")]], 2));
  assert.is((moved as { checksum: bigint }).checksum, CHECK);
});

test("many pairs, and none", () => {
  const pair = [utf8("key"), utf8("value")] as const;
  const even = checksum(
    Array.from({ length: 4096 }, () => pair),
    3,
  ) as { checksum: bigint };
  assert.is(even.checksum, 0n, "equal pairs cancel out");
  assert.equal(checksum([], 0), { code: 0, checksum: 0n, bytes: 0n, behind: 0xcccccccc });
});

test("the façade returns the sum, gives scratch back, and says when there is none", () => {
  for (const build of ["js", "simd"] as const) {
    const kernels = loadKernels({ build, memoryBytes: 8 * PAGE_BYTES });
    const keys = place(kernels.arena, [utf8("1234")], 0);
    const values = place(kernels.arena, [utf8("56789")], 0);
    const before = kernels.arena.scratch.next;
    assert.equal(crc64Pairs(kernels, keys, values, 1), { checksum: CHECK, bytes: 9 }, build);
    assert.is(kernels.arena.scratch.next, before, build);
    kernels.arena.scratch.reserve(kernels.arena.scratch.free - 8, 1);
    assert.is(crc64Pairs(kernels, keys, values, 1), undefined, build);
  }
});

test.run();
