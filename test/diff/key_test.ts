/** key kernels: all builds against the twin; split undoes append; newer versions sort first. */
import * as fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { toHex } from "../../src/base/index.js";
import {
  type Arena,
  CORRUPT,
  memcomparableLength,
  SLICE_BYTES,
  TS_BYTES,
} from "../../src/kernel/index.js";
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

const U64_MAX = 2n ** 64n - 1n;
const tsArbitrary = fc.oneof(
  fc.constantFrom(0n, 1n, U64_MAX, U64_MAX - 1n, 2n ** 32n, 2n ** 32n - 1n, 2n ** 63n),
  fc.bigInt({ min: 0n, max: U64_MAX }),
);
const casesArbitrary = fc.record({
  items: fc.array(fc.tuple(bytesArbitrary, tsArbitrary), { maxLength: 40 }),
  prefix: fc.uint8Array({ maxLength: 16 }),
  placement: placementArbitrary,
  encode: fc.constantFrom(0, 1),
});

interface Case {
  readonly items: readonly (readonly [Uint8Array, bigint])[];
  readonly prefix: Uint8Array;
  readonly placement: Placement;
  readonly encode: number;
}

function placeTs(arena: Arena, items: Case["items"]): number {
  const table = arena.input.reserve(items.length * TS_BYTES);
  items.forEach(([, ts], i) => {
    arena.view.setBigUint64(table + i * TS_BYTES, ts, true);
  });
  return table;
}

function append({ items, prefix, placement, encode }: Case): string[] {
  const keys = items.map(([key]) => key);
  let bytes = 0;
  for (const { length } of keys) {
    bytes += prefix.length + (encode ? memcomparableLength(length) : length) + TS_BYTES;
  }
  const seen = agree((functions, arena) => {
    const ts = placeTs(arena, items);
    const prefixAt = arena.input.reserve(prefix.length, 1);
    arena.u8.set(prefix, prefixAt);
    const table = place(arena, keys, placement.inputOffset);
    const outTable = arena.scratch.reserve(items.length * SLICE_BYTES);
    const result = drive(arena, items.length, bytes, placement, ({ first, count, out, outEnd }) =>
      functions.keyAppendTs(
        table + first * SLICE_BYTES,
        ts + first * TS_BYTES,
        count,
        prefixAt,
        prefix.length,
        outTable + first * SLICE_BYTES,
        out,
        outEnd,
        encode,
      ),
    );
    return { ...result, slices: slicesHex(arena, outTable, result.done) };
  });
  return (seen as { slices: string[] }).slices;
}

const ROOMY: Placement = { inputOffset: 1, outputOffset: 2, chunk: 10_000, shortage: -64 };
const bytesOf = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, "hex"));

test("append agrees on any input, prefix, alignment, chunking and room", () => {
  forAll(casesArbitrary, (value) => {
    append(value);
  });
});

test("append writes prefix, key and NOT(ts)", () => {
  const items = [[bytesOf("616263"), 100n]] as const;
  const encoded = append({ items, prefix: bytesOf("647a"), placement: ROOMY, encode: 1 });
  assert.equal(encoded, ["647a6162630000000000faffffffffffffff9b"]);
  const plain = append({ items, prefix: bytesOf(""), placement: ROOMY, encode: 0 });
  assert.equal(plain, ["616263ffffffffffffff9b"]);
});

test("split undoes append in place", () => {
  forAll(casesArbitrary, (value) => {
    const keys = append({ ...value, placement: ROOMY, encode: 0 }).map(bytesOf);
    const seen = agree((functions, arena) => {
      const table = place(arena, keys, value.placement.inputOffset);
      const ts = arena.scratch.reserve(keys.length * TS_BYTES);
      const code = functions.keySplitTs(table, keys.length, value.prefix.length, table, ts);
      return {
        code,
        slices: slicesHex(arena, table, keys.length),
        ts: keys.map((_, i) => arena.view.getBigUint64(ts + i * TS_BYTES, true)),
      };
    });
    assert.equal(seen, {
      code: keys.length,
      slices: value.items.map(([key]) => toHex(key)),
      ts: value.items.map(([, ts]) => ts),
    });
  });
});

test("split refuses a key shorter than prefix and timestamp", () => {
  const seen = agree((functions, arena) => {
    const keys = [new Uint8Array(10), new Uint8Array(9)];
    const table = place(arena, keys, 0);
    const out = arena.scratch.reserve(64);
    const code = functions.keySplitTs(table, 2, 2, out, out + 32);
    return { code, item: arena.errItem, first: slicesHex(arena, out, 1) };
  });
  assert.equal(seen, { code: CORRUPT, item: 1, first: [""] });
});

test("a newer version sorts before an older one of the same key", () => {
  forAll(fc.tuple(bytesArbitrary, tsArbitrary, tsArbitrary), ([key, a, b]) => {
    const items = [
      [key, a],
      [key, b],
    ] as const;
    const [first, second] = append({ items, prefix: key.slice(0, 3), placement: ROOMY, encode: 1 });
    const order = first === second ? 0 : (first as string) < (second as string) ? -1 : 1;
    assert.is(order, a === b ? 0 : a > b ? -1 : 1);
  });
});

test("zero items", () => {
  assert.equal(append({ items: [], prefix: bytesOf("64"), placement: ROOMY, encode: 1 }), []);
});

test.run();
