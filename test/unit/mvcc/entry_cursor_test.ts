/** The cursor that walks where it can: against a sorted array, both ways, with any block size. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { compareBytes, EMPTY_BYTES, Prng, toHex } from "../../../src/base/index.js";
import { EntryCursor } from "../../../src/mvcc/entry_cursor.js";
import { Statistics } from "../../../src/mvcc/index.js";
import { MvccEngine } from "../../support/mvcc_engine.js";

const key = (n: number): Uint8Array => Uint8Array.of(n >>> 8, n & 0xff);

function engineOf(numbers: readonly number[]): MvccEngine {
  const engine = new MvccEngine();
  engine.apply(numbers.map((n) => ({ cf: "write", key: key(n), value: key(n) })));
  return engine;
}

function cursorOf(
  engine: MvccEngine,
  reverse: boolean,
  firstBlock: number,
  statistics: Statistics,
) {
  const cursor = engine.snapshot().cursor("write", { lower: EMPTY_BYTES, upper: EMPTY_BYTES });
  return new EntryCursor(cursor, statistics.write, { reverse, firstBlock });
}

test("any sequence of seeks and steps ends where an array says", () => {
  for (let seed = 0; seed < 300; seed++) {
    const prng = new Prng(BigInt(seed));
    const reverse = prng.ratio(1, 2);
    const numbers = [...new Set(Array.from({ length: prng.below(80) }, () => prng.below(400)))];
    numbers.sort((a, b) => (reverse ? b - a : a - b));
    const engine = engineOf(numbers);
    const cursor = cursorOf(engine, reverse, prng.pick([1, 3, 16]), new Statistics());
    let at = cursor.seekToFirst() ? 0 : numbers.length;
    for (let i = 0; i < 60; i++) {
      if (prng.ratio(1, 3)) {
        cursor.next();
        at = Math.min(at + 1, numbers.length);
      } else {
        const here = numbers[at] ?? 200;
        const target = prng.ratio(1, 2) ? prng.below(420) : Math.max(0, here + prng.range(-3, 12));
        cursor.seek(key(target));
        at = numbers.findIndex((n) => (reverse ? n <= target : n >= target));
        if (at < 0) at = numbers.length;
      }
      const found = cursor.valid ? toHex(cursor.key) : "end";
      const expected = at < numbers.length ? toHex(key(numbers[at] as number)) : "end";
      assert.is(found, expected, `seed ${seed}, move ${i}`);
      if (cursor.valid) assert.is(compareBytes(cursor.key, cursor.value), 0);
    }
    cursor.close();
    assert.is(engine.openCursors, 0);
  }
});

test("near targets cost steps, far ones a seek", () => {
  const engine = engineOf(Array.from({ length: 200 }, (_, n) => n));
  const statistics = new Statistics();
  const { write } = statistics;
  const cursor = cursorOf(engine, false, 1, statistics);
  cursor.seek(key(10));
  assert.equal([write.seek, write.next], [1, 0]);
  cursor.seek(key(14));
  assert.equal([write.seek, write.next], [1, 4], "a walk");
  cursor.seek(key(13));
  assert.equal([write.seek, write.next], [2, 4], "back is a seek");
  cursor.seek(key(190));
  assert.is(write.seek, 3, "far is a seek");
  const steps = write.next;
  cursor.seek(key(190));
  assert.equal([write.seek, write.next], [3, steps], "it is there already");
  cursor.next();
  cursor.seek(key(190));
  assert.is(write.seek, 4, "an entry that was passed is behind");
  cursor.close();
});

test("a gap needs no second seek", () => {
  const engine = engineOf([10, 90]);
  const statistics = new Statistics();
  const cursor = cursorOf(engine, false, 1, statistics);
  cursor.seek(key(20));
  for (const target of [30, 60, 90]) {
    cursor.seek(key(target));
    assert.is(toHex(cursor.key), toHex(key(90)));
  }
  cursor.seek(key(91));
  assert.not(cursor.valid);
  cursor.seek(key(200));
  assert.not(cursor.valid);
  assert.is(statistics.write.seek, 1);
  cursor.close();
});

test.run();
