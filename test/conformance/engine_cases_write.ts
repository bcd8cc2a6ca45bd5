/** Cases: batches, their atomicity and order, sizes, range deletion, reopening. */
import * as assert from "uvu/assert";
import { utf8 } from "../../src/base/index.js";
import { within } from "../support/within.js";
import { apply, type EngineCase, getText, scanNow } from "./engine_case.js";

const ORDER_ROUNDS = 3000;
const KIB = 1024;

function patterned(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = (i * 31 + (i >>> 8) + seed) & 0xff;
  return bytes;
}

export const WRITE_CASES: readonly EngineCase[] = [
  {
    title: "a batch spans CFs, and CFs do not see each other's keys",
    async run({ engine }) {
      await apply(engine, [
        ["put", "default", "k", "d"],
        ["put", "lock", "k", "l"],
        ["put", "write", "k", "w"],
        ["put", "raft", "k", "r"],
        ["put", "raft", "only-raft", "1"],
      ]);
      for (const cf of ["default", "lock", "write", "raft"] as const) {
        assert.is(getText(engine, cf, "k"), cf[0], cf);
      }
      assert.is(getText(engine, "default", "only-raft"), undefined);
      assert.equal(scanNow(engine, "raft"), ["k=r", "only-raft=1"]);
      assert.equal(scanNow(engine, "write"), ["k=w"]);
    },
  },
  {
    title: "changes of a batch apply in the order of the calls",
    async run({ engine }) {
      await apply(engine, [
        ["put", "default", "a", "1"],
        ["delete", "default", "a"],
        ["put", "default", "a", "2"],
        ["put", "default", "b", "1"],
        ["range", "default", "a", "c"],
        ["put", "default", "c", "kept"],
        ["put", "default", "b", "again"],
      ]);
      assert.equal(scanNow(engine, "default"), ["b=again", "c=kept"]);
    },
  },
  {
    title: "a batch may be cleared as soon as write() returned",
    async run({ engine }) {
      const batch = engine.newWriteBatch();
      batch.put("default", utf8("k"), utf8("first"));
      const first = engine.write(batch, { sync: false });
      batch.clear();
      assert.is(batch.count, 0);
      batch.put("default", utf8("other"), utf8("second"));
      const bytes = batch.bytes().slice();
      const second = engine.writeBytes(bytes, { sync: true });
      bytes.fill(0xcc);
      batch.clear();
      await Promise.all([first, second]);
      assert.equal(scanNow(engine, "default"), ["k=first", "other=second"]);
    },
  },
  {
    title: `${ORDER_ROUNDS} rounds of racing writes to one key end with the last one`,
    async run({ engine }) {
      for (let round = 0; round < ORDER_ROUNDS; round++) {
        const settled: number[] = [];
        const writes = [0, 1, 2].map((part) =>
          apply(engine, [["put", "default", "k", `${round}.${part}`]]).then(() => {
            settled.push(part);
          }),
        );
        await Promise.all(writes);
        assert.is(getText(engine, "default", "k"), `${round}.2`);
        assert.equal(settled, [0, 1, 2], `round ${round}: promises settle in order`);
      }
    },
  },
  {
    title: "writes submitted together share native writes and syncs",
    async run({ engine }) {
      const before = engine.stats();
      const writes: Promise<void>[] = [];
      for (let i = 0; i < 100; i++) {
        writes.push(apply(engine, [["put", "default", `k${i}`, `${i}`]], i % 2 === 1));
      }
      await Promise.all(writes);
      const after = engine.stats();
      assert.is(after.batches - before.batches, 100);
      assert.ok(after.writes - before.writes <= 3, `${after.writes - before.writes} writes`);
      assert.ok(after.syncs - before.syncs <= 2, `${after.syncs - before.syncs} syncs`);
      assert.is(scanNow(engine, "default").length, 100);
    },
  },
  {
    title: "stats tell how far flushes and compactions are behind",
    async run({ engine }) {
      const { pressure } = engine.stats();
      assert.equal(pressure, { immutableMemtables: 0, level0Files: 0, pendingCompactionBytes: 0 });
      // More than a memtable of the harness holds.
      for (let i = 0; i < 10; i++) {
        const batch = engine.newWriteBatch();
        batch.put("default", utf8(`k${i}`), patterned(KIB * KIB, i));
        await engine.write(batch, { sync: false });
      }
      if (engine.binding === "memory") {
        assert.equal(engine.stats().pressure, pressure);
        return;
      }
      await within(5000, "a file in level 0", () => engine.stats().pressure.level0Files > 0);
      await engine.compact();
      assert.is(engine.stats().pressure.level0Files, 0);
      assert.is(engine.stats().pressure.immutableMemtables, 0);
    },
  },
  {
    title: "an empty batch and sync() resolve",
    async run({ engine }) {
      await engine.write(engine.newWriteBatch(), { sync: false });
      await engine.write(engine.newWriteBatch(), { sync: true });
      void apply(engine, [["put", "default", "k", "v"]]);
      await engine.sync();
      assert.is(getText(engine, "default", "k"), "v");
    },
  },
  {
    title: "empty values and empty keys are values and keys",
    async run({ engine }) {
      await apply(engine, [
        ["put", "default", "empty", ""],
        ["put", "default", "", "no key"],
        ["put", "write", "", ""],
      ]);
      assert.is(getText(engine, "default", "empty"), "");
      assert.is(getText(engine, "default", ""), "no key");
      assert.is(getText(engine, "default", "absent"), undefined);
      assert.equal(scanNow(engine, "default"), ["=no key", "empty="]);
      assert.equal(scanNow(engine, "write"), ["="]);
    },
  },
  {
    title: "keys of 8 KiB and values of 8 MiB, after a reopen too",
    async run({ engine, harness, path }) {
      const key = patterned(8 * KIB, 1);
      const value = patterned(8 * KIB * KIB, 2);
      const batch = engine.newWriteBatch();
      batch.put("default", key, value);
      batch.put("default", key.subarray(1), utf8("suffix"));
      await engine.write(batch, { sync: true });
      assert.is(Buffer.compare(engine.get("default", key) as Uint8Array, value), 0);
      await engine.close();
      const again = await harness.open(path);
      const [big, small] = again.multiGet("default", [key, key.subarray(1)]);
      assert.is(Buffer.compare(big as Uint8Array, value), 0);
      assert.equal(small, utf8("suffix"));
      const snapshot = again.snapshot();
      const iter = snapshot.iterate("default", { lower: key, upper: new Uint8Array(0) });
      iter.seekToFirst();
      const taken = iter.take(10, 1);
      assert.is(taken.keys.length, 1, "the first entry alone exceeds the byte bound");
      assert.is(Buffer.compare(taken.keys[0] as Uint8Array, key), 0);
      assert.is(Buffer.compare(taken.values[0] as Uint8Array, value), 0);
      iter.close();
      snapshot.close();
      await again.close();
    },
  },
  {
    title: "deleteRange removes [start, end) of its CF only; an empty end means all",
    async run({ engine }) {
      const keys = ["a", "b", "b\0", "c", "d"];
      for (const cf of ["default", "lock", "write"] as const) {
        await apply(
          engine,
          keys.map((key) => ["put", cf, key, "v"] as const),
        );
      }
      await apply(engine, [["range", "lock", "b", "c"]]);
      assert.equal(scanNow(engine, "lock"), ["a=v", "c=v", "d=v"]);
      await apply(engine, [["range", "lock", "b", ""]]);
      assert.equal(scanNow(engine, "lock"), ["a=v"]);
      await apply(engine, [
        ["range", "write", "", ""],
        ["put", "write", "x", "after"],
      ]);
      assert.equal(scanNow(engine, "write"), ["x=after"]);
      assert.is(scanNow(engine, "default").length, keys.length);
      assert.is(getText(engine, "lock", "b"), undefined);
      assert.equal(engine.multiGet("lock", [utf8("d"), utf8("a")]), [undefined, utf8("v")]);
    },
  },
  {
    title: "deleteRange of an empty or reversed range changes nothing",
    async run({ engine }) {
      await apply(engine, [
        ["put", "default", "a", "1"],
        ["put", "default", "b", "2"],
      ]);
      await apply(engine, [
        ["range", "default", "b", "a"],
        ["range", "default", "a", "a"],
        ["put", "default", "c", "3"],
      ]);
      assert.equal(scanNow(engine, "default"), ["a=1", "b=2", "c=3"]);
    },
  },
  {
    title: "data, deletions and range deletions survive a reopen",
    async run({ engine, harness, path }) {
      await apply(engine, [
        ["put", "default", "a", "1"],
        ["put", "default", "b", "1"],
        ["put", "default", "c", "1"],
        ["put", "raft", "state", "5"],
      ]);
      await apply(engine, [
        ["delete", "default", "a"],
        ["range", "default", "c", "d"],
      ]);
      await engine.close();
      const again = await harness.open(path);
      assert.equal(scanNow(again, "default"), ["b=1"]);
      assert.is(getText(again, "raft", "state"), "5");
      await again.compact();
      assert.equal(scanNow(again, "default"), ["b=1"]);
      await again.close();
    },
  },
  {
    title: "approximateSize follows the data of its range",
    async run({ engine, harness }) {
      if (!harness.supports.approximateSize) return;
      for (let i = 0; i < 20; i++) {
        const batch = engine.newWriteBatch();
        batch.put("default", utf8(`a${i}`), patterned(20_000, i * 7));
        await engine.write(batch, { sync: false });
      }
      await engine.compact();
      const all = { start: new Uint8Array(0), end: new Uint8Array(0) };
      assert.ok(engine.approximateSize("default", all) > 5000);
      assert.is(engine.approximateSize("write", all), 0);
      assert.is(engine.approximateSize("default", { start: utf8("b"), end: utf8("c") }), 0);
      assert.is(engine.approximateSize("default", { start: utf8("b"), end: utf8("a") }), 0);
    },
  },
];
