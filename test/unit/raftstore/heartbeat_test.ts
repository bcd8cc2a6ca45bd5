/** Heartbeats: numbers, periods, and what PD's refusals lead to. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { NULL_LOGGER, type TikvError, utf8 } from "../../../src/base/index.js";
import { RaftstoreMetrics } from "../../../src/raftstore/metrics.js";
import { PdWorker } from "../../../src/raftstore/workers/pd.js";
import { FakeClock } from "../../support/fake_clock.js";
import { FakePd } from "../../support/fake_pd.js";
import { startFixture } from "../../support/store_fixture.js";
import { within } from "../../support/within.js";

test("the first heartbeats carry size, flow, interval and start time", async () => {
  const clock = new FakeClock();
  const pd = new FakePd();
  const deps = { statFs: () => ({ capacity: 1000, available: 700 }) };
  const { store, ctx, engine } = await startFixture({ clock, pd, deps, dataDir: "/data" });
  await within(1000, "the region heartbeat", () => pd.regionHeartbeats.length === 1);
  const [region] = pd.regionHeartbeats;
  assert.is(region?.leaderPeerId, 3n);
  assert.is(region?.term, 5n);
  assert.equal(region?.region, store.regions()[0]);
  const [stats] = pd.storeHeartbeats;
  assert.is(stats?.storeId, 1n);
  assert.is(stats?.capacity, 1000);
  assert.is(stats?.available, 700);
  assert.is(stats?.startTime, 1_700_000_000);
  assert.equal(stats?.interval, { start: 1_700_000_000, end: 1_700_000_000 });
  await store.storage.raw.put(ctx, "", { key: utf8("a"), value: utf8("1"), ttl: 0n }, false);
  await store.stop();
  await engine.close();
});

test("a store whose heartbeat and registration are refused ends with PD's words", async () => {
  const pd = new FakePd();
  const fatal: TikvError[] = [];
  const failure = { kind: "refused", message: "duplicated store id: store 1 is alive" } as const;
  pd.answers.set("storeHeartbeat", failure);
  const { store, engine } = await startFixture({
    pd,
    deps: {
      onFatal: (error) => fatal.push(error),
      // The first registration passes; the one after the refused heartbeat does not.
      onStep: (step) => {
        if (step === "store registered") pd.answers.set("putStore", failure);
      },
    },
  });
  await within(1000, "the refusal", () => fatal.length === 1);
  assert.is(fatal[0]?.code, "RUTILE:Store:Refused");
  assert.is(fatal[0]?.message, failure.message);
  await store.stop();
  await engine.close();
});

interface WorkerTest {
  readonly pd: FakePd;
  readonly refused: TikvError[];
  readonly lines: string[];
  readonly registered: () => number;
  readonly worker: PdWorker;
}

function worker(clock: FakeClock): WorkerTest {
  const pd = new FakePd();
  const refused: TikvError[] = [];
  const lines: string[] = [];
  let registered = 0;
  const made = new PdWorker(
    { storeIntervalMs: 2, regionIntervalMs: 2, logIntervalMs: 5000 },
    {
      pd,
      clock,
      logger: { ...NULL_LOGGER, warn: (message) => lines.push(message) },
      metrics: new RaftstoreMetrics(),
      storeStats: (interval) => ({
        storeId: 1n,
        capacity: 0,
        available: 0,
        usedSize: 0,
        regionCount: 0,
        startTime: 0,
        isBusy: false,
        bytesWritten: 0,
        keysWritten: 0,
        bytesRead: 0,
        keysRead: 0,
        interval,
      }),
      regionReports: () => [],
      register: async () => {
        registered++;
      },
      onRefused: (error) => refused.push(error),
    },
  );
  return { pd, refused, lines, registered: () => registered, worker: made };
}

test("heartbeats repeat, and intervals join", async () => {
  const clock = new FakeClock();
  const { pd, worker: made } = worker(clock);
  made.start();
  await within(1000, "a heartbeat", () => pd.storeHeartbeats.length >= 1);
  clock.advance(10_000);
  await within(1000, "one after the clock moved", () =>
    pd.storeHeartbeats.some(({ interval }) => interval.end === 1_700_000_010),
  );
  await made.stop();
  const ends = pd.storeHeartbeats.map(({ interval }) => interval);
  for (let i = 1; i < ends.length; i++) assert.is(ends[i]?.start, ends[i - 1]?.end);
  const count = pd.storeHeartbeats.length;
  await new Promise((resolve) => setImmediate(resolve));
  assert.is(pd.storeHeartbeats.length, count);
});

test("an absent PD costs one log line, and the interval of the next heartbeat covers the gap", async () => {
  const clock = new FakeClock();
  const { pd, lines, worker: made } = worker(clock);
  pd.failure = { kind: "unavailable", message: "no leader" };
  made.start();
  await within(1000, "several attempts", () => pd.calls.length >= 4);
  assert.is(lines.length, 1);
  clock.advance(30_000);
  pd.failure = undefined;
  await within(1000, "a heartbeat", () => pd.storeHeartbeats.length >= 1);
  assert.equal(pd.storeHeartbeats[0]?.interval, { start: 1_700_000_000, end: 1_700_000_030 });
  await made.stop();
});

test("a store that PD forgot registers again; a tombstone ends the process", async () => {
  const { pd, refused, registered, worker: made } = worker(new FakeClock());
  pd.failure = { kind: "refused", message: "invalid store ID 1, not found" };
  made.start();
  await within(1000, "a registration", () => registered() >= 1);
  assert.is(refused.length, 0);
  pd.failure = { kind: "storeTombstone", message: "store is tombstone" };
  await within(1000, "the refusal", () => refused.length >= 1);
  assert.is(refused[0]?.code, "RUTILE:Store:Tombstone");
  assert.is(refused[0]?.message, "store is tombstone");
  await made.stop();
});

test.run();
