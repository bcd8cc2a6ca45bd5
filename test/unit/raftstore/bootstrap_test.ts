/** The first start of a store: bytes on disk, crashes after every step, races, refusals. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  NULL_LOGGER,
  NULL_METRICS,
  TikvError,
  type Timers,
  toHex,
  utf8,
} from "../../../src/base/index.js";
import { immediateRunner } from "../../../src/batch/index.js";
import { type Engine, MemoryDisk, openMemoryEngine } from "../../../src/engine/index.js";
import { loadKernels } from "../../../src/kernel/index.js";
import {
  type BootstrapStep,
  enginePort,
  type OpenDeps,
  openStore,
  RAFTSTORE_DEFAULTS,
  type RegionInfo,
  type Store,
  type StoreOptions,
} from "../../../src/raftstore/index.js";
import { loadRegions } from "../../../src/raftstore/store_loader.js";
import { FakeClock } from "../../support/fake_clock.js";
import { FakePd } from "../../support/fake_pd.js";
import { dumpEngine } from "../../support/store_fixture.js";
import { loneParts } from "../../support/store_parts.js";
import { within } from "../../support/within.js";

const OPTIONS: StoreOptions = {
  ...RAFTSTORE_DEFAULTS,
  address: "127.0.0.1:20160",
  version: "8.5.0",
  pdRetryIntervalMs: 1,
  apiVersion: 0,
  reserveSpaceBytes: 0,
};

const KERNELS = loadKernels({ memoryBytes: 1024 * 1024 });

/** Real timers that keep the process alive: here nothing else does. */
const TIMERS: Timers = {
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs);
    return () => clearTimeout(timer);
  },
};

class Stopped extends Error {}

function fatal(error: Error): never {
  throw error;
}

function memory(disk?: MemoryDisk): Engine {
  return disk === undefined ? openMemoryEngine(fatal) : openMemoryEngine(fatal, disk);
}

function open(
  engine: Engine,
  pd: FakePd,
  options: Partial<StoreOptions> = {},
  deps: Partial<OpenDeps> = {},
): Promise<Store> {
  return openStore(
    { ...OPTIONS, ...options },
    {
      ...loneParts(),
      timers: TIMERS,
      port: enginePort(engine, fatal),
      kernels: KERNELS,
      runner: immediateRunner,
      pd,
      clock: new FakeClock(),
      logger: NULL_LOGGER,
      metrics: NULL_METRICS,
      statFs: () => ({ capacity: 0, available: 0 }),
      signal: new AbortController().signal,
      onFatal: fatal,
      ...deps,
    },
  );
}

async function errorOf(promise: Promise<unknown>): Promise<TikvError> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  assert.instance(error, TikvError);
  return error as TikvError;
}

test("what a bootstrapped store holds, byte for byte", async () => {
  const engine = memory();
  await open(engine, new FakePd(5n));
  // Store 1, region 2, peer 3: ids in the order of the allocations.
  assert.equal(dumpEngine(engine), [
    "default 0101 08051001",
    "raft 0102000000000000000202 0a0408051805" + "1005",
    "raft 0102000000000000000203 0805120408051005",
    "raft 0103000000000000000201 120e08022204080110012a0408031001",
  ]);
});

test("while prepared, the first region lies under 01 02 and in the region state", async () => {
  const engine = memory();
  const stop = (step: BootstrapStep): void => {
    if (step === "region prepared") throw new Stopped();
  };
  await open(engine, new FakePd(5n), {}, { onStep: stop }).catch(() => {});
  const region = "08022204080110012a0408031001";
  const dump = dumpEngine(engine);
  assert.ok(dump.includes(`default 0102 ${region}`), dump.join("\n"));
});

const STEPS: readonly BootstrapStep[] = [
  "store id allocated",
  "store ident written",
  "region prepared",
  "cluster bootstrapped",
  "bootstrap finished",
  "store registered",
];

for (const crashAfter of STEPS) {
  test(`a crash after "${crashAfter}" loses nothing and repeats nothing`, async () => {
    const disk = new MemoryDisk({ journal: true });
    const pd = new FakePd();
    const stop = (step: BootstrapStep): void => {
      if (step === crashAfter) throw new Stopped();
    };
    const first = await open(memory(disk), pd, {}, { onStep: stop }).catch((error) => error);
    assert.instance(first, Stopped);
    disk.crash(0);
    const engine = memory(disk);
    await open(engine, pd);
    assert.is(pd.accepted.length, 1);
    const regions = loadRegions(engine).normal;
    assert.is(regions.length, 1);
    assert.ok(pd.holds(regions[0] as RegionInfo));
    assert.is(engine.get("default", Uint8Array.of(1, 2)), undefined);
    assert.is(dumpEngine(engine).length, 4);
  });
}

test("a crash after PD took the region, with the answer lost, keeps the region", async () => {
  const disk = new MemoryDisk({ journal: true });
  const pd = new FakePd();
  const stop = (step: BootstrapStep): void => {
    if (step === "cluster bootstrapped") throw new Stopped();
  };
  await open(memory(disk), pd, {}, { onStep: stop }).catch(() => {});
  disk.crash(0);
  await open(memory(disk), pd);
  assert.is(pd.calls.filter((call) => call === "bootstrap").length, 2);
  assert.is(pd.calls.filter((call) => call === "getRegion").length, 1);
});

test("three stores race: one first region, two stores without", async () => {
  for (let round = 0; round < 20; round++) {
    const pd = new FakePd();
    const engines = [memory(), memory(), memory()];
    const stores = await Promise.all(
      engines.map((engine, i) => open(engine, pd, { address: `127.0.0.1:${20160 + i}` })),
    );
    assert.is(pd.accepted.length, 1);
    const holders = engines.filter((engine) => loadRegions(engine).normal.length === 1);
    assert.is(holders.length, 1);
    assert.is(new Set(stores.map((store) => store.storeId)).size, 3);
    for (const engine of engines) {
      const own = engine === holders[0];
      // The losers keep their ident and nothing else.
      assert.is(dumpEngine(engine).length, own ? 4 : 1);
    }
  }
});

test("a directory of another cluster: TiKV's words", async () => {
  const engine = memory();
  await open(engine, new FakePd(5n));
  const error = await errorOf(open(engine, new FakePd(6n)));
  assert.is(error.code, "RUTILE:Store:ClusterMismatch");
  assert.is(
    error.message,
    "cluster ID mismatch, local 5 != remote 6, you are trying to connect to another cluster, " +
      "please reconnect to the correct PD",
  );
});

test("a duplicate address and a tombstone end the start with PD's words", async () => {
  const pd = new FakePd();
  await open(memory(), pd);
  const duplicate = await errorOf(open(memory(), pd));
  assert.is(duplicate.code, "RUTILE:Store:Refused");
  assert.match(duplicate.message, /^duplicated store address: .*already registered by/);

  pd.answers.set("putStore", { kind: "storeTombstone", message: "store is tombstone" });
  const tombstone = await errorOf(open(memory(), pd, { address: "127.0.0.1:2" }));
  assert.is(tombstone.code, "RUTILE:Store:Tombstone");
  assert.is(tombstone.message, "store is tombstone");
});

test("a directory with data and without ident is refused", async () => {
  const engine = memory();
  const batch = engine.newWriteBatch();
  batch.put("default", utf8("zk"), utf8("v"));
  await engine.write(batch, { sync: true });
  const error = await errorOf(open(engine, new FakePd()));
  assert.is(error.code, "RUTILE:Store:NotEmpty");
  assert.is(error.message, "kv store is not empty and has already had data.");
});

test("api versions switch without data, and with data of TiDB only", async () => {
  for (const [from, to, key, refused] of [
    [0, 2, "", false],
    [0, 2, "t1", false],
    [0, 2, "a", true],
    [0, 2, "n", true],
    [2, 0, "r", true],
    [0, 1, "", false],
    [0, 1, "a", true],
    [1, 0, "t1", true],
  ] as const) {
    const engine = memory();
    const pd = new FakePd();
    await open(engine, pd, { apiVersion: from });
    if (key !== "") {
      const batch = engine.newWriteBatch();
      batch.put("write", utf8(`z${key}`), utf8("v"));
      await engine.write(batch, { sync: true });
    }
    const what = `${from} to ${to} with "${key}"`;
    if (!refused) {
      await open(engine, pd, { apiVersion: to });
      const ident = engine.get("default", Uint8Array.of(1, 1)) as Uint8Array;
      assert.ok(toHex(ident).endsWith(`180${to}`), what);
      continue;
    }
    const error = await errorOf(open(engine, pd, { apiVersion: to }));
    const names = ["V1", "V1ttl", "V2"];
    assert.is(
      error.message,
      `unable to switch \`storage.api_version\` from ${names[from]} to ${names[to]} because ` +
        `found data key that is not written by TiDB: "${toHex(utf8(key)).toUpperCase()}"`,
      what,
    );
  }
});

test("an absent PD is waited for, with one log line per interval", async () => {
  const pd = new FakePd();
  pd.failure = { kind: "unavailable", message: "connection refused" };
  const clock = new FakeClock();
  const lines: string[] = [];
  const logger = { ...NULL_LOGGER, warn: (message: string) => lines.push(message) };
  const engine = memory();
  const opening = open(engine, pd, {}, { clock, logger });
  await within(1000, "several attempts", () => pd.calls.length > 5);
  assert.is(lines.length, 1);
  clock.advance(5000);
  await within(1000, "the next line", () => lines.length === 2);
  pd.failure = undefined;
  await opening;
  assert.is(loadRegions(engine).normal.length, 1);
});

test("a stop while PD is absent ends the start", async () => {
  const pd = new FakePd();
  pd.failure = { kind: "unavailable", message: "connection refused" };
  const abort = new AbortController();
  const opening = open(memory(), pd, {}, { signal: abort.signal });
  await within(1000, "an attempt", () => pd.calls.length > 0);
  abort.abort(new Stopped());
  const error = await opening.catch((thrown: unknown) => thrown);
  assert.instance(error, Stopped);
});

test.run();
