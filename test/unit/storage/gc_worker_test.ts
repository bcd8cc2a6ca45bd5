/** GC on a store: what readers at and above the safe point see never changes, on any replica. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  compareBytes,
  EMPTY_BYTES,
  NULL_METRICS,
  ok,
  Prng,
  type Timers,
  utf8,
} from "../../../src/base/index.js";
import {
  dataKey,
  keyAppendTs,
  keyFromRaw,
  newWrite,
  WRITE_TYPE,
} from "../../../src/codec/index.js";
import type { Engine } from "../../../src/engine/index.js";
import {
  type Modify,
  MvccTxn,
  PointGetter,
  type ReadPoint,
  Statistics,
} from "../../../src/mvcc/index.js";
import type { PdReply, ReadDelegate } from "../../../src/raftstore/index.js";
import { GcMetrics } from "../../../src/storage/gc_metrics.js";
import { GC_SLICE_KEYS, GcWorker } from "../../../src/storage/gc_worker.js";
import { BoundedSnapshot } from "../../../src/storage/kv_engine.js";
import { TxnSnapshot } from "../../../src/storage/txn_snapshot.js";
import { REAL_CLOCK } from "../../support/clocks.js";
import { FakeRegions } from "../../support/fake_regions.js";
import { LogLines } from "../../support/log_lines.js";
import { HISTORY_KEYS, modifiesOf, randomHistory } from "../../support/mvcc_random_region.js";
import { dumpEngine, memoryEngine } from "../../support/store_fixture.js";

/** Real ones, which keep the process alive. */
const TIMERS: Timers = {
  after: (ms, callback) => {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  },
};

interface Store {
  readonly engine: Engine;
  readonly regions: FakeRegions;
  readonly worker: GcWorker;
  readonly metrics: GcMetrics;
  readonly logs: LogLines;
  readonly view: (peer: ReadDelegate) => { snapshot: TxnSnapshot; close(): void };
  /** What PD answers. */
  reply: PdReply<bigint>;
}

async function withStore(use: (store: Store) => Promise<void>): Promise<void> {
  const engine = await memoryEngine();
  const regions = new FakeRegions(engine);
  const metrics = new GcMetrics(NULL_METRICS);
  const logs = new LogLines();
  const view: Store["view"] = (peer) => {
    const bounded = new BoundedSnapshot(peer, engine.snapshot());
    return { snapshot: new TxnSnapshot(bounded), close: () => bounded.close() };
  };
  const store: Store = {
    engine,
    regions,
    metrics,
    logs,
    view,
    reply: ok(0n),
    worker: new GcWorker(10_000, {
      engine,
      router: regions,
      getGcSafePoint: async () => store.reply,
      view,
      clock: REAL_CLOCK,
      timers: TIMERS,
      logger: logs,
      metrics,
    }),
  };
  try {
    await use(store);
  } finally {
    await store.worker.stop();
    await engine.close();
  }
}

async function write(engine: Engine, modifies: readonly Modify[]): Promise<void> {
  const batch = engine.newWriteBatch();
  for (const { cf, key, value } of modifies) {
    if (value === undefined) batch.delete(cf, dataKey(key));
    else batch.put(cf, dataKey(key), value);
  }
  await engine.write(batch, { sync: false });
}

/** `count` keys, each with a Put at every one of `commits`. */
function puts(count: number, commits: readonly bigint[]): readonly Modify[] {
  const txn = new MvccTxn(0n);
  for (let i = 0; i < count; i++) {
    const key = keyFromRaw(utf8(`k${String(i).padStart(5, "0")}`));
    for (const ts of commits) {
      const shortValue = utf8(`v${ts}`);
      txn.putWrite(key, ts, newWrite({ type: WRITE_TYPE.put, startTs: ts - 1n, shortValue }));
    }
  }
  return txn.modifies;
}

const countOf = (engine: Engine, cf: string): number =>
  dumpEngine(engine).filter((line) => line.startsWith(`${cf} `)).length;

/** What a reader at `ts` sees of every key, as text; locks are passed by. */
function readAll({ regions, view }: Store, ts: bigint): string[] {
  return HISTORY_KEYS.map((userKey) => {
    const key = keyFromRaw(userKey);
    const peer = regions.delegates().find(({ region }) => {
      const beyond = region.endKey.length > 0 && compareBytes(key, region.endKey) >= 0;
      return compareBytes(key, region.startKey) >= 0 && !beyond;
    });
    assert.ok(peer);
    const { close, snapshot } = view(peer);
    const point = { ts, isolation: "rc", bypassLocks: [], accessLocks: [], isReplicaRead: false };
    const getter = new PointGetter(snapshot, new Statistics(), point as ReadPoint);
    try {
      const found = getter.get(key);
      if (found === undefined) return "none";
      if ("error" in found) return `error ${found.error.kind}`;
      return Buffer.from(found.value).toString("latin1");
    } catch (error) {
      return `threw ${(error as Error).name}`;
    } finally {
      getter.close();
      close();
    }
  });
}

test("400 random histories in three regions: reads at and above the safe point do not change", async () => {
  const prng = new Prng(77n);
  let deleted = 0;
  let keys = 0;
  for (let round = 0; round < 400; round++) {
    await withStore(async (store) => {
      // No transaction commits a key twice: histories where two versions share a value are none.
      const history = randomHistory(prng, "possible").filter(({ versions }) => {
        const starts = versions.map(({ write: { startTs } }) => startTs);
        return new Set(starts).size === starts.length;
      });
      keys += history.length;
      await write(store.engine, modifiesOf(history));
      const [first, second] = [keyFromRaw(utf8("aaaaaaaa")), keyFromRaw(utf8("b"))];
      store.regions.add(1n, EMPTY_BYTES, first);
      store.regions.add(2n, first, second).isLeader = prng.ratio(1, 2);
      store.regions.add(3n, second, EMPTY_BYTES);
      const safePoint = BigInt(prng.range(10, 120));
      const times = [0, 1, 2, 5, 9, 20, 60, 1000].map((more) => safePoint + BigInt(more));
      const before = times.map((ts) => readAll(store, ts));
      store.reply = ok(safePoint);
      await store.worker.poll();
      assert.is(store.worker.safePoint, safePoint, `round ${round}`);
      const after = times.map((ts) => readAll(store, ts));
      assert.equal(after, before, `round ${round}, safe point ${safePoint}`);
      deleted += store.metrics.deleted.write;
      const dump = dumpEngine(store.engine);
      await store.worker.collect(safePoint);
      assert.equal(dumpEngine(store.engine), dump, `round ${round}: a second pass finds nothing`);
    });
  }
  assert.ok(deleted > 500 && keys > 500, `${deleted} records deleted of ${keys} keys`);
});

test("a pass takes slices of 256 keys and lets others run between them", () =>
  withStore(async (store) => {
    await write(store.engine, puts(1000, [10n, 20n, 30n]));
    store.regions.add(1n, EMPTY_BYTES, EMPTY_BYTES);
    let turns = 0;
    let running = true;
    const count = (): void => {
      turns++;
      if (running) setImmediate(count);
    };
    setImmediate(count);
    await store.worker.collect(25n);
    running = false;
    assert.is(countOf(store.engine, "write"), 2000);
    assert.is(store.metrics.slices, Math.ceil(1000 / GC_SLICE_KEYS));
    assert.equal([store.metrics.deleted.write, store.metrics.deleted.default], [1000, 0]);
    assert.ok(turns >= 3, `${turns} turns of others`);
  }));

test("a follower collects too; a region whose data is being replaced is left alone", () =>
  withStore(async (store) => {
    await write(store.engine, puts(100, [10n, 20n]));
    const middle = keyFromRaw(utf8("k00050"));
    store.regions.add(1n, EMPTY_BYTES, middle).isLeader = false;
    const replaced = store.regions.add(2n, middle, EMPTY_BYTES);
    replaced.dataReady = false;
    await store.worker.collect(20n);
    assert.is(countOf(store.engine, "write"), 150);
    assert.equal(store.metrics.regions, { collected: 1, skipped: 1 });
    replaced.dataReady = true;
    await store.worker.collect(21n);
    assert.is(countOf(store.engine, "write"), 100);
  }));

test("a region that appears during the pass, as splits make them, is collected as well", () =>
  withStore(async (store) => {
    await write(store.engine, puts(600, [10n, 20n]));
    const left = store.regions.add(1n, EMPTY_BYTES, EMPTY_BYTES);
    const pass = store.worker.collect(20n);
    const middle = keyFromRaw(utf8("k00300"));
    left.region = { ...left.region, endKey: middle };
    store.regions.add(2n, middle, EMPTY_BYTES);
    await pass;
    assert.is(countOf(store.engine, "write"), 600);
  }));

test("only a safe point that has moved starts a pass; an unreachable PD starts none", () =>
  withStore(async (store) => {
    await write(store.engine, puts(10, [10n, 20n]));
    store.regions.add(1n, EMPTY_BYTES, EMPTY_BYTES);
    store.reply = { ok: false, error: { kind: "unavailable", message: "no leader" } };
    await store.worker.poll();
    store.reply = ok(0n);
    await store.worker.poll();
    assert.equal([store.metrics.slices, countOf(store.engine, "write")], [0, 20]);
    store.reply = ok(20n);
    await store.worker.poll();
    assert.equal([store.metrics.slices, countOf(store.engine, "write")], [1, 10]);
    store.reply = ok(15n);
    await store.worker.poll();
    store.reply = ok(20n);
    await store.worker.poll();
    assert.is(store.metrics.slices, 1);
  }));

test("a damaged region is reported and left; the others are collected, the pass comes again", () =>
  withStore(async (store) => {
    await write(store.engine, puts(100, [10n, 20n]));
    const middle = keyFromRaw(utf8("k00050"));
    const bad = { cf: "write", key: keyAppendTs(keyFromRaw(utf8("k00060")), 20n) } as const;
    await write(store.engine, [{ ...bad, value: utf8("?") }]);
    store.regions.add(1n, middle, EMPTY_BYTES);
    store.regions.add(2n, EMPTY_BYTES, middle);
    store.reply = ok(20n);
    await store.worker.poll();
    assert.is(store.worker.safePoint, 0n);
    assert.equal([store.metrics.failures, store.metrics.regions.collected], [1, 1]);
    const lines = store.logs.lines.filter(({ level }) => level === "error");
    assert.match(lines[0]?.message ?? "", /gc of a region failed/);
  }));

test("entries without versions, as raw data in the default CF, stay as they are", () =>
  withStore(async (store) => {
    const raw = { cf: "default", key: utf8("rkey"), value: utf8("v") } as const;
    await write(store.engine, [...puts(10, [10n, 20n]), raw]);
    store.regions.add(1n, EMPTY_BYTES, EMPTY_BYTES);
    await store.worker.collect(30n);
    assert.equal([countOf(store.engine, "default"), countOf(store.engine, "write")], [1, 10]);
  }));

test("stop ends a pass that is under way, which then does not count", () =>
  withStore(async (store) => {
    await write(store.engine, puts(2000, [10n, 20n]));
    store.regions.add(1n, EMPTY_BYTES, EMPTY_BYTES);
    const pass = store.worker.collect(20n);
    await store.worker.stop();
    await pass;
    assert.is(store.worker.safePoint, 0n);
    assert.ok(store.metrics.slices < 8, `${store.metrics.slices}`);
  }));

test.run();
