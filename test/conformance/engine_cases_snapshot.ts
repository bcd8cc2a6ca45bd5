/** Cases: what snapshots and point reads see. */
import * as assert from "uvu/assert";
import { utf8 } from "../../src/base/index.js";
import { apply, type EngineCase, getText, NO_BOUNDS, scanNow, scanText } from "./engine_case.js";

export const SNAPSHOT_CASES: readonly EngineCase[] = [
  {
    title: "a snapshot does not see later writes, by get, multiGet and iterators",
    async run({ engine }) {
      await apply(engine, [
        ["put", "default", "a", "1"],
        ["put", "default", "b", "1"],
        ["put", "lock", "a", "locked"],
      ]);
      const snapshot = engine.snapshot();
      const early = snapshot.iterate("default", NO_BOUNDS);
      await apply(engine, [
        ["put", "default", "a", "2"],
        ["delete", "default", "b"],
        ["put", "default", "c", "2"],
        ["range", "lock", "", ""],
      ]);
      assert.is(getText(snapshot, "default", "a"), "1");
      assert.is(getText(snapshot, "default", "b"), "1");
      assert.is(getText(snapshot, "default", "c"), undefined);
      assert.is(getText(snapshot, "lock", "a"), "locked");
      const values = snapshot.multiGet("default", ["c", "b", "a", "b"].map(utf8));
      assert.equal(values, [undefined, utf8("1"), utf8("1"), utf8("1")]);
      assert.equal(scanText(snapshot, "default"), ["a=1", "b=1"]);
      early.seekToFirst();
      assert.is(early.take(10, 1000).keys.length, 2);
      early.close();
      snapshot.close();
      assert.equal(scanNow(engine, "default"), ["a=2", "c=2"]);
      assert.equal(scanNow(engine, "lock"), []);
    },
  },
  {
    title: "several snapshots keep several versions, closed in any order",
    async run({ engine }) {
      const snapshots = [];
      for (let i = 0; i < 4; i++) {
        await apply(engine, [["put", "default", "k", `${i}`]]);
        snapshots.push(engine.snapshot());
      }
      await apply(engine, [["delete", "default", "k"]]);
      await engine.compact();
      for (const i of [2, 0, 3, 1]) {
        const snapshot = snapshots[i];
        assert.is(snapshot && getText(snapshot, "default", "k"), `${i}`);
        snapshot?.close();
        snapshot?.close();
      }
      assert.is(getText(engine, "default", "k"), undefined);
      assert.is(engine.stats().snapshotsOpen, 0);
    },
  },
  {
    title: "taking a snapshot does not get slower with the number of keys",
    async run({ engine, harness }) {
      if (!harness.supports.snapshotConstantTime) return;
      const take = (count: number): number => {
        const started = process.hrtime.bigint();
        for (let i = 0; i < count; i++) engine.snapshot().close();
        return Number(process.hrtime.bigint() - started) / count;
      };
      take(2000);
      const small = Math.min(take(500), take(500), take(500));
      const batch = engine.newWriteBatch();
      for (let i = 0; i < 50_000; i++) batch.put("default", utf8(`key${i}`), utf8("value"));
      await engine.write(batch, { sync: false });
      const large = Math.min(take(500), take(500), take(500));
      assert.ok(large < small * 10 + 20_000, `${small} ns empty, ${large} ns with 50,000 keys`);
    },
  },
  {
    title: "multiGet keeps the order given, with duplicates, misses and none",
    async run({ engine }) {
      await apply(engine, [
        ["put", "write", "a", "1"],
        ["put", "write", "b", ""],
        ["put", "default", "c", "elsewhere"],
      ]);
      const values = engine.multiGet("write", ["b", "c", "a", "b", "zz"].map(utf8));
      assert.equal(values, [utf8(""), undefined, utf8("1"), utf8(""), undefined]);
      assert.equal(engine.multiGet("write", []), []);
    },
  },
  {
    title: "returned values belong to the caller",
    async run({ engine }) {
      await apply(engine, [["put", "default", "k", "value"]]);
      engine.get("default", utf8("k"))?.fill(0);
      engine.multiGet("default", [utf8("k")])[0]?.fill(0);
      const snapshot = engine.snapshot();
      snapshot.get("default", utf8("k"))?.fill(0);
      const iter = snapshot.iterate("default", NO_BOUNDS);
      iter.seekToFirst();
      iter.key().fill(0);
      iter.value().fill(0);
      assert.equal(iter.key(), utf8("k"));
      assert.equal(iter.value(), utf8("value"));
      iter.close();
      assert.is(getText(snapshot, "default", "k"), "value");
      snapshot.close();
      assert.is(getText(engine, "default", "k"), "value");
    },
  },
];
