/** Writes: admission, shared syncs, latches, disk full, the batch path, closing. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { toHex, utf8, utf8Decode } from "../../../src/base/index.js";
import { CF_PREFIX, WriteBatchBuilder } from "../../../src/engine/index.js";
import type { RegionError, RegionView, Reply } from "../../../src/storage/index.js";
import { type FixtureOptions, startFixture } from "../../support/store_fixture.js";

const pair = (key: string, value: string) => ({ key: utf8(key), value: utf8(value), ttl: 0n });

function regionErrorOf(reply: Reply<unknown>): RegionError {
  assert.ok(!reply.ok && reply.error.type === "region", "a region error was expected");
  return (reply as { error: { error: RegionError } }).error.error;
}

async function withStore(
  options: FixtureOptions,
  use: (fixture: Awaited<ReturnType<typeof startFixture>>) => Promise<void>,
): Promise<void> {
  const fixture = await startFixture(options);
  try {
    await use(fixture);
  } finally {
    await fixture.store.stop();
    // Fails while a snapshot or an iterator is open.
    await fixture.engine.close();
  }
}

test("over the pending-write threshold the answer is ServerIsBusy, and later writes go on", async () => {
  const storage = { schedulerPendingWriteThresholdBytes: 1000, raftEntryMaxSizeBytes: 1000 };
  await withStore({ storage }, async ({ store, ctx }) => {
    const { raw } = store.storage;
    const value = "v".repeat(600);
    const replies = await Promise.all(
      ["a", "b", "c", "d"].map((key) => raw.put(ctx, "", pair(key, value), false)),
    );
    // 600 are under way when the second asks: it is let in, as in TiKV; the third is not.
    assert.equal(
      replies.map((reply) => reply.ok),
      [true, true, false, false],
    );
    assert.equal(regionErrorOf(replies[2] as Reply<void>), {
      kind: "serverIsBusy",
      message: "",
      reason: "scheduler is busy",
      backoffMs: 0,
    });
    assert.ok((await raw.put(ctx, "", pair("c", value), false)).ok);
    const refused = await raw.get(ctx, "", utf8("d"));
    assert.ok(refused.ok && refused.value === undefined, "a refused write leaves nothing");
  });
});

test("writes that arrive while one syncs share the next sync", async () => {
  await withStore({}, async ({ store, ctx, engine }) => {
    const before = engine.stats();
    const writes = Array.from({ length: 100 }, (_, i) =>
      store.storage.raw.put(ctx, "", pair(`k${i}`, "v"), i % 2 === 0),
    );
    await Promise.all(writes);
    const after = engine.stats();
    // One entry of the log holds many, and applying them is one batch.
    assert.ok(after.batches - before.batches <= 6, `${after.batches - before.batches} batches`);
    assert.ok(after.syncs - before.syncs <= 3, `${after.syncs - before.syncs} syncs`);
  });
});

test("an answered write is synced, and is there at once", async () => {
  await withStore({}, async ({ store, ctx, engine }) => {
    const { syncs } = engine.stats();
    await store.storage.raw.put(ctx, "", pair("a", "1"), false);
    assert.is(engine.stats().syncs, syncs + 1);
    const got = await store.storage.raw.get(ctx, "", utf8("a"));
    assert.is(got.ok && got.value && utf8Decode(got.value), "1");
  });
});

for (const apiVersion of [0, 1, 2] as const) {
  test(`CAS races, mode ${apiVersion}: each round has one winner, and increments add up`, async () => {
    await withStore({ storage: { apiVersion } }, async ({ store, ctx }) => {
      const { raw } = store.storage;
      const key = utf8("rcounter");
      const add = async (): Promise<void> => {
        for (;;) {
          const now = await raw.get(ctx, "", key);
          const previous = now.ok ? now.value : undefined;
          const next = utf8(String(Number(previous === undefined ? 0 : utf8Decode(previous)) + 1));
          const reply = await raw.compareAndSwap(ctx, "", key, previous, next, 0n, false);
          if (reply.ok && reply.value.swapped) return;
        }
      };
      await Promise.all(Array.from({ length: 20 }, add));
      const total = await raw.get(ctx, "", key);
      assert.is(total.ok && total.value && utf8Decode(total.value), "20");
      const winners = await Promise.all(
        Array.from({ length: 10 }, (_, i) =>
          raw.compareAndSwap(ctx, "", key, utf8("20"), utf8(`w${i}`), 0n, false),
        ),
      );
      assert.is(winners.filter((reply) => reply.ok && reply.value.swapped).length, 1);
    });
  });
}

test("puts marked for CAS wait for a CAS on their key", async () => {
  await withStore({}, async ({ store, ctx }) => {
    const { raw } = store.storage;
    const key = utf8("k");
    const [cas, put] = await Promise.all([
      raw.compareAndSwap(ctx, "", key, undefined, utf8("cas"), 0n, false),
      raw.put(ctx, "", pair("k", "put"), true),
    ]);
    assert.ok(cas.ok && cas.value.swapped && put.ok);
    const got = await raw.get(ctx, "", key);
    assert.equal(got.ok && got.value, utf8("put"));
  });
});

test("a full disk refuses puts, lets deletes pass, and heals without a restart", async () => {
  let available = 100;
  const clock = { ms: 0, nowMs: () => 1e12, monotonicMs: () => clock.ms };
  const deps = { statFs: () => ({ capacity: 1000, available }) };
  const storage = { reserveSpaceBytes: 100 };
  await withStore({ storage, clock, deps, dataDir: "/data" }, async ({ store, ctx }) => {
    const { raw, batch } = store.storage;
    assert.ok((await raw.put(ctx, "", pair("a", "1"), false)).ok, "almost full still writes");
    available = 50;
    clock.ms += 1000;
    const full = regionErrorOf(await raw.put(ctx, "", pair("b", "1"), false));
    assert.equal(full, {
      kind: "diskFull",
      message:
        "store ids [1], errmsg propose failed: tikv disk full, " +
        "cmd diskFullOpt=AllowedOnAlmostFull, leader diskUsage=AlreadyFull",
      storeIds: [1n],
      reason:
        "propose failed: tikv disk full, " +
        "cmd diskFullOpt=AllowedOnAlmostFull, leader diskUsage=AlreadyFull",
    });
    const bytes = new WriteBatchBuilder();
    bytes.put("default", utf8("zb"), utf8("1"));
    const view = batch.region(Number(ctx.regionId)) as RegionView;
    assert.is(regionErrorOf(await batch.writeBytes(view, bytes.bytes())).kind, "diskFull");
    assert.ok((await raw.get(ctx, "", utf8("a"))).ok);
    assert.ok((await raw.delete(ctx, "", utf8("a"), false)).ok);
    available = 10;
    clock.ms += 1000;
    assert.is(regionErrorOf(await raw.delete(ctx, "", utf8("a"), false)).kind, "diskFull");
    available = 500;
    clock.ms += 1000;
    assert.ok((await raw.put(ctx, "", pair("b", "1"), false)).ok);
  });
});

test("the batch path: region view, writes and arena reads as the commands see them", async () => {
  await withStore({}, async ({ store, ctx, engine }) => {
    const { batch, raw } = store.storage;
    const [region] = store.regions();
    const view = batch.region(Number(ctx.regionId)) as RegionView;
    const { id, confVer, version, peerId, storeId, startKey, endKey } = view;
    assert.equal([id, confVer, version, peerId, storeId], [2, 1, 1, 3, 1]);
    assert.equal([startKey, endKey], [region?.startKey, region?.endKey]);
    assert.ok(view.term >= 5, "a term from 5 on");
    assert.is(batch.region(99), undefined);
    assert.is(batch.region(2), batch.region(2));
    assert.equal([...batch.rawKeyPrefix], [CF_PREFIX.default, 0x7a]);
    const bytes = new WriteBatchBuilder();
    bytes.put("default", utf8("za"), utf8("1"));
    assert.ok((await batch.writeBytes(view, bytes.bytes())).ok);
    const got = await raw.get(ctx, "", utf8("a"));
    assert.equal(got.ok && got.value, utf8("1"));
    assert.is(engine.stats().syncs > 0, true);
  });
});

test("unsafe destroy range: TiKV's bounds, all data CFs, no region checks", async () => {
  await withStore({}, async ({ store, ctx }) => {
    const { raw } = store.storage;
    for (const cf of ["default", "lock", "write"]) {
      for (const key of ["a", "b", "c", "d"]) {
        await raw.put(ctx, cf, { key: utf8(`${key}0`), value: utf8("v"), ttl: 0n }, false);
      }
    }
    assert.ok((await store.storage.unsafeDestroyRange(utf8("b"), utf8("d"))).ok);
    for (const cf of ["default", "lock", "write"]) {
      const left = await raw.scan(ctx, cf, {
        startKey: utf8(""),
        endKey: utf8(""),
        limit: 10,
        keyOnly: true,
        reverse: false,
      });
      const keys = left.ok ? left.value.map(({ key }) => utf8Decode(key)) : [];
      assert.equal(keys, ["a0", "d0"], cf);
    }
    assert.not.ok((await store.storage.unsafeDestroyRange(utf8(""), utf8("d"))).ok);
    assert.ok((await store.storage.unsafeDestroyRange(utf8("d"), utf8("b"))).ok);
    assert.is(toHex(utf8("a0")), "6130");
  });
});

test("V2 without timestamps from PD: busy, then well", async () => {
  await withStore({ storage: { apiVersion: 2 } }, async ({ store, ctx, pd }) => {
    pd.answers.set("getTimestamps", { kind: "unavailable", message: "no leader" });
    const refused = await store.storage.raw.put(ctx, "", pair("ra", "1"), false);
    const error = regionErrorOf(refused);
    assert.is(error.kind === "serverIsBusy" && error.reason, "causal timestamp: no leader");
    pd.answers.clear();
    assert.ok((await store.storage.raw.put(ctx, "", pair("ra", "1"), false)).ok);
    const calls = pd.calls.filter((call) => call === "getTimestamps").length;
    await Promise.all(
      Array.from({ length: 100 }, (_, i) =>
        store.storage.raw.put(ctx, "", pair("ra", `${i}`), false),
      ),
    );
    assert.is(pd.calls.filter((call) => call === "getTimestamps").length, calls);
    const got = await store.storage.raw.get(ctx, "", utf8("ra"));
    assert.equal(got.ok && got.value, utf8("99"));
  });
});

test("stop answers the writes under way", async () => {
  const { store, ctx, engine } = await startFixture();
  const writes = Array.from({ length: 50 }, (_, i) =>
    store.storage.raw.put(ctx, "", pair(`k${i}`, "v"), i % 3 === 0),
  );
  await store.stop();
  const replies = await Promise.all(writes);
  for (const reply of replies) {
    if (!reply.ok) assert.is(regionErrorOf(reply).message, "TiKV is Closing");
  }
  assert.ok(replies.some((reply) => reply.ok));
  await engine.close();
});

test.run();
