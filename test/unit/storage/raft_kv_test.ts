/** Raw commands over regions whose leadership, leases and deliveries the test decides. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  EMPTY_BYTES,
  NULL_LOGGER,
  NULL_METRICS,
  utf8,
  utf8Decode,
} from "../../../src/base/index.js";
import { keyFromRaw } from "../../../src/codec/index.js";
import { type EnginePressure, NO_PRESSURE } from "../../../src/engine/index.js";
import { loadKernels } from "../../../src/kernel/index.js";
import {
  type RegionError,
  type Reply,
  type RequestContext,
  STORAGE_DEFAULTS,
  type StorageOptions,
} from "../../../src/storage/index.js";
import { RaftStorage } from "../../../src/storage/storage.js";
import { FakeClock } from "../../support/fake_clock.js";
import { FakePd } from "../../support/fake_pd.js";
import { type FakePeer, FakeRegions } from "../../support/fake_regions.js";
import { FakeTimers } from "../../support/fake_timers.js";
import { memoryEngine } from "../../support/store_fixture.js";

const KERNELS = loadKernels({ memoryBytes: 1024 * 1024 });
const KEY = utf8("k");
const pair = (key: string, value: string, ttl = 0n) => ({
  key: utf8(key),
  value: utf8(value),
  ttl,
});

interface Setup {
  readonly regions: FakeRegions;
  readonly storage: RaftStorage;
  readonly clock: FakeClock;
  readonly timers: FakeTimers;
  /** What the engine says from now on about itself. */
  readonly press: (pressure: EnginePressure) => void;
  /** Two regions, cut at "m". */
  readonly left: FakePeer;
  readonly right: FakePeer;
  readonly ctx: RequestContext;
}

async function withRegions(
  use: (setup: Setup) => Promise<void>,
  options: Partial<StorageOptions> = {},
): Promise<void> {
  const engine = await memoryEngine();
  const { stats } = engine;
  let pressure = NO_PRESSURE;
  engine.stats = () => ({ ...stats.call(engine), pressure });
  const regions = new FakeRegions(engine);
  const left = regions.add(2n, EMPTY_BYTES, utf8("m"));
  const right = regions.add(3n, utf8("m"), EMPTY_BYTES);
  const clock = new FakeClock();
  const timers = new FakeTimers(clock);
  const storage = new RaftStorage(
    { ...STORAGE_DEFAULTS, ...options },
    {
      engine,
      router: regions,
      disk: { refuses: () => false },
      pd: new FakePd(),
      clock,
      timers,
      logger: NULL_LOGGER,
      metrics: NULL_METRICS,
      kernels: KERNELS,
    },
  );
  try {
    const press = (now: EnginePressure): void => {
      pressure = now;
    };
    const ctx = regions.context(left);
    await use({ regions, storage, clock, timers, press, left, right, ctx });
  } finally {
    regions.holds = false;
    regions.deliver();
    await storage.stop();
    // Fails while a snapshot or an iterator is open.
    await engine.close();
  }
}

function errorOf(reply: Reply<unknown>): RegionError {
  assert.ok(!reply.ok && reply.error.type === "region", "a region error was expected");
  return (reply as { error: { error: RegionError } }).error.error;
}

const text = (reply: Reply<Uint8Array | undefined>): string | undefined =>
  reply.ok && reply.value !== undefined ? utf8Decode(reply.value) : undefined;

const scanAll = {
  startKey: EMPTY_BYTES,
  endKey: EMPTY_BYTES,
  limit: 100,
  keyOnly: false,
  reverse: false,
};
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

test("under the lease a read answers in its turn; without it, it asks the log", async () => {
  await withRegions(async ({ storage, regions, left, ctx }) => {
    assert.ok((await storage.raw.put(ctx, "", pair("k", "1"), false)).ok);
    const local = storage.raw.get(ctx, "", KEY);
    assert.not.instance(local, Promise);
    left.hasLease = false;
    const sent = regions.sent.length;
    const reads = ["k", "k", "x"].map((key) => storage.raw.get(ctx, "", utf8(key)));
    const ttl = storage.raw.getKeyTtl(ctx, "", KEY);
    for (const read of [...reads, ttl]) assert.instance(read, Promise);
    const values = await Promise.all(reads);
    assert.equal(values.map(text), ["1", "1", undefined]);
    assert.is((await ttl).ok, false);
    assert.is(regions.sent.length, sent + 1, "the reads of one turn share a command");
    const [message] = regions.sent.slice(-1);
    assert.ok(message?.kind === "read" && !message.command.replicaRead);
  });
});

test("a read sees what its answer finds, not what was there when it asked", async () => {
  await withRegions(async ({ storage, regions, left, ctx }) => {
    left.hasLease = false;
    regions.holds = true;
    const put = storage.raw.put(ctx, "", pair("k", "1"), false);
    const read = storage.raw.get(ctx, "", KEY);
    const scan = storage.raw.scan(ctx, "", scanAll);
    await turn();
    regions.deliver(1);
    await put;
    regions.deliver();
    assert.is(text(await read), "1");
    const scanned = await scan;
    assert.is(scanned.ok && scanned.value.length, 1);
  });
});

test("a follower: NotLeader with a hint, replica reads by the log, stale reads at once", async () => {
  await withRegions(async ({ storage, regions, left, ctx }) => {
    await storage.raw.put(ctx, "", pair("k", "1"), false);
    regions.depose(left);
    for (const reply of [
      await storage.raw.get(ctx, "", KEY),
      await storage.raw.put(ctx, "", pair("k", "2"), false),
      await storage.raw.put({ ...ctx, replicaRead: true }, "", pair("k", "2"), false),
      await storage.raw.scan(ctx, "", scanAll),
      await storage.raw.compareAndSwap(
        { ...ctx, replicaRead: true, staleRead: true },
        "",
        KEY,
        utf8("1"),
        utf8("2"),
        0n,
        false,
      ),
    ]) {
      const error = errorOf(reply);
      assert.is(error.kind === "notLeader" && error.leader?.storeId, 9n);
    }
    const sent = regions.sent.length;
    const replica = { ...ctx, replicaRead: true };
    assert.is(text(await storage.raw.get(replica, "", KEY)), "1");
    const scanned = await storage.raw.scan(replica, "", scanAll);
    assert.is(scanned.ok && scanned.value.length, 1);
    for (const message of regions.sent.slice(sent)) {
      assert.ok(message.kind === "read" && message.command.replicaRead);
    }
    assert.is(regions.sent.length, sent + 2);
    const stale = { ...ctx, staleRead: true };
    assert.is(text(await storage.raw.get(stale, "", KEY)), "1");
    left.dataReady = false;
    assert.equal(errorOf(await storage.raw.get(stale, "", KEY)), {
      kind: "dataIsNotReady",
      message: "peer 102 is not ready, safe_ts 0, region 2",
      regionId: 2n,
      peerId: 102n,
      safeTs: 0n,
    });
    assert.is(regions.sent.length, sent + 2, "stale reads ask nobody");
  });
});

test("a region that changes while a read waits is checked again", async () => {
  await withRegions(async ({ storage, regions, left, ctx }) => {
    await storage.raw.put(ctx, "", pair("k", "1"), false);
    left.hasLease = false;
    regions.holds = true;
    const read = storage.raw.get(ctx, "", KEY);
    const checksum = storage.raw.checksum(ctx, [{ startKey: utf8("a"), endKey: utf8("l") }]);
    await turn();
    left.region = { ...left.region, version: 2n, endKey: utf8("c") };
    const [message] = regions.sent.slice(-1);
    // The peer's own check is left out: what is tested is that storage looks again.
    assert.ok(message?.kind === "read");
    for (const one of regions.sent) {
      if (one.kind === "read")
        one.command.done({ ok: true, value: { readIndex: 7, verdict: EMPTY_BYTES } });
    }
    const error = errorOf(await read);
    assert.is(error.kind === "epochNotMatch" && error.currentRegions[0]?.version, 2n);
    assert.is(errorOf(await checksum).kind, "epochNotMatch");
  });
});

test("what a peer cannot take: busy, or not found", async () => {
  await withRegions(
    async ({ storage, regions, left, ctx }) => {
      regions.sendResult = "full";
      const busy = errorOf(await storage.raw.put(ctx, "", pair("k", "1"), false));
      assert.is(busy.kind === "serverIsBusy" && busy.reason, "raftstore is busy");
      left.hasLease = false;
      assert.is(errorOf(await storage.raw.get(ctx, "", KEY)).kind, "serverIsBusy");
      regions.sendResult = "closed";
      assert.is(errorOf(await storage.raw.get(ctx, "", KEY)).kind, "regionNotFound");
      assert.is(
        errorOf(await storage.raw.put(ctx, "", pair("k", "1"), false)).kind,
        "regionNotFound",
      );
      regions.sendResult = "sent";
      assert.ok(
        (await storage.raw.put(ctx, "", pair("k", "1"), false)).ok,
        "the quota was given back",
      );
    },
    { schedulerPendingWriteThresholdBytes: 20 },
  );
});

for (const [steps, outcome] of [
  [1, "ok"],
  [2, "staleCommand"],
  [3, "notLeader"],
] as const) {
  test(`CAS, ${steps === 3 ? "a new leader" : `${steps} terms later`}: ${outcome}`, async () => {
    await withRegions(async ({ storage, regions, left, ctx }) => {
      await storage.raw.put(ctx, "", pair("k", "1"), false);
      regions.holds = true;
      const cas = storage.raw.compareAndSwap(ctx, "", KEY, utf8("1"), utf8("2"), 0n, false);
      await turn();
      // Between read and write, leadership went away and came back, or is gone.
      if (steps === 3) regions.depose(left);
      else left.term += BigInt(steps);
      regions.deliver();
      const reply = await cas;
      assert.is(reply.ok ? "ok" : errorOf(reply).kind, outcome);
      regions.holds = false;
      const got = await storage.raw.get({ ...ctx, staleRead: true }, "", KEY);
      assert.is(text(got), outcome === "ok" ? "2" : "1");
    });
  });
}

test("CAS without a lease reads by the log, and still one of two wins", async () => {
  await withRegions(async ({ storage, left, ctx }) => {
    left.hasLease = false;
    const replies = await Promise.all(
      ["a", "b", "c"].map((value) =>
        storage.raw.compareAndSwap(ctx, "", KEY, undefined, utf8(value), 0n, false),
      ),
    );
    const won = replies.map((reply) => reply.ok && reply.value.swapped);
    assert.equal(won, [true, false, false]);
  });
});

test("scans, ranges and keys end at the region's bounds", async () => {
  await withRegions(async ({ storage, regions, left, right, ctx }) => {
    const rightCtx = regions.context(right);
    for (const key of ["a", "l"]) await storage.raw.put(ctx, "", pair(key, "1"), false);
    for (const key of ["m", "z"]) await storage.raw.put(rightCtx, "", pair(key, "1"), false);
    const keysOf = async (context: RequestContext, more: object): Promise<string> => {
      const reply = await storage.raw.scan(context, "", { ...scanAll, ...more });
      return reply.ok
        ? reply.value.map(({ key }) => utf8Decode(key)).join("")
        : errorOf(reply).kind;
    };
    assert.is(await keysOf(ctx, {}), "al", "forward, clipped at the end");
    assert.is(await keysOf(rightCtx, { startKey: utf8("m") }), "mz");
    assert.is(await keysOf(rightCtx, { startKey: utf8("a") }), "keyNotInRegion");
    const down = { startKey: utf8("z~"), reverse: true };
    assert.is(await keysOf(rightCtx, down), "zm", "reverse, clipped at the start");
    assert.is(await keysOf(ctx, { startKey: utf8("m"), reverse: true }), "la", "from the end");
    assert.is(await keysOf(ctx, down), "keyNotInRegion");
    const sum = await storage.raw.checksum(ctx, [{ startKey: utf8("a"), endKey: utf8("zz") }]);
    assert.is(sum.ok && sum.value.totalKvs, 2n);
    const outside = await storage.raw.put(ctx, "", pair("m", "1"), false);
    assert.is(errorOf(outside).kind, "keyNotInRegion");
    const two = await storage.raw.batchGet(ctx, "", [utf8("a"), utf8("z")]);
    assert.is(errorOf(two).kind, "keyNotInRegion");
    const range = await storage.raw.deleteRange(ctx, "", utf8("a"), utf8("n"));
    assert.is(errorOf(range).kind, "keyNotInRegion");
    assert.ok((await storage.raw.deleteRange(ctx, "", utf8("b"), utf8("m"))).ok);
    assert.is(await keysOf(ctx, {}), "a");
    assert.ok(left.regionFlow.take().keysWritten > 0 && right.regionFlow.take().keysRead > 0);
  });
});

test("a snapshot keeps the bounds that its region had", async () => {
  await withRegions(
    async ({ storage, left, ctx }) => {
      const pairs = Array.from({ length: 600 }, (_, i) => pair(`k${1000 + i}`, "v"));
      await storage.raw.batchPut(ctx, "", pairs, false);
      const scan = storage.raw.batchScan(
        ctx,
        "",
        [
          { startKey: utf8("k"), endKey: utf8("k1400") },
          { startKey: utf8("k1400"), endKey: utf8("l") },
        ],
        1000,
        { keyOnly: true, reverse: false },
      );
      left.region = { ...left.region, version: 2n, endKey: utf8("k1200") };
      const reply = await scan;
      assert.is(reply.ok && reply.value.length, 600);
    },
    { readSliceMs: 0.01 },
  );
});

test("the TTL pass: the leader deletes through the log, beside writes of other regions", async () => {
  await withRegions(
    async ({ storage, regions, left, right, clock, ctx }) => {
      const rightCtx = regions.context(right);
      await storage.raw.put(ctx, "", pair("a", "old", 1n), false);
      await storage.raw.put(rightCtx, "", pair("z", "old", 1n), false);
      clock.advance(1000);
      regions.depose(right);
      regions.holds = true;
      const writes = regions.sent.length;
      const early = storage.raw.put(ctx, "", pair("b", "1"), false);
      const pass = storage.ttlChecker.runOnce();
      await turn();
      // The pass waits for the write of its region; a later one waits for the pass.
      const late = storage.raw.put(ctx, "", pair("a", "new"), false);
      await turn();
      assert.is(regions.sent.length, writes + 1, "the gate holds");
      regions.deliver();
      await early;
      await turn();
      const kinds = regions.sent.slice(writes).map((message) => message.kind);
      assert.equal(kinds, ["write", "write", "write"]);
      const [, removal] = regions.sent.slice(writes);
      assert.ok(removal?.kind === "write" && removal.command.frees);
      assert.is(removal?.kind === "write" && removal.command.header.term, left.term);
      regions.holds = false;
      regions.deliver();
      assert.ok((await late).ok);
      await pass;
      assert.is(text(await storage.raw.get(ctx, "", utf8("a"))), "new");
      assert.is(regions.engine.get("default", utf8("zz")) !== undefined, true, "not the leader");
    },
    { apiVersion: 1 },
  );
});

test("the batch path has a region only while it leads with a lease", async () => {
  await withRegions(async ({ storage, regions, left }) => {
    const { batch } = storage;
    const view = batch.region(2);
    assert.is(view?.term, 6);
    assert.is(batch.region(2), view);
    left.hasLease = false;
    assert.is(batch.region(2), undefined);
    left.hasLease = true;
    assert.is(batch.region(2), view);
    regions.changed();
    assert.is(batch.region(2), view, "the same while nothing that it shows has changed");
    left.term += 1n;
    regions.changed();
    assert.is(batch.region(2)?.term, 7);
    left.region = { ...left.region, version: 5n };
    regions.changed();
    assert.is(batch.region(2)?.version, 5);
    regions.depose(left);
    assert.is(batch.region(2), undefined);
    regions.remove(2n);
    assert.is(batch.region(2), undefined);
    assert.is(batch.region(4), undefined);
    regions.add(4n, EMPTY_BYTES, EMPTY_BYTES);
    assert.is(batch.region(4)?.peerId, 104);
  });
});

for (const rightDerive of [true, false]) {
  test(`EpochNotMatch tells the parts of a split, right-derive ${rightDerive}`, async () => {
    await withRegions(
      async ({ storage, regions, left, right, ctx }) => {
        // The left region was split twice, at "c" and then at "f"; the id stayed at one end.
        const kept = rightDerive ? ["f", "m"] : ["", "c"];
        const rest = rightDerive
          ? ([
              ["", "c"],
              ["c", "f"],
            ] as const)
          : ([
              ["f", "m"],
              ["c", "f"],
            ] as const);
        left.region = {
          ...left.region,
          version: 3n,
          startKey: utf8(kept[0] ?? ""),
          endKey: utf8(kept[1] ?? ""),
        };
        rest.forEach(([start, end], i) => {
          const part = regions.add(BigInt(10 + i), utf8(start), utf8(end));
          part.region = { ...part.region, version: BigInt(2 + i) };
        });
        regions.changed();
        const told = async (version: bigint, from = ctx): Promise<string> => {
          const error = errorOf(await storage.raw.get({ ...from, version }, "", KEY));
          if (error.kind !== "epochNotMatch") return error.kind;
          return error.currentRegions.map(({ id }) => id).join(" ");
        };
        assert.is(await told(1n), "2 11 10");
        assert.is(await told(2n), "2 11", "one split behind");
        assert.is(await told(4n), "2", "a client that is ahead learns nothing");
        assert.is(
          errorOf(await storage.raw.put(ctx, "", pair("k", "1"), false)).kind,
          "epochNotMatch",
        );
        right.region = { ...right.region, version: 9n };
        assert.is(await told(0n, regions.context(right)), rightDerive ? "3 2 11 10" : "3");
      },
      { rightDeriveWhenSplit: rightDerive },
    );
  });
}

test("SplitRegion hands encoded keys, ascending and once, to the peer; its answer comes back", async () => {
  await withRegions(async ({ storage, regions, left, ctx }) => {
    const wanted = [utf8("k"), utf8("b"), utf8("k")];
    const raw = storage.regions.split(ctx, wanted, true);
    const txn = storage.regions.split(ctx, [utf8("k")], false);
    const wishes = regions.sent.flatMap((one) => (one.kind === "splitWish" ? [one.wish] : []));
    assert.equal(wishes[0]?.splitKeys, [utf8("b"), utf8("k")]);
    assert.equal([wishes[0]?.version, wishes[0]?.confVer], [1n, 1n]);
    assert.equal(wishes[1]?.splitKeys, [keyFromRaw(utf8("k"))]);
    wishes[0]?.done({ ok: true, value: { regions: [left.region, left.region] } });
    wishes[1]?.done({ ok: false, error: { kind: "staleCommand", message: "stale command" } });
    const reply = await raw;
    assert.is(reply.ok && reply.value.length, 2);
    assert.is(errorOf(await txn).kind, "staleCommand");
    const gone = await storage.regions.split({ ...ctx, regionId: 99n }, wanted, true);
    assert.is(errorOf(gone).kind, "regionNotFound");
  });
});

test("ReadIndex: by the leader's log, or by a follower's question", async () => {
  await withRegions(async ({ storage, regions, left, ctx }) => {
    const answer = { ok: true, value: { readIndex: 7n } };
    assert.equal(await storage.regions.readIndex(ctx), answer);
    regions.depose(left);
    assert.equal(await storage.regions.readIndex(ctx), answer);
    const kinds = regions.sent.map((one) => one.kind === "read" && one.command.replicaRead);
    assert.equal(kinds, [false, true]);
    const stale = await storage.regions.readIndex({ ...ctx, version: 0n });
    assert.is(errorOf(stale).kind, "epochNotMatch");
  });
});

test("an engine that lags: writes wait or are refused, deletes go on, a stop answers them", async () => {
  await withRegions(async ({ storage, regions, timers, press, ctx }) => {
    storage.start();
    const put = (key: string, bytes = 1) =>
      storage.raw.put(ctx, "", pair(key, "v".repeat(bytes)), false);
    press({ ...NO_PRESSURE, level0Files: 21 });
    timers.advance(1000);
    for (let i = 0; i < 40; i++) timers.advance(1000);
    const quarter = 16 * 1024;
    const sent = regions.sent.length;
    const writes = [put("a", quarter), put("b", quarter), storage.raw.delete(ctx, "", KEY, false)];
    await turn();
    assert.is(regions.sent.length - sent, 2, "b waits for its time, the delete does not");
    timers.advance(1000);
    for (const reply of await Promise.all(writes)) assert.ok(reply.ok);
    press({ ...NO_PRESSURE, pendingCompactionBytes: 2 ** 40 });
    timers.advance(1000);
    assert.is(errorOf(await put("c")).kind, "serverIsBusy");
    assert.ok((await storage.raw.delete(ctx, "", KEY, false)).ok);
    press({ ...NO_PRESSURE, level0Files: 21 });
    timers.advance(1000);
    const held = [put("d", quarter), put("e")];
    await turn();
    assert.is(storage.running, 1);
    storage.close();
    assert.ok((await held[0])?.ok);
    assert.is(errorOf((await held[1]) as Reply<void>).kind, "other");
  });
});

test.run();
