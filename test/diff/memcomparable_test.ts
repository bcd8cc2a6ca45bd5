/** memcomparable kernels: debug, release and SIMD against the twin; the twin against its inverse. */
import * as fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { toHex } from "../../src/base/index.js";
import { CORRUPT, memcomparableLength, SLICE_BYTES } from "../../src/kernel/index.js";
import {
  agree,
  bytesArbitrary,
  drive,
  forAll,
  type Placement,
  place,
  placementArbitrary,
  slicesHex,
} from "./support.js";

const casesArbitrary = fc.record({
  items: fc.array(bytesArbitrary, { maxLength: 40 }),
  placement: placementArbitrary,
  desc: fc.constantFrom(0, 1),
});

function encodeAll(items: readonly Uint8Array[], placement: Placement, desc: number): string[] {
  let bytes = 0;
  for (const item of items) bytes += memcomparableLength(item.length);
  const seen = agree((functions, arena) => {
    const table = place(arena, items, placement.inputOffset);
    const outTable = arena.scratch.reserve(items.length * SLICE_BYTES);
    const result = drive(arena, items.length, bytes, placement, ({ first, count, out, outEnd }) =>
      functions.memcomparableEncode(
        table + first * SLICE_BYTES,
        count,
        outTable + first * SLICE_BYTES,
        out,
        outEnd,
        desc,
      ),
    );
    return { ...result, slices: slicesHex(arena, outTable, result.done) };
  });
  return (seen as { slices: string[] }).slices;
}

function decodeAll(items: readonly Uint8Array[], placement: Placement, desc: number): string[] {
  let bytes = 0;
  for (const item of items) bytes += Math.floor(item.length / 9) * 8;
  const seen = agree((functions, arena) => {
    const table = place(arena, items, placement.inputOffset);
    const outTable = arena.scratch.reserve(items.length * SLICE_BYTES);
    const result = drive(arena, items.length, bytes, placement, ({ first, count, out, outEnd }) =>
      functions.memcomparableDecode(
        table + first * SLICE_BYTES,
        count,
        outTable + first * SLICE_BYTES,
        out,
        outEnd,
        desc,
      ),
    );
    return { ...result, slices: slicesHex(arena, outTable, result.done) };
  });
  return (seen as { slices: string[] }).slices;
}

const ROOMY: Placement = { inputOffset: 3, outputOffset: 5, chunk: 10_000, shortage: -64 };
const fromHexRows = (rows: string[]): Uint8Array[] =>
  rows.map((row) => Uint8Array.from(Buffer.from(row, "hex")));

test("encode agrees on any input, alignment, chunking and room", () => {
  forAll(casesArbitrary, ({ items, placement, desc }) => {
    encodeAll(items, placement, desc);
  });
});

test("decode undoes encode, and agrees on any placement", () => {
  forAll(casesArbitrary, ({ items, placement, desc }) => {
    const encoded = fromHexRows(encodeAll(items, ROOMY, desc));
    const decoded = decodeAll(encoded, ROOMY, desc);
    assert.equal(decoded, items.map(toHex));
    decodeAll(encoded, placement, desc);
  });
});

test("decode agrees on damaged input", () => {
  const damage = fc.record({ at: fc.nat(), byte: fc.nat(255), cut: fc.nat(12) });
  forAll(fc.tuple(casesArbitrary, damage), ([{ items, placement, desc }, { at, byte, cut }]) => {
    const encoded = fromHexRows(encodeAll(items, ROOMY, desc));
    const victim = encoded[at % Math.max(1, encoded.length)];
    if (victim !== undefined) {
      victim[at % victim.length] = byte;
      encoded[at % encoded.length] = victim.slice(0, victim.length - Math.min(cut, victim.length));
    }
    decodeAll(encoded, placement, desc);
  });
});

test("every kind of damage is refused, the items before it are done", () => {
  const good = "6100000000000000f8";
  const damaged = [
    "",
    "6100000000000000",
    "0102030405060708ff",
    "0102030405060708ff61000000000000f8",
    "0000000000000000f6",
    "000000000000000000",
    "6100000000000000f7",
    "6100000000000001f8",
    "6162000000000000f8",
    `${good}00`,
    `${good}${good}`,
    `${good}0102030405060708ff`,
  ];
  for (const hex of damaged) {
    const seen = agree((functions, arena) => {
      const table = place(arena, fromHexRows([good, hex, good]), 1);
      const outTable = arena.scratch.reserve(3 * SLICE_BYTES);
      const { start, end } = arena.output;
      const code = functions.memcomparableDecode(table, 3, outTable, start, end, 0);
      const size = arena.outEnd - start;
      return { code, item: arena.errItem, size, done: slicesHex(arena, outTable, 1) };
    });
    assert.equal(seen, { code: CORRUPT, item: 1, size: 1, done: ["61"] }, `damaged: ${hex}`);
  }
});

test("order of encodings is the order of the strings, descending reversed", () => {
  forAll(fc.tuple(bytesArbitrary, bytesArbitrary), ([a, b]) => {
    const expected = Math.sign(Buffer.compare(a, b));
    const [ascA, ascB] = encodeAll([a, b], ROOMY, 0) as [string, string];
    const [descA, descB] = encodeAll([a, b], ROOMY, 1) as [string, string];
    assert.is(ascA < ascB ? -1 : ascA > ascB ? 1 : 0, expected, "ascending");
    assert.is(descA < descB ? 1 : descA > descB ? -1 : 0, expected, "descending");
  });
});

test("zero items and the maximum of a small arena", () => {
  assert.equal(encodeAll([], ROOMY, 0), []);
  const many = Array.from({ length: 4096 }, (_, i) => Uint8Array.of(i & 0xff, i >> 8));
  const encoded = encodeAll(many, ROOMY, 1);
  assert.is(encoded.length, 4096);
  assert.is(decodeAll(fromHexRows(encoded), ROOMY, 1).length, 4096);
});

test("the string may end with the arena: reading ahead stays in the slack", () => {
  agree((functions, arena) => {
    const at = arena.scratch.end - 3;
    arena.u8.set([1, 2, 3], at);
    const table = arena.input.reserve(16);
    arena.u32[table >> 2] = at;
    arena.u32[(table >> 2) + 1] = 3;
    const { start, end } = arena.output;
    const code = functions.memcomparableEncode(table, 1, table + 8, start, end, 0);
    assert.equal(slicesHex(arena, table + 8, 1), ["0102030000000000fa"]);
    return code;
  });
});

test.run();
