/** Heartbeats on injected timers: periods, changes, PD absent, PD's refusals. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { NULL_LOGGER, type TikvError } from "../../../src/base/index.js";
import { RaftstoreMetrics } from "../../../src/raftstore/metrics.js";
import type { RegionReport } from "../../../src/raftstore/pd_port.js";
import { Heartbeats } from "../../../src/raftstore/workers/heartbeats.js";
import { testRegion } from "../../support/apply_harness.js";
import { FakeClock } from "../../support/fake_clock.js";
import { FakePd } from "../../support/fake_pd.js";
import { FakeTimers } from "../../support/fake_timers.js";

const START = 1_700_000_000;

interface HeartbeatTest {
  readonly pd: FakePd;
  readonly led: number[];
  readonly refused: TikvError[];
  readonly lines: string[];
  readonly registrations: () => number;
  readonly heartbeats: Heartbeats;
  /** Lets `ms` pass, and whatever waits for promises go on. */
  readonly advance: (ms: number) => Promise<void>;
}

async function settle(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

function report(regionId: number, interval: RegionReport["interval"]): RegionReport {
  return {
    region: testRegion({ id: BigInt(regionId) }),
    leaderPeerId: 11n,
    term: 6n,
    bytesWritten: 0,
    keysWritten: 0,
    bytesRead: 0,
    keysRead: 0,
    approximateSize: 0,
    approximateKeys: 0,
    interval,
  };
}

function make(led: number[]): HeartbeatTest {
  const clock = new FakeClock();
  const timers = new FakeTimers(clock);
  const pd = new FakePd();
  const refused: TikvError[] = [];
  const lines: string[] = [];
  let registrations = 0;
  const options = {
    storeIntervalMs: 10_000,
    regionIntervalMs: 60_000,
    retryIntervalMs: 1000,
    logIntervalMs: 5000,
  };
  const heartbeats = new Heartbeats(options, {
    pd,
    clock,
    timers,
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
    ledRegions: () => led,
    regionReport: (id, interval) => (led.includes(id) ? report(id, interval) : undefined),
    register: async () => {
      registrations++;
    },
    onRefused: (error) => refused.push(error),
  });
  const advance = async (ms: number): Promise<void> => {
    timers.advance(ms);
    await settle();
  };
  return { pd, led, refused, lines, registrations: () => registrations, heartbeats, advance };
}

function reported(pd: FakePd): number[] {
  return pd.regionHeartbeats.map(({ region }) => Number(region.id));
}

test("the first at once, then each in its period; intervals join", async () => {
  const { pd, heartbeats, advance } = make([2, 3]);
  heartbeats.start();
  await settle();
  assert.is(pd.storeHeartbeats.length, 1);
  assert.equal(reported(pd), [2, 3]);
  for (let i = 0; i < 6; i++) await advance(10_000);
  assert.equal(
    pd.storeHeartbeats.map(({ interval }) => interval.end - START),
    [0, 10, 20, 30, 40, 50, 60],
  );
  assert.equal(reported(pd), [2, 3, 2, 3]);
  assert.equal(pd.regionHeartbeats[2]?.interval, { start: START, end: START + 60 });
  for (let i = 1; i < pd.storeHeartbeats.length; i++) {
    assert.is(pd.storeHeartbeats[i]?.interval.start, pd.storeHeartbeats[i - 1]?.interval.end);
  }
  await heartbeats.stop();
  await advance(120_000);
  assert.is(pd.storeHeartbeats.length, 7);
});

test("nothing is reported before the start, then each region once", async () => {
  const { pd, heartbeats } = make([2]);
  heartbeats.regionChanged(2);
  await settle();
  assert.equal(reported(pd), []);
  heartbeats.start();
  await settle();
  assert.equal(reported(pd), [2]);
  await heartbeats.stop();
});

test("a changed region is reported at once, and once for changes of one turn", async () => {
  const { pd, heartbeats, led } = make([2]);
  heartbeats.start();
  await settle();
  led.push(5);
  heartbeats.regionChanged(5);
  heartbeats.regionChanged(5);
  heartbeats.regionChanged(9);
  await settle();
  assert.equal(reported(pd), [2, 5], "9 is not led here");
  await heartbeats.stop();
});

test("many regions are reported in slices", async () => {
  const led = Array.from({ length: 200 }, (_, i) => i + 1);
  const { pd, heartbeats, advance } = make(led);
  heartbeats.start();
  await settle();
  assert.is(pd.regionHeartbeats.length, 64);
  await advance(0);
  await advance(0);
  await advance(0);
  assert.equal(reported(pd), led);
  await heartbeats.stop();
});

test("what PD missed is reported again soon; one log line; intervals cover the gap", async () => {
  const { pd, heartbeats, lines, advance } = make([2]);
  pd.failure = { kind: "unavailable", message: "no leader" };
  heartbeats.start();
  await settle();
  assert.is(lines.length, 1);
  await advance(1000);
  await advance(1000);
  assert.is(pd.calls.filter((call) => call === "regionHeartbeat").length, 3);
  pd.failure = undefined;
  await advance(1000);
  assert.equal(pd.regionHeartbeats[0]?.interval, { start: START, end: START + 3 });
  await advance(7000);
  assert.equal(pd.storeHeartbeats[0]?.interval, { start: START, end: START + 10 });
  assert.is(lines.length, 1);
  await heartbeats.stop();
});

test("a PD that lost its reports gets all of them again, once after a pause", async () => {
  const { pd, heartbeats, advance } = make([2, 3]);
  heartbeats.start();
  await settle();
  pd.loseReports();
  pd.loseReports();
  await settle();
  assert.equal(reported(pd), [2, 3]);
  await advance(999);
  assert.equal(reported(pd), [2, 3]);
  await advance(1);
  assert.equal(reported(pd), [2, 3, 2, 3]);
  await advance(5000);
  assert.equal(reported(pd), [2, 3, 2, 3]);
  pd.loseReports();
  await heartbeats.stop();
  await advance(5000);
  assert.equal(reported(pd), [2, 3, 2, 3]);
});

test("a store that PD forgot registers again; a tombstone ends the process", async () => {
  const { pd, heartbeats, refused, registrations, advance } = make([]);
  pd.failure = { kind: "refused", message: "invalid store ID 1, not found" };
  heartbeats.start();
  await settle();
  assert.is(registrations(), 1);
  assert.is(refused.length, 0);
  pd.failure = { kind: "storeTombstone", message: "store is tombstone" };
  await advance(10_000);
  assert.is(refused[0]?.code, "RUTILE:Store:Tombstone");
  assert.is(refused[0]?.message, "store is tombstone");
  await heartbeats.stop();
});

test("stop ends the pause before a repetition, and nothing follows", async () => {
  const { pd, heartbeats, advance } = make([2]);
  pd.failure = { kind: "unavailable", message: "no leader" };
  heartbeats.start();
  await settle();
  await heartbeats.stop();
  const calls = pd.calls.length;
  await advance(60_000);
  assert.is(pd.calls.length, calls);
});

test.run();
