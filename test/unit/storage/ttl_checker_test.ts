/** The TTL pass: what it removes, what it must not remove, and that it may run beside writes. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { utf8 } from "../../../src/base/index.js";
import type { Engine, WriteBatch, WriteOptions } from "../../../src/engine/index.js";
import type { RunningStore } from "../../../src/storage/index.js";
import { FakeClock } from "../../support/fake_clock.js";
import {
  dumpEngine,
  type Fixture,
  memoryEngine,
  startFixture,
} from "../../support/store_fixture.js";
import { within } from "../../support/within.js";

const pair = (key: string, value: string, ttl: bigint) => ({
  key: utf8(key),
  value: utf8(value),
  ttl,
});

/** One round of the pass, which otherwise comes every twelve hours. */
function runPass(store: RunningStore): Promise<void> {
  const { ttlChecker } = store.storage as unknown as {
    ttlChecker: { runOnce(): Promise<void> };
  };
  return ttlChecker.runOnce();
}

const dataCount = ({ engine }: Fixture): number =>
  dumpEngine(engine).filter((line) => line.startsWith("default 7a")).length;

/** An engine that applies writes a turn later, in order, as those on disk do. */
function slowWrites(engine: Engine): Engine {
  let last: Promise<void> = Promise.resolve();
  const submit = (bytes: Uint8Array, options: WriteOptions): Promise<void> => {
    const copy = bytes.slice();
    last = last
      .then(() => new Promise<void>((resolve) => setImmediate(resolve)))
      .then(() => engine.writeBytes(copy, options));
    return last;
  };
  return new Proxy(engine, {
    get(target, name) {
      if (name === "writeBytes") return submit;
      if (name === "write") {
        return (batch: WriteBatch, options: WriteOptions) => submit(batch.bytes(), options);
      }
      const member: unknown = Reflect.get(target, name, target);
      return typeof member === "function" ? member.bind(target) : member;
    },
  });
}

async function withStore(
  apiVersion: 1 | 2,
  use: (fixture: Fixture, clock: FakeClock) => Promise<void>,
  given?: Engine,
): Promise<void> {
  const clock = new FakeClock();
  const engine = given ?? (await memoryEngine());
  const fixture = await startFixture({ storage: { apiVersion }, clock, engine });
  try {
    await use(fixture, clock);
  } finally {
    await fixture.store.stop();
    await fixture.engine.close();
  }
}

for (const apiVersion of [1, 2] as const) {
  test(`mode ${apiVersion}: expired values go, in several slices; others stay`, async () => {
    await withStore(apiVersion, async (fixture, clock) => {
      const { store, ctx } = fixture;
      const pairs = Array.from({ length: 1000 }, (_, i) =>
        pair(`rk${String(i).padStart(4, "0")}`, "v", i % 3 === 0 ? 0n : BigInt(i % 3) * 10n),
      );
      await store.storage.raw.batchPut(ctx, "", pairs, false);
      await runPass(store);
      assert.is(dataCount(fixture), 1000);
      clock.advance(10_000);
      await runPass(store);
      assert.is(dataCount(fixture), 667);
      clock.advance(10_000);
      await runPass(store);
      assert.is(dataCount(fixture), 334);
      const left = await store.storage.raw.get(ctx, "", utf8("rk0003"));
      assert.equal(left.ok && left.value, utf8("v"));
    });
  });

  test(`mode ${apiVersion}: a put beside the pass is not lost`, async () => {
    await withStore(
      apiVersion,
      async ({ store, ctx }, clock) => {
        const { raw } = store.storage;
        for (let round = 0; round < 24; round++) {
          await raw.put(ctx, "", pair("rk", "old", 1n), false);
          clock.advance(1000);
          // The put comes before the pass, or at different moments of it; plain or for CAS.
          const put = (): Promise<unknown> =>
            raw.put(ctx, "", pair("rk", "new", 0n), round % 2 === 0);
          const early = round % 3 === 0 ? put() : undefined;
          const pass = runPass(store);
          for (let i = 0; i < round % 8; i++) await Promise.resolve();
          await Promise.all([pass, early ?? put()]);
          const got = await raw.get(ctx, "", utf8("rk"));
          assert.equal(got.ok && got.value, utf8("new"), `round ${round}`);
        }
      },
      slowWrites(await memoryEngine()),
    );
  });
}

test("mode 2: old versions and tombstones go, the newest value stays", async () => {
  await withStore(2, async (fixture) => {
    const { store, ctx } = fixture;
    const { raw } = store.storage;
    for (let i = 0; i < 10; i++) {
      await raw.batchPut(ctx, "", [pair("ra", `${i}`, 0n), pair("rb", `${i}`, 0n)], false);
    }
    await raw.delete(ctx, "", utf8("rb"), false);
    assert.is(dataCount(fixture), 21);
    await runPass(store);
    assert.is(dataCount(fixture), 1);
    const got = await raw.get(ctx, "", utf8("ra"));
    assert.equal(got.ok && got.value, utf8("9"));
    const gone = await raw.get(ctx, "", utf8("rb"));
    assert.ok(gone.ok && gone.value === undefined);
  });
});

test("mode 2: a key with more versions than a slice never shows an old one", async () => {
  await withStore(2, async (fixture, clock) => {
    const { store, ctx } = fixture;
    const { raw } = store.storage;
    const writes = Array.from({ length: 600 }, (_, i) =>
      raw.put(ctx, "", pair("ra", `${i}`, 0n), false),
    );
    await Promise.all(writes);
    await raw.put(ctx, "", pair("ra", "last", 1n), false);
    clock.advance(1000);
    for (let round = 0; round < 4; round++) {
      let running = true;
      const pass = runPass(store).finally(() => {
        running = false;
      });
      while (running) {
        const got = await raw.get(ctx, "", utf8("ra"));
        assert.ok(got.ok && got.value === undefined, "an expired key came back");
        await new Promise((resolve) => setImmediate(resolve));
      }
      await pass;
    }
    assert.is(dataCount(fixture), 0);
  });
});

test("mode 1: the pass gets its moment under steady writes", async () => {
  await withStore(
    1,
    async (fixture, clock) => {
      const { store, ctx } = fixture;
      const { raw } = store.storage;
      await raw.put(ctx, "", pair("rk", "old", 1n), false);
      clock.advance(1000);
      let running = true;
      const writers = ["ra", "rb", "rc"].map(async (key) => {
        while (running) assert.ok((await raw.put(ctx, "", pair(key, "v", 0n), false)).ok);
      });
      let passed = false;
      const pass = runPass(store).then(() => {
        passed = true;
      });
      await within(5000, "the end of the pass", () => passed).finally(() => {
        running = false;
      });
      await Promise.all([...writers, pass]);
      assert.is(dataCount(fixture), 3);
    },
    slowWrites(await memoryEngine()),
  );
});

test("the pass runs by itself after the interval", async () => {
  const clock = new FakeClock();
  const fixture = await startFixture({
    storage: { apiVersion: 1, ttlCheckPollIntervalMs: 5 },
    clock,
  });
  await fixture.store.storage.raw.put(fixture.ctx, "", pair("k", "v", 1n), false);
  clock.advance(1000);
  await within(2000, "the expired key is removed", () => dataCount(fixture) === 0);
  await fixture.store.stop();
  await fixture.engine.close();
});

test.run();
