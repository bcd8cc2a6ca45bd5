/** Schedulers on clusters set by hand: what is moved, and what is left. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { StoreInfo } from "../../../src/pd/core/index.js";
import {
  BALANCE_LEADER,
  leaderTolerance,
} from "../../../src/pd/schedule/schedulers/balance_leader.js";
import { BALANCE_REGION } from "../../../src/pd/schedule/schedulers/balance_region.js";
import type { Scheduler } from "../../../src/pd/schedule/schedulers/scheduler.js";
import { ScheduleFixture } from "../../support/pd_schedule.js";
import { scheduleStats } from "../../support/pd_stores.js";

function schedule(fixture: ScheduleFixture, scheduler: Scheduler): string[] {
  const { context, coordinator, operators } = fixture;
  const whole = { ...context, operators, metrics: coordinator.metrics };
  return scheduler.schedule(whole, operators.influence()).map(({ brief }) => brief);
}

/** Puts regions led by each store as often as `leaders` says; all on stores 1 to 3. */
function led(leaders: readonly number[]): ScheduleFixture {
  const fixture = new ScheduleFixture().stores(leaders.length);
  let id = 1;
  for (const [at, count] of leaders.entries()) {
    const peers = leaders.map((_, i) => i + 1).join(" ");
    for (let i = 0; i < count; i++) fixture.region(id++, { peers, leader: at + 1 });
  }
  return fixture;
}

const LEADERS: readonly [readonly number[], number][] = [
  [[1, 1, 1], 0],
  [[2, 1, 0], 1],
  [[2, 2, 0], 1],
  [[1, 0, 0], 0],
  [[3, 0, 0], 2],
  [[2, 1, 1], 0],
  [[10, 0, 0], 4],
  [[20, 20, 20], 0],
  [[25, 20, 15], 0],
  [[31, 20, 9], 4],
];

for (const [leaders, moves] of LEADERS) {
  test(`leaders ${leaders}: ${moves} transfers in a round`, () => {
    const fixture = led(leaders);
    const briefs = schedule(fixture, BALANCE_LEADER);
    assert.is(briefs.length, moves, briefs.join("; "));
    const counts = [...leaders];
    for (const brief of briefs) {
      const [from, to] = (brief.match(/\d+/g) ?? []).map(Number) as [number, number];
      counts[from - 1] = (counts[from - 1] as number) - 1;
      counts[to - 1] = (counts[to - 1] as number) + 1;
    }
    assert.ok(Math.max(...counts) <= Math.max(...leaders), "no store gains the most");
  });
}

test("the tolerance is a quarter of the mean, from a half to five, unless it is set", () => {
  assert.is(leaderTolerance(0.5, 0), 0.5);
  assert.is(leaderTolerance(8, 0), 2);
  assert.is(leaderTolerance(1000, 0), 5);
  assert.is(leaderTolerance(8, 10), 10);
});

test("a store at 0 leaders that shares no region with the rich one gets one by a chain", () => {
  const fixture = new ScheduleFixture().stores(3);
  fixture.region(1, { peers: "1 2" });
  fixture.region(2, { peers: "1 2" });
  fixture.region(3, { peers: "2 3" });
  assert.equal(schedule(fixture, BALANCE_LEADER), [
    "transfer leader: store 1 to 2",
    "transfer leader: store 2 to 3",
  ]);
  fixture.region(1, { peers: "1 2", leader: 2 });
  fixture.region(3, { peers: "2 3", leader: 3 });
  assert.equal(schedule(fixture, BALANCE_LEADER), []);
});

test("no leader goes to a store that cannot take one, none is moved in an unhealthy region", () => {
  const stops: readonly ((fixture: ScheduleFixture) => void)[] = [
    (fixture) => fixture.changeStore(3, (store) => ({ ...store, seenMs: -30_000 })),
    (fixture) =>
      fixture.changeStore(3, (store) => ({
        ...store,
        meta: { ...store.meta, state: 1, nodeState: 2 },
      })),
    (fixture) =>
      fixture.changeStore(3, (store) => ({
        ...store,
        stats: { ...scheduleStats(100, 50), isBusy: true },
      })),
  ];
  for (const stop of stops) {
    const fixture = led([2, 2, 0]);
    stop(fixture);
    assert.equal(schedule(fixture, BALANCE_LEADER), []);
  }
  const sick = new ScheduleFixture().stores(3);
  for (let id = 1; id <= 4; id++) sick.region(id, { peers: "1 2 3", pending: [3] });
  assert.equal(schedule(sick, BALANCE_LEADER), []);
});

/** Regions of 10 MiB, store 4 empty. */
function filled(regions: number, config = {}): ScheduleFixture {
  const fixture = new ScheduleFixture(config).stores(4);
  for (let id = 1; id <= regions; id++)
    fixture.region(id, { peers: "1 2 3", leader: (id % 3) + 1 });
  return fixture;
}

test("a replica moves to the empty store; not while the stores are even or the limit is reached", () => {
  assert.match(schedule(filled(6), BALANCE_REGION)[0] ?? "", /^mv peer: store \[[123]\] to \[4\]$/);
  assert.equal(schedule(filled(2), BALANCE_REGION), []);
  const limited = filled(6);
  limited.operators.limits.setRate(4n, "add-peer", 0.001);
  assert.equal(schedule(limited, BALANCE_REGION).length, 1, "a rested store takes one");
});

test("what is under way counts, so that not everything goes to the emptiest store", () => {
  const fixture = filled(12);
  let moved = 0;
  for (let round = 0; round < 30; round++) {
    fixture.now += 60_000;
    fixture.stores(4);
    const { context, coordinator, operators } = fixture;
    const whole = { ...context, operators, metrics: coordinator.metrics };
    const [operator] = BALANCE_REGION.schedule(whole, operators.influence());
    if (operator === undefined) break;
    assert.is(operators.add(operator), undefined);
    moved++;
  }
  assert.ok(moved >= 1 && moved <= 4, `${moved} moves to store 4, which should get 9 in the end`);
});

test("a move keeps zones apart", () => {
  const fixture = new ScheduleFixture({ locationLabels: ["zone"] });
  fixture.stores(4, (id) => ({ zone: ["a", "b", "c", "c"][id - 1] as string }));
  for (let id = 1; id <= 9; id++) fixture.region(id, { peers: "1 2 3" });
  assert.equal(schedule(fixture, BALANCE_REGION), ["mv peer: store [3] to [4]"]);
});

test("disks that differ by the noise of measuring do not move regions, real lack of space does", () => {
  const disks = (availableGiB: readonly number[]): ScheduleFixture => {
    const fixture = filled(0);
    for (let id = 1; id <= 8; id++) {
      const peers = ["1 2 3", "2 3 4", "3 4 1", "4 1 2"][id % 4] as string;
      fixture.region(id, { peers });
    }
    for (const [at, available] of availableGiB.entries()) {
      const change = (store: StoreInfo): StoreInfo => ({
        ...store,
        stats: scheduleStats(100, available),
      });
      fixture.changeStore(at + 1, change);
    }
    return fixture;
  };
  assert.equal(schedule(disks([40, 39, 41, 40]), BALANCE_REGION), []);
  assert.match(schedule(disks([25, 45, 45, 45]), BALANCE_REGION)[0] ?? "", /store \[1\] to/);
});

test("empty regions stay where they are in a large cluster", () => {
  const fixture = new ScheduleFixture().stores(4);
  for (let id = 1; id <= 120; id++) fixture.region(id, { peers: "1 2 3", sizeMiB: 1 });
  assert.equal(schedule(fixture, BALANCE_REGION), []);
});

test("scatter: the regions of a group spread over all stores, leaders too", () => {
  const fixture = new ScheduleFixture().stores(6);
  for (let id = 1; id <= 12; id++) fixture.region(id, { peers: "1 2 3" });
  const peers = new Map<number, number>();
  const leaders = new Map<number, number>();
  for (let id = 1; id <= 12; id++) {
    const region = fixture.basic.getRegion(BigInt(id)) as never;
    assert.ok(fixture.coordinator.scatterer.scatter(region, "g").ok);
    const operator = fixture.operators.get(BigInt(id));
    const after = new Set([1, 2, 3]);
    let leader = 1;
    for (const step of operator?.steps ?? []) {
      if (step.kind === "add_learner") after.add(Number(step.storeId));
      if (step.kind === "remove_peer") after.delete(Number(step.storeId));
      if (step.kind === "transfer_leader") leader = Number(step.to);
    }
    assert.is(after.size, 3);
    assert.ok(after.has(leader), "a leader among the peers");
    for (const store of after) peers.set(store, (peers.get(store) ?? 0) + 1);
    leaders.set(leader, (leaders.get(leader) ?? 0) + 1);
  }
  assert.equal([...peers.values()].sort(), [6, 6, 6, 6, 6, 6]);
  assert.ok(Math.max(...leaders.values()) <= 3, `${[...leaders.values()]}`);
});

test("scatter refuses what is not whole", () => {
  const fixture = new ScheduleFixture().stores(6);
  const { scatterer } = fixture.coordinator;
  const why = (spec: Parameters<ScheduleFixture["region"]>[1]): string => {
    const outcome = scatterer.scatter(fixture.region(1, spec), "");
    return outcome.ok ? "ok" : outcome.reason;
  };
  assert.match(why({ peers: "1 2" }), /not fully replicated/);
  assert.match(why({ peers: "1 2 3l" }), /not fully replicated/);
  assert.match(why({ peers: "1 2 3", down: [3] }), /not healthy/);
  assert.match(why({ peers: "1 2 3", leader: 9 }), /no leader/);
});

test("splits on request: one operator a region, keys that are boundaries already are done", () => {
  const fixture = new ScheduleFixture().stores(3);
  fixture.region(1, { peers: "1 2 3" });
  fixture.region(2, { peers: "1 2 3" });
  const keys = [
    [0, 1],
    [0, 1, 5],
    [0, 1, 7],
    [0, 2, 5],
  ].map((key) => Uint8Array.from(key));
  const { splitter } = fixture.coordinator;
  assert.equal(splitter.split(keys), []);
  assert.equal(splitter.split(keys), [], "under way already");
  assert.equal(
    fixture.orders.map(({ splitRegion }) => splitRegion?.keys.map((key) => [...key])),
    [
      [
        [0, 1, 5],
        [0, 1, 7],
      ],
      [[0, 2, 5]],
    ],
  );
  assert.equal(splitter.found(keys), [1n]);
});

test.run();
