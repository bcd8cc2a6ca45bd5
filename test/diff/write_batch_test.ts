/**
 * write_batch kernel: all builds against the twin, and both against the builder and the reader of
 * engine/write_batch.ts.
 */
import * as fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { compareBytes, concatBytes, toHex } from "../../src/base/index.js";
import {
  checkRepresentation,
  mergeRepresentations,
  WriteBatchBuilder,
  writeRecords,
} from "../../src/engine/index.js";
import {
  type Arena,
  CORRUPT,
  type KernelFunctions,
  OUT_FULL,
  setWriteRow,
  WRITE_BATCH_DELETE,
  WRITE_BATCH_DELETE_RANGE,
  WRITE_BATCH_HEADER,
  WRITE_BATCH_PUT,
  WRITE_ROW_BYTES,
  WRITE_ROW_SUFFIX,
  WRITE_ROW_SUFFIX_LENGTH,
} from "../../src/kernel/index.js";
import {
  agree,
  assertUntouched,
  bytesArbitrary,
  forAll,
  type Placement,
  place,
  placementArbitrary,
} from "./support.js";

/** Returns the same range with its ends in order; an empty end stays open. */
function forwards(range: Change): Change {
  const order = compareBytes(range.key, range.value);
  if (order < 0 || range.value.length === 0) return range;
  return order === 0
    ? { ...range, value: new Uint8Array(0) }
    : { ...range, key: range.value, value: range.key };
}

interface Change {
  readonly op: number;
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  readonly suffix: Uint8Array;
}

const changeArbitrary: fc.Arbitrary<Change> = fc
  .record({
    op: fc.constantFrom(
      WRITE_BATCH_PUT,
      WRITE_BATCH_PUT,
      WRITE_BATCH_DELETE,
      WRITE_BATCH_DELETE_RANGE,
    ),
    key: bytesArbitrary,
    value: bytesArbitrary,
    suffix: fc.uint8Array({ maxLength: 12 }),
  })
  .map((change) => (change.op === WRITE_BATCH_DELETE_RANGE ? forwards(change) : change));
const PREFIX = Uint8Array.of(0x64, 0x7a);
const ROOMY: Placement = { inputOffset: 1, outputOffset: 3, chunk: 10_000, shortage: 0 };

function placeChanges(arena: Arena, changes: readonly Change[], offset: number): number {
  const rows = arena.input.reserve(changes.length * WRITE_ROW_BYTES);
  const strings =
    place(
      arena,
      changes.flatMap(({ key, value }) => [key, value]),
      offset,
    ) >> 2;
  changes.forEach(({ op, key, value, suffix }, i) => {
    const keyAt = arena.u32[strings + 4 * i] as number;
    const valueAt = arena.u32[strings + 4 * i + 2] as number;
    setWriteRow(arena, rows, i, op, keyAt, key.length, valueAt, value.length);
    arena.u8[rows + i * WRITE_ROW_BYTES + WRITE_ROW_SUFFIX_LENGTH] = suffix.length;
    arena.u8.set(suffix, rows + i * WRITE_ROW_BYTES + WRITE_ROW_SUFFIX);
  });
  return rows;
}

/** What engine/write_batch.ts makes of the same changes; the prefix is its CF byte and a "z". */
function expected(changes: readonly Change[]): Uint8Array {
  const batch = new WriteBatchBuilder();
  const z = PREFIX.subarray(1);
  for (const { op, key, value, suffix } of changes) {
    const dataKey = concatBytes(z, key);
    if (op === WRITE_BATCH_PUT) batch.put("default", dataKey, concatBytes(value, suffix));
    else if (op === WRITE_BATCH_DELETE) batch.delete("default", dataKey);
    else {
      const end = value.length === 0 ? Uint8Array.of(0x7b) : concatBytes(z, value);
      batch.deleteRange("default", dataKey, end);
    }
  }
  return batch.bytes().slice();
}

/** Builds batches of at most `chunk` rows in areas of `room` bytes, as a caller that drains would. */
function build(
  functions: KernelFunctions,
  arena: Arena,
  changes: readonly Change[],
  { inputOffset, outputOffset, chunk }: Placement,
  room: number,
): { batches: string[]; log: string[] } {
  const prefix = arena.input.reserve(PREFIX.length, 1);
  arena.u8.set(PREFIX, prefix);
  const rows = placeChanges(arena, changes, inputOffset);
  const out = arena.output.start + outputOffset;
  const batches: string[] = [];
  const log: string[] = [];
  let done = 0;
  do {
    const count = Math.min(chunk, changes.length - done);
    const at = rows + done * WRITE_ROW_BYTES;
    const code = functions.writeBatchBuild(at, count, prefix, PREFIX.length, out, out + room);
    log.push(`${code}`);
    if (code !== count) log.push(`item ${arena.errItem}`);
    if (code !== count && code !== CORRUPT) log.push(`needed ${arena.needed}`);
    batches.push(toHex(arena.u8.subarray(out, arena.outEnd)));
    if (code <= 0) break;
    done += code;
  } while (done < changes.length);
  assertUntouched(arena, out + room);
  return { batches, log };
}

function bytesOf(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex, "hex"));
}

test("builds the bytes that the builder makes, exactly full", () => {
  forAll(fc.tuple(fc.array(changeArbitrary, { maxLength: 40 }), placementArbitrary), (value) => {
    const [changes, placement] = value;
    const want = expected(changes);
    const whole = { ...placement, chunk: 10_000 };
    const seen = agree((functions, arena) =>
      build(functions, arena, changes, whole, want.length),
    ) as { batches: string[] };
    assert.equal(seen.batches, [toHex(want)]);
  });
});

test("drained batches, in any chunking and room, merge to the same records", () => {
  const arbitrary = fc.tuple(fc.array(changeArbitrary, { maxLength: 40 }), placementArbitrary);
  forAll(
    fc.tuple(arbitrary, fc.integer({ min: 1500, max: 4000 })),
    ([[changes, placement], room]) => {
      const seen = agree((functions, arena) => build(functions, arena, changes, placement, room));
      const { batches } = seen as { batches: string[] };
      const merged = mergeRepresentations(batches.map(bytesOf));
      assert.is(compareBytes(merged, expected(changes)), 0);
      assert.is(checkRepresentation(merged), changes.length);
    },
  );
});

test("room that is too small: needed says what would do", () => {
  forAll(fc.tuple(changeArbitrary, fc.nat(60)), ([change, room]) => {
    const want = expected([change]);
    const seen = agree((functions, arena) => {
      const { log } = build(functions, arena, [change], ROOMY, Math.min(room, want.length - 1));
      return { log, needed: arena.needed };
    });
    const needed = room < WRITE_BATCH_HEADER ? WRITE_BATCH_HEADER : want.length;
    assert.equal(seen, { log: [`${OUT_FULL}`, "item 0", `needed ${needed}`], needed });
  });
});

test("unknown ops, long suffixes and endless ranges are refused; rows before them are done", () => {
  const good: Change = {
    op: WRITE_BATCH_PUT,
    key: bytesOf("01"),
    value: bytesOf("02"),
    suffix: bytesOf("0304"),
  };
  const bad: Change[] = [
    { ...good, op: 0x07 },
    { ...good, op: 0x02 },
    { ...good, op: 0xff },
    { ...good, suffix: new Uint8Array(12) },
  ];
  bad.forEach((change, i) => {
    const seen = agree((functions, arena) => {
      const rows = placeChanges(arena, [good, change], 0);
      if (i === 3) arena.u8[rows + WRITE_ROW_BYTES + WRITE_ROW_SUFFIX_LENGTH] = 13;
      const { start, end } = arena.output;
      const code = functions.writeBatchBuild(rows, 2, 0, 0, start, end);
      const records = [...writeRecords(arena.u8.slice(start, arena.outEnd))];
      return { code, item: arena.errItem, records: records.length };
    });
    assert.equal(seen, { code: CORRUPT, item: 1, records: 1 }, `bad change ${i}`);
  });
});

test("a range that deletes nothing is refused", () => {
  const ranges = [
    ["", "", 0, CORRUPT],
    ["61", "", 0, CORRUPT],
    ["61", "61", 2, CORRUPT],
    ["62", "61", 2, CORRUPT],
    ["6100", "61", 2, CORRUPT],
    ["61", "6100", 2, 1],
    ["", "", 2, 1],
    ["", "61", 0, 1],
  ] as const;
  for (const [key, value, prefixLength, code] of ranges) {
    const range = {
      op: WRITE_BATCH_DELETE_RANGE,
      key: bytesOf(key),
      value: bytesOf(value),
      suffix: bytesOf(""),
    };
    const seen = agree((functions, arena) => {
      const prefix = arena.input.reserve(PREFIX.length, 1);
      arena.u8.set(PREFIX, prefix);
      const rows = placeChanges(arena, [range], 0);
      const { start, end } = arena.output;
      return functions.writeBatchBuild(rows, 1, prefix, prefixLength, start, end);
    });
    assert.is(seen, code, `[${key}, ${value}) behind ${prefixLength} bytes`);
  }
});

test("zero rows make an empty batch; lengths around varint steps and 4,096 rows agree", () => {
  agree((functions, arena) => {
    const seen = build(functions, arena, [], ROOMY, WRITE_BATCH_HEADER);
    assert.equal(seen, { batches: ["00".repeat(12)], log: ["0"] });
    return seen;
  });
  const lengths = [0, 125, 126, 127, 128, 129, 255, 256, 16_381, 16_382, 16_383, 16_384];
  const changes = lengths.map((length) => ({
    op: WRITE_BATCH_PUT,
    key: new Uint8Array(Math.min(length, 300)).fill(1),
    value: new Uint8Array(length).fill(2),
    suffix: bytesOf(""),
  }));
  const want = expected(changes);
  const seen = agree((functions, arena) => build(functions, arena, changes, ROOMY, want.length));
  assert.is((seen as { batches: string[] }).batches[0], toHex(want));
  const many = Array.from({ length: 4096 }, (_, i) => ({
    op: WRITE_BATCH_DELETE,
    key: Uint8Array.of(i >> 8, i & 0xff),
    value: bytesOf(""),
    suffix: bytesOf(""),
  }));
  const batch = agree((functions, arena) => build(functions, arena, many, ROOMY, 60_000));
  assert.is((batch as { batches: string[] }).batches[0], toHex(expected(many)));
});

test.run();
