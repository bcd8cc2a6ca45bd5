/** Checkers: what is done for which region, and why nothing is. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { NODE_STATE, type StoreInfo } from "../../../src/pd/core/index.js";
import type { ScheduleConfig } from "../../../src/pd/schedule/index.js";
import { type RegionSpec, ScheduleFixture, stepsOf } from "../../support/pd_schedule.js";
import { scheduleStats } from "../../support/pd_stores.js";

const HOUR_MS = 3_600_000;

const dead = (store: StoreInfo): StoreInfo => ({ ...store, seenMs: -HOUR_MS });
const silent = (store: StoreInfo): StoreInfo => ({ ...store, seenMs: -30_000 });
const full = (store: StoreInfo): StoreInfo => ({ ...store, stats: scheduleStats(1000, 0.5 + 0.5) });
const leaving = (store: StoreInfo): StoreInfo => ({
  ...store,
  meta: { ...store.meta, state: 1, nodeState: NODE_STATE.removing },
});
const labelled =
  (zone: string) =>
  (store: StoreInfo): StoreInfo => ({
    ...store,
    meta: { ...store.meta, labels: [{ key: "zone", value: zone }] },
  });

interface Case {
  readonly name: string;
  readonly region: RegionSpec;
  /** Stores 1 to 5; what differs by id. */
  readonly stores?: Readonly<Record<number, (store: StoreInfo) => StoreInfo>>;
  readonly count?: number;
  readonly config?: Partial<ScheduleConfig>;
  /** Description of the operator, or undefined. */
  readonly desc: string | undefined;
  readonly firstStep?: RegExp;
  readonly reason?: RegExp;
}

const ZONES = { locationLabels: ["zone"] };
const inZones = (zones: string) =>
  Object.fromEntries(zones.split(" ").map((zone, at) => [at + 1, labelled(zone)]));

const CASES: readonly Case[] = [
  { name: "a complete region", region: { peers: "1 2 3" }, desc: undefined },
  { name: "a region without leader", region: { peers: "1 2", leader: 9 }, desc: undefined },
  {
    name: "one peer too few",
    region: { peers: "1 2" },
    desc: "make-up-replica",
    firstStep: /on store [345]$/,
  },
  {
    name: "too few, and no store: why",
    region: { peers: "1 2" },
    count: 2,
    desc: undefined,
    reason: /^make-up: no other store$/,
  },
  {
    name: "too few, the others dead, full, leaving or silent",
    region: { peers: "1" },
    stores: { 2: dead, 3: full, 4: leaving, 5: silent },
    desc: undefined,
    reason: /down \(1\), low-space \(1\), offline \(1\), disconnected \(1\)/,
  },
  {
    name: "one voter too many: the fullest store loses it",
    region: { peers: "1 2 3 4" },
    desc: "remove-extra-replica",
  },
  {
    name: "a peer on a dead store",
    region: { peers: "1 2 3", down: [3] },
    stores: { 3: dead },
    desc: "replace-down-replica",
    firstStep: /add learner .* on store [45]$/,
  },
  {
    name: "a peer down on a store that lives",
    region: { peers: "1 2 3", down: [3] },
    desc: undefined,
  },
  {
    name: "a dead store whose leader does not miss the peer yet",
    region: { peers: "1 2 3" },
    stores: { 3: dead },
    desc: undefined,
  },
  {
    name: "down and one too many: only removed",
    region: { peers: "1 2 3 4", down: [3] },
    stores: { 3: dead },
    desc: "remove-extra-down-replica",
    firstStep: /remove peer on store 3/,
  },
  {
    name: "down and nowhere to go: why",
    region: { peers: "1 2 3", down: [3] },
    count: 3,
    stores: { 3: dead },
    desc: undefined,
    reason: /^replace-down: no other store/,
  },
  {
    name: "a peer on a store that leaves",
    region: { peers: "1 2 3" },
    stores: { 2: leaving },
    desc: "replace-offline-replica",
    firstStep: /add learner .* on store [345]$/,
  },
  {
    name: "dead comes before leaving",
    region: { peers: "1 2 3", down: [3] },
    stores: { 2: leaving, 3: dead },
    desc: "replace-down-replica",
  },
  {
    name: "a learner while a voter is missing",
    region: { peers: "1 2 3l" },
    desc: "promote-learner",
  },
  {
    name: "a learner that lags is waited for",
    region: { peers: "1 2 3l", pending: [3] },
    desc: undefined,
  },
  {
    name: "a learner too many",
    region: { peers: "1 2 3 4l" },
    desc: "remove-orphan-learner",
    firstStep: /remove peer on store 4/,
  },
  {
    name: "a joint state that nobody works on, before everything else",
    region: { peers: "1 2d 3 4i", down: [3] },
    stores: { 3: dead },
    desc: "leave-joint-state",
  },
  {
    name: "two replicas in one zone",
    region: { peers: "1 2 3" },
    stores: inZones("a a b c c"),
    config: ZONES,
    desc: "move-to-better-location",
    firstStep: /on store [45]$/,
  },
  {
    name: "one replica a zone",
    region: { peers: "1 3 4" },
    stores: inZones("a a b c c"),
    config: ZONES,
    desc: undefined,
  },
  {
    name: "a new replica goes to the zone without one",
    region: { peers: "1 3" },
    stores: inZones("a a b b c"),
    config: ZONES,
    desc: "make-up-replica",
    firstStep: /on store 5$/,
  },
  {
    name: "the best zone is silent for a moment: waited for",
    region: { peers: "1 3" },
    stores: { ...inZones("a a b b c"), 5: (store) => silent(labelled("c")(store)) },
    config: ZONES,
    desc: undefined,
    reason: /disconnected \(1\)/,
  },
  {
    name: "without isolation level a shared zone is better than none",
    region: { peers: "1 3" },
    stores: inZones("a a b b b"),
    config: ZONES,
    desc: "make-up-replica",
  },
  {
    name: "with it, it is not",
    region: { peers: "1 3" },
    stores: inZones("a a b b b"),
    config: { ...ZONES, isolationLevel: "zone" },
    desc: undefined,
    reason: /isolation \(3\)/,
  },
  {
    name: "switched off: make-up",
    region: { peers: "1 2" },
    config: { enableMakeUpReplica: false },
    desc: undefined,
  },
  {
    name: "switched off: remove-extra",
    region: { peers: "1 2 3 4" },
    config: { enableRemoveExtraReplica: false },
    desc: undefined,
  },
  {
    name: "switched off: down",
    region: { peers: "1 2 3", down: [3] },
    stores: { 3: dead },
    config: { enableRemoveDownReplica: false },
    desc: undefined,
  },
  {
    name: "limit reached: why",
    region: { peers: "1 2" },
    config: { replicaScheduleLimit: 0 },
    desc: undefined,
    reason: /replica-schedule-limit/,
  },
];

for (const { config = {}, count = 5, desc, firstStep, name, reason, region, stores } of CASES) {
  test(name, () => {
    const fixture = new ScheduleFixture(config).stores(count);
    for (const [id, change] of Object.entries(stores ?? {}))
      fixture.changeStore(Number(id), change);
    const info = fixture.region(1, region);
    fixture.coordinator.checkers.check(info);
    const operator = fixture.operators.get(1n);
    const why = fixture.coordinator.checkers.reasonFor(1n)?.reason;
    assert.is(operator?.desc, desc, why);
    if (firstStep !== undefined) assert.match(stepsOf(operator)[0] ?? "", firstStep);
    if (reason === undefined) assert.is(why, undefined);
    else assert.match(why ?? "", reason);
  });
}

test("a region with an operator is left alone", () => {
  const fixture = new ScheduleFixture().stores(5);
  const region = fixture.region(1, { peers: "1 2" });
  fixture.coordinator.checkers.check(region);
  const first = fixture.operators.get(1n);
  fixture.coordinator.checkers.check(region);
  assert.is(fixture.operators.get(1n), first);
});

test("the patrol finds every region within a second and a bit, changed ones at once", () => {
  const fixture = new ScheduleFixture({ replicaScheduleLimit: 1000 }).stores(5);
  for (let id = 1; id <= 500; id++) fixture.region(id, { peers: "1 2 3", sizeMiB: 1 });
  fixture.coordinator.pauseScheduler("all", 1e9);
  fixture.coordinator.tick();
  for (let id = 1; id <= 500; id++) fixture.region(id, { peers: "1 2", confVer: 2, sizeMiB: 1 });
  for (; fixture.now < 1200; fixture.now += 50) fixture.coordinator.tick();
  assert.is(fixture.operators.count("replica"), 500);
  fixture.report(501, { peers: "1 2", sizeMiB: 1 });
  fixture.coordinator.tick();
  assert.is(fixture.operators.count("replica"), 501);
});

test("after a start nothing is judged before most regions have reported, or 5 minutes", () => {
  const fixture = new ScheduleFixture().stores(5);
  for (let id = 1; id <= 10; id++) fixture.region(id, { peers: "1 2", leader: 9 });
  fixture.report(1, { peers: "1 2" });
  for (; fixture.now < 2000; fixture.now += 50) fixture.coordinator.tick();
  assert.is(fixture.operators.all().length, 0);
  for (let id = 2; id <= 8; id++) fixture.report(id, { peers: "1 2" });
  for (; fixture.now < 4000; fixture.now += 50) fixture.coordinator.tick();
  assert.ok(fixture.operators.all().length > 0);
});

test.run();
