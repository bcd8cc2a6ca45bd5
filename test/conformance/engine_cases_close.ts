/** Cases: closing, use after close, one opener at a time. */
import * as assert from "uvu/assert";
import { utf8 } from "../../src/base/index.js";
import { apply, codeOf, type EngineCase, getText, NO_BOUNDS } from "./engine_case.js";

const CLOSED = "RUTILE:Engine:Closed";

export const CLOSE_CASES: readonly EngineCase[] = [
  {
    title: "close refuses while a snapshot or an iterator is open, and the engine works on",
    async run({ engine }) {
      const snapshot = engine.snapshot();
      assert.is(await codeOf(() => engine.close()), CLOSED);
      const iter = snapshot.iterate("default", NO_BOUNDS);
      assert.is(engine.stats().iteratorsOpen, 1);
      assert.is(await codeOf(() => engine.close()), CLOSED);
      await apply(engine, [["put", "default", "k", "v"]]);
      iter.close();
      iter.close();
      snapshot.close();
      assert.is(getText(engine, "default", "k"), "v");
      await engine.close();
    },
  },
  {
    title: "a snapshot cannot be closed before its iterators",
    async run({ engine }) {
      const snapshot = engine.snapshot();
      const iter = snapshot.iterate("default", NO_BOUNDS);
      assert.throws(() => snapshot.close(), /iterators/);
      iter.close();
      snapshot.close();
    },
  },
  {
    title: "a closed engine refuses every call; closing twice is fine",
    async run({ engine }) {
      const batch = engine.newWriteBatch();
      batch.put("default", utf8("k"), utf8("v"));
      await engine.close();
      await engine.close();
      assert.is(await codeOf(() => engine.write(batch, { sync: false })), CLOSED);
      assert.is(await codeOf(() => engine.sync()), CLOSED);
      assert.is(await codeOf(async () => engine.get("default", utf8("k"))), CLOSED);
      assert.is(await codeOf(async () => engine.multiGet("default", [utf8("k")])), CLOSED);
      assert.is(await codeOf(async () => engine.snapshot()), CLOSED);
    },
  },
  {
    title: "close finishes submitted writes",
    async run({ engine, harness, path }) {
      const writes: Promise<void>[] = [];
      for (let i = 0; i < 50; i++) writes.push(apply(engine, [["put", "default", `k${i}`, "v"]]));
      await engine.close();
      await Promise.all(writes);
      const again = await harness.open(path);
      for (let i = 0; i < 50; i++) assert.is(getText(again, "default", `k${i}`), "v", `k${i}`);
      await again.close();
    },
  },
  {
    title: "a second opener in the process is refused until the first closed",
    async run({ engine, harness, path }) {
      assert.is(await codeOf(() => harness.open(path)), "RUTILE:Engine:Locked");
      await apply(engine, [["put", "default", "k", "v"]]);
      await engine.close();
      const again = await harness.open(path);
      assert.is(getText(again, "default", "k"), "v");
      await again.close();
    },
  },
];
