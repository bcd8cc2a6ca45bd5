/** Cases: iterators, their bounds, seeks and `take`. */
import * as assert from "uvu/assert";
import { utf8, utf8Decode } from "../../src/base/index.js";
import type { ArenaTake, Engine, Iter, IterOptions } from "../../src/engine/index.js";
import { apply, bounds, type EngineCase, entryText, NO_BOUNDS } from "./engine_case.js";

const KEYS = ["b", "d", "d\0", "f", "h"];

async function fill(engine: Engine): Promise<void> {
  await apply(engine, [
    ...KEYS.map((key, i) => ["put", "default", key, `${i}`] as const),
    ["put", "lock", "a", "other CF"],
    ["put", "lock", "z", "other CF"],
  ]);
}

function withIter(engine: Engine, options: IterOptions, body: (iter: Iter) => void): void {
  const snapshot = engine.snapshot();
  const iter = snapshot.iterate("default", options);
  try {
    body(iter);
  } finally {
    iter.close();
    snapshot.close();
  }
}

function walk(iter: Iter, reverse: boolean): string {
  const seen: string[] = [];
  let on = reverse ? iter.seekToLast() : iter.seekToFirst();
  while (on) {
    seen.push(utf8Decode(iter.value()));
    on = reverse ? iter.prev() : iter.next();
  }
  return seen.join("");
}

const MIXED_COUNT = 3000;
const mixedKey = (i: number): Uint8Array => utf8(`key${String(i).padStart(6, "0")}`);
const mixedValue = (i: number): Uint8Array => new Uint8Array((i * 37) % 500).fill(i & 0xff);

function takeAllMixed(iter: Iter, reverse: boolean): void {
  let seen = 0;
  let on = reverse ? iter.seekToLast() : iter.seekToFirst();
  while (on) {
    const { keys, values } = iter.take(257, 20_000, reverse);
    assert.ok(keys.length > 0, "a valid iterator yields");
    keys.forEach((key, at) => {
      const i = reverse ? MIXED_COUNT - 1 - seen : seen;
      seen++;
      if (Buffer.compare(key, mixedKey(i)) !== 0) assert.unreachable(`key ${i}`);
      const value = values[at] as Uint8Array;
      if (Buffer.compare(value, mixedValue(i)) !== 0) assert.unreachable(`value ${i}`);
    });
    on = iter.valid;
  }
  assert.is(seen, MIXED_COUNT, `reverse ${reverse}`);
}

const TABLE = 64;
const AREA = 128 * 1024;
const DIRT = 0xcc;

/** Linear memory that a test fills with entries. */
class Block {
  readonly memory = new Uint8Array(2 * AREA).fill(DIRT);
  private readonly view = new DataView(this.memory.buffer);

  request(itemsMax: number, bytes: number, reverse: boolean): ArenaTake {
    const outEnd = AREA + bytes;
    return { memory: this.memory, table: TABLE, itemsMax, out: AREA, outEnd, reverse };
  }

  /** The key of an entry with its prefix byte, and the value. */
  entry(item: number): [Uint8Array, Uint8Array] {
    const [keyAt, keyLength, valueAt, valueLength] = [0, 4, 8, 12].map((field) =>
      this.view.getUint32(TABLE + item * 16 + field, true),
    ) as [number, number, number, number];
    return [
      this.memory.slice(keyAt, keyAt + keyLength),
      this.memory.slice(valueAt, valueAt + valueLength),
    ];
  }

  text(item: number): string {
    const [key, value] = this.entry(item);
    return `${utf8Decode(key)}=${utf8Decode(value)}`;
  }
}

function takeAllMixedArena(iter: Iter, reverse: boolean): void {
  const block = new Block();
  let seen = 0;
  let on = reverse ? iter.seekToLast() : iter.seekToFirst();
  while (on) {
    const { items, outUsedEnd } = iter.takeArena(block.request(257, 20_000, reverse));
    assert.ok(items > 0, "a valid iterator yields");
    assert.ok(outUsedEnd <= AREA + 20_000);
    assert.is(block.memory[AREA + 20_000], DIRT, "nothing behind the area");
    for (let item = 0; item < items; item++) {
      const i = reverse ? MIXED_COUNT - 1 - seen : seen;
      seen++;
      const [key, value] = block.entry(item);
      if (utf8Decode(key) !== `d${utf8Decode(mixedKey(i))}`) assert.unreachable(`key ${i}`);
      if (Buffer.compare(value, mixedValue(i)) !== 0) assert.unreachable(`value ${i}`);
    }
    on = iter.valid;
  }
  assert.is(seen, MIXED_COUNT, `reverse ${reverse}`);
}

export const ITERATE_CASES: readonly EngineCase[] = [
  {
    title: "an iterator starts invalid; walks stay in the CF in both directions",
    async run({ engine }) {
      await fill(engine);
      withIter(engine, NO_BOUNDS, (iter) => {
        assert.is(iter.valid, false);
        assert.is(iter.next(), false);
        assert.is(iter.prev(), false);
        assert.is(walk(iter, false), "01234");
        assert.is(iter.valid, false);
        assert.is(iter.next(), false, "behind the end");
        assert.is(walk(iter, true), "43210");
        assert.is(iter.prev(), false, "before the start");
      });
    },
  },
  {
    title: "bounds are [lower, upper) in both directions",
    async run({ engine }) {
      await fill(engine);
      const rows: [string, string, string][] = [
        ["", "", "01234"],
        ["b", "h", "0123"],
        ["b\0", "h\0", "1234"],
        ["d", "d\0", "1"],
        ["d\0", "f", "2"],
        ["c", "", "1234"],
        ["", "d", "0"],
        ["i", "", ""],
        ["", "a", ""],
        ["d", "d", ""],
        ["f", "d", ""],
      ];
      for (const [lower, upper, want] of rows) {
        withIter(engine, bounds(lower, upper), (iter) => {
          assert.is(walk(iter, false), want, `[${lower}, ${upper})`);
          assert.is(walk(iter, true), [...want].reverse().join(""), `reverse [${lower}, ${upper})`);
        });
      }
    },
  },
  {
    title: "seek finds the first key >= target, seekForPrev the last key <= target",
    async run({ engine }) {
      await fill(engine);
      // target; seek, seekForPrev without bounds; the same within [d, h)
      const rows: [string, string, string, string, string][] = [
        ["", "b=0", "-", "d=1", "-"],
        ["a", "b=0", "-", "d=1", "-"],
        ["b", "b=0", "b=0", "d=1", "-"],
        ["c", "d=1", "b=0", "d=1", "-"],
        ["d", "d=1", "d=1", "d=1", "d=1"],
        ["d\0", "d\0=2", "d\0=2", "d\0=2", "d\0=2"],
        ["d\0\0", "f=3", "d\0=2", "f=3", "d\0=2"],
        ["g", "h=4", "f=3", "-", "f=3"],
        ["h", "h=4", "h=4", "-", "f=3"],
        ["i", "-", "h=4", "-", "f=3"],
      ];
      for (const [target, seek, seekForPrev, boundedSeek, boundedForPrev] of rows) {
        const check = (iter: Iter, on: boolean, want: string, what: string): void => {
          assert.is(entryText(iter), want, `${what} ${JSON.stringify(target)}`);
          assert.is(on, want !== "-", `${what} ${JSON.stringify(target)} returns validity`);
        };
        withIter(engine, NO_BOUNDS, (iter) => {
          check(iter, iter.seek(utf8(target)), seek, "seek");
          check(iter, iter.seekForPrev(utf8(target)), seekForPrev, "seekForPrev");
        });
        withIter(engine, bounds("d", "h"), (iter) => {
          check(iter, iter.seek(utf8(target)), boundedSeek, "bounded seek");
          check(iter, iter.seekForPrev(utf8(target)), boundedForPrev, "bounded seekForPrev");
        });
      }
    },
  },
  {
    title: "direction may change at each step",
    async run({ engine }) {
      await fill(engine);
      withIter(engine, NO_BOUNDS, (iter) => {
        iter.seek(utf8("d"));
        const seen = [entryText(iter)];
        for (const move of ["next", "next", "prev", "prev", "prev", "next"] as const) {
          iter[move]();
          seen.push(entryText(iter));
        }
        assert.equal(seen, ["d=1", "d\0=2", "f=3", "d\0=2", "d=1", "b=0", "d=1"]);
      });
    },
  },
  {
    title: "take stops at its bounds, moves behind what it took, and mixes with single steps",
    async run({ engine }) {
      await fill(engine);
      withIter(engine, NO_BOUNDS, (iter) => {
        const taken = (maxItems: number, maxBytes: number, reverse: boolean): string => {
          const { keys, values } = iter.take(maxItems, maxBytes, reverse);
          assert.is(keys.length, values.length);
          return values.map(utf8Decode).join("");
        };
        assert.is(taken(10, 1000, false), "", "invalid before a seek");
        iter.seekToFirst();
        assert.is(taken(0, 1000, false), "");
        assert.is(taken(2, 1000, false), "01");
        assert.is(entryText(iter), "d\0=2");
        iter.next();
        assert.is(taken(10, 3, false), "34", "2 bytes, then 4: stops after reaching 3");
        assert.is(iter.valid, false);
        assert.is(taken(10, 1000, false), "");
        iter.seekToLast();
        assert.is(taken(2, 1000, true), "43");
        assert.is(entryText(iter), "d\0=2");
        assert.is(taken(10, 1000, true), "210");
        assert.is(iter.valid, false);
        iter.seek(utf8("d"));
        assert.is(taken(1, 1000, false), "1");
        assert.is(taken(2, 1000, true), "21", "the direction may change between takes");
        assert.is(entryText(iter), "b=0");
      });
    },
  },
  {
    title: `take over ${MIXED_COUNT} entries of mixed sizes, forward and reverse`,
    async run({ engine }) {
      const batch = engine.newWriteBatch();
      for (let i = 0; i < MIXED_COUNT; i++) batch.put("default", mixedKey(i), mixedValue(i));
      await engine.write(batch, { sync: false });
      withIter(engine, NO_BOUNDS, (iter) => {
        takeAllMixed(iter, false);
        takeAllMixed(iter, true);
      });
    },
  },
  {
    title: "keysOnly yields keys with empty values",
    async run({ engine }) {
      await fill(engine);
      withIter(engine, { ...NO_BOUNDS, keysOnly: true, fillCache: false }, (iter) => {
        iter.seekToFirst();
        assert.is(entryText(iter), "b=");
        const { keys, values } = iter.take(10, 1000);
        assert.equal(keys.map(utf8Decode), KEYS);
        assert.ok(values.every((value) => value.length === 0));
      });
    },
  },
  {
    title: "takeArena stops before what does not fit and stands there, in both directions",
    async run({ engine }) {
      await fill(engine);
      withIter(engine, NO_BOUNDS, (iter) => {
        const block = new Block();
        const taken = (itemsMax: number, bytes: number, reverse: boolean): string[] => {
          const { items, outUsedEnd } = iter.takeArena(block.request(itemsMax, bytes, reverse));
          assert.is(block.memory[outUsedEnd], DIRT, "nothing behind the used end");
          assert.is(block.memory[TABLE + items * 16], DIRT, "nothing behind the rows");
          const texts = Array.from({ length: items }, (_, item) => block.text(item));
          block.memory.fill(DIRT);
          return texts;
        };
        assert.equal(taken(10, 1000, false), [], "invalid before a seek");
        iter.seekToFirst();
        assert.equal(taken(0, 1000, false), []);
        assert.equal(taken(10, 2, false), [], "the first entry takes 3 bytes");
        assert.is(entryText(iter), "b=0");
        assert.equal(taken(10, 3, false), ["db=0"]);
        assert.equal(taken(10, 9, false), ["dd=1", "dd\0=2"], "3 and 4 bytes, exactly 2 left");
        assert.is(entryText(iter), "f=3");
        assert.equal(taken(1, 1000, false), ["df=3"]);
        iter.next();
        assert.is(iter.valid, false);
        iter.seekToLast();
        assert.equal(taken(2, 1000, true), ["dh=4", "df=3"]);
        assert.is(entryText(iter), "d\0=2");
        assert.equal(taken(10, 1000, true), ["dd\0=2", "dd=1", "db=0"]);
        assert.is(iter.valid, false);
        assert.equal(taken(10, 1000, true), []);
      });
      withIter(engine, bounds("c", "g"), (iter) => {
        const block = new Block();
        iter.seekToFirst();
        assert.is(iter.takeArena(block.request(10, 1000, false)).items, 3, "bounds hold");
      });
    },
  },
  {
    title: "takeArena without values, and mixed with single steps",
    async run({ engine }) {
      await fill(engine);
      withIter(engine, { ...NO_BOUNDS, keysOnly: true }, (iter) => {
        const block = new Block();
        iter.seek(utf8("d"));
        assert.is(iter.takeArena(block.request(1, 1000, false)).items, 1);
        assert.is(block.text(0), "dd=");
        assert.is(entryText(iter), "d\0=");
        iter.next();
        assert.is(iter.takeArena(block.request(9, 1000, false)).items, 2);
        assert.equal([block.text(0), block.text(1)], ["df=", "dh="]);
      });
    },
  },
  {
    title: `takeArena over ${MIXED_COUNT} entries of mixed sizes, forward and reverse`,
    async run({ engine }) {
      const batch = engine.newWriteBatch();
      for (let i = 0; i < MIXED_COUNT; i++) batch.put("default", mixedKey(i), mixedValue(i));
      await engine.write(batch, { sync: false });
      withIter(engine, NO_BOUNDS, (iter) => {
        takeAllMixedArena(iter, false);
        takeAllMixedArena(iter, true);
      });
    },
  },
  {
    title: "seekArena finds the entry at or behind each key, in the order asked",
    async run({ engine }) {
      await fill(engine);
      withIter(engine, bounds("", "h"), (iter) => {
        const block = new Block();
        const words = new DataView(block.memory.buffer);
        const [keyTable, keysAt] = [4096, 8192];
        const keys = ["dd", "da", "dg", "dd\0", "db", "dd"];
        let at = keysAt;
        keys.forEach((key, i) => {
          block.memory.set(utf8(key), at);
          words.setUint32(keyTable + i * 8, at, true);
          words.setUint32(keyTable + i * 8 + 4, key.length, true);
          at += key.length;
        });
        const seek = (from: number, bytes: number): string[] => {
          const { items, outUsedEnd } = iter.seekArena({
            memory: block.memory,
            count: keys.length - from,
            keyTable: keyTable + from * 8,
            table: TABLE,
            out: AREA,
            outEnd: AREA + bytes,
          });
          assert.is(block.memory[outUsedEnd], DIRT, "nothing behind the used end");
          const texts = Array.from({ length: items }, (_, item) =>
            words.getUint32(TABLE + item * 16 + 4, true) === 0 ? "-" : block.text(item),
          );
          block.memory.fill(DIRT, TABLE, keyTable);
          block.memory.fill(DIRT, AREA);
          return texts;
        };
        const all = ["dd=1", "db=0", "-", "dd\0=2", "db=0", "dd=1"];
        assert.equal(seek(0, 1000), all);
        assert.equal(seek(0, 3 + 3 + 4 + 3 + 2), all.slice(0, 5), "the last takes 3 bytes");
        assert.equal(seek(5, 2), []);
        assert.equal(seek(6, 2), []);
      });
    },
  },
  {
    title: "provenEmpty claims nothing that is not so",
    async run({ engine }) {
      await fill(engine);
      const claims = (from: string, to: string): boolean => {
        const snapshot = engine.snapshot();
        const isEmpty = snapshot.provenEmpty("default", utf8(from), utf8(to));
        snapshot.close();
        return isEmpty;
      };
      const cheap = engine.binding !== "rocksdb";
      assert.is(claims("b", "c"), false);
      assert.is(claims("a", "b\0"), false);
      assert.is(claims("h", ""), false);
      assert.is(claims("", ""), false);
      assert.is(claims("a", "b"), cheap, "the end is exclusive");
      assert.is(claims("d\0\0", "f"), cheap);
      assert.is(claims("i", ""), cheap, "the next CF does not count");
      const before = engine.snapshot();
      await apply(engine, [["delete", "default", "f"]]);
      assert.is(before.provenEmpty("default", utf8("e"), utf8("g")), false, "of its moment");
      before.close();
      assert.is(claims("e", "g"), cheap, "one deleted entry is passed over");
      const many = Array.from({ length: 1000 }, (_, i) => `f${String(i).padStart(4, "0")}`);
      await apply(
        engine,
        many.map((key) => ["put", "default", key, "x"] as const),
      );
      assert.is(claims("f0", "f1"), false);
      await apply(
        engine,
        many.map((key) => ["delete", "default", key] as const),
      );
      assert.is(claims("f0", "f1"), engine.binding === "memory", "too many to pass over");
      assert.is(claims("f0", "z"), false, "h stands behind them");
    },
  },
];
