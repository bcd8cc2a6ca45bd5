/** Steps against what a region shows: done, explained conf_ver, unsafe, order, time. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  type OpStep,
  stepConfVer,
  stepFinished,
  stepOrder,
  stepProblem,
  stepTimeoutMs,
} from "../../../src/pd/schedule/steps.js";
import { type RegionSpec, ScheduleFixture } from "../../support/pd_schedule.js";

const peer = (storeId: bigint) => ({ storeId, peerId: storeId * 10n });
const LEARNER: OpStep = { kind: "add_learner", ...peer(4n) };
const VOTER: OpStep = { kind: "add_peer", ...peer(4n) };
const PROMOTE: OpStep = { kind: "promote_learner", ...peer(4n) };
const DEMOTE: OpStep = { kind: "demote_voter", ...peer(3n) };
const REMOVE: OpStep = { kind: "remove_peer", ...peer(3n), isDownStore: false };
const TRANSFER: OpStep = { kind: "transfer_leader", from: 1n, to: 2n };
const JOINT = { promote: [peer(4n)], demote: [peer(3n)] };
const ENTER: OpStep = { kind: "change_peer_v2_enter", ...JOINT };
const LEAVE: OpStep = { kind: "change_peer_v2_leave", ...JOINT };

type Row = readonly [OpStep, RegionSpec, boolean, number, RegExp | undefined];

const NONE = undefined;
/** Step, region, done?, explained conf_ver, problem. */
const ROWS: readonly Row[] = [
  [LEARNER, { peers: "1 2 3" }, false, 0, NONE],
  [LEARNER, { peers: "1 2 3 4l", pending: [4] }, false, 1, NONE],
  [LEARNER, { peers: "1 2 3 4l", down: [4] }, false, 1, NONE],
  [LEARNER, { peers: "1 2 3 4l" }, true, 1, NONE],
  [LEARNER, { peers: "1 2 3 4" }, false, 1, /a voter already/],
  [VOTER, { peers: "1 2 3" }, false, 0, NONE],
  [VOTER, { peers: "1 2 3 4", pending: [4] }, false, 1, NONE],
  [VOTER, { peers: "1 2 3 4" }, true, 1, NONE],
  [PROMOTE, { peers: "1 2 3" }, false, 0, /peer 40 does not exist/],
  [PROMOTE, { peers: "1 2 3 4l" }, false, 0, NONE],
  [PROMOTE, { peers: "1 2 3 4" }, true, 1, NONE],
  [DEMOTE, { peers: "1 2 3" }, false, 0, NONE],
  [DEMOTE, { peers: "1 2 3l" }, true, 1, NONE],
  [DEMOTE, { peers: "1 2 3", leader: 3 }, false, 0, /cannot demote the leader/],
  [REMOVE, { peers: "1 2 3" }, false, 0, NONE],
  [REMOVE, { peers: "1 2" }, true, 1, NONE],
  [REMOVE, { peers: "1 2 3", leader: 3 }, false, 0, /cannot remove the leader/],
  [TRANSFER, { peers: "1 2 3" }, false, 0, NONE],
  [TRANSFER, { peers: "1 2 3", leader: 2 }, true, 0, NONE],
  [TRANSFER, { peers: "1 3" }, false, 0, /store 2 has no peer/],
  [TRANSFER, { peers: "1 2l 3" }, false, 0, /a learner cannot lead/],
  [ENTER, { peers: "1 2 3 4l" }, false, 0, NONE],
  [ENTER, { peers: "1 2 3d 4i" }, true, 2, NONE],
  [ENTER, { peers: "1 2 3d 4l" }, false, 0, /different stages/],
  [ENTER, { peers: "1 2d 3 4l" }, false, 0, /other peers are in a joint state/],
  [ENTER, { peers: "1 2 3l 4" }, true, 2, NONE],
  [LEAVE, { peers: "1 2 3d 4i" }, false, 0, NONE],
  [LEAVE, { peers: "1 2 3l 4" }, true, 2, NONE],
  [LEAVE, { peers: "1 2 3d 4i", leader: 3 }, false, 0, /cannot demote the leader/],
  [LEAVE, { peers: "1 2 3 4l" }, false, 0, /not in the joint state/],
];

for (const [step, spec, done, confVer, problem] of ROWS) {
  test(`${step.kind} with ${JSON.stringify(spec)}`, () => {
    const fixture = new ScheduleFixture().stores(4);
    const region = fixture.region(1, spec);
    assert.is(stepFinished(step, region), done, "done");
    assert.is(stepConfVer(step, region), confVer, "explained");
    const found = stepProblem(step, fixture, region);
    if (problem === undefined) assert.is(found, undefined);
    else assert.match(found ?? "", problem);
  });
}

test("a target store that is gone, dead or leaves ends the step", () => {
  const fixture = new ScheduleFixture().stores(3);
  const region = fixture.region(1, { peers: "1 2 3" });
  assert.match(stepProblem(LEARNER, fixture, region) ?? "", /store 4 does not exist/);
  fixture.stores(4);
  assert.is(stepProblem(LEARNER, fixture, region), undefined);
  fixture.now = fixture.config.maxStoreDownTimeMs + 1;
  assert.match(stepProblem(LEARNER, fixture, region) ?? "", /store 4 is down/);
  fixture.stores(4);
  fixture.changeStore(4, (store) => ({
    ...store,
    meta: { ...store.meta, state: 1, nodeState: 2 },
  }));
  assert.match(stepProblem(LEARNER, fixture, region) ?? "", /being removed/);
});

test("orders: one change, several, none to leave; nothing while a new peer catches up", () => {
  const fixture = new ScheduleFixture().stores(4);
  const before = fixture.region(1, { peers: "1 2 3" });
  const types = (step: OpStep, region = before): unknown =>
    stepOrder(step, region)?.changePeers?.map(({ type, peer: { role, storeId } }) => [
      type,
      storeId,
      role,
    ]);
  assert.equal(types(LEARNER), [[2, 4n, 1]]);
  assert.equal(types(VOTER), [[0, 4n, 0]]);
  assert.equal(types(PROMOTE), [[0, 4n, 0]]);
  assert.equal(types(REMOVE), [[1, 3n, 0]]);
  assert.equal(types(ENTER), [
    [0, 4n, 0],
    [2, 3n, 1],
  ]);
  assert.equal(types(LEAVE), []);
  assert.equal(
    stepOrder(TRANSFER, before)?.transferLeader?.map(({ id }) => id),
    [20n],
  );
  const waiting = fixture.region(1, { peers: "1 2 3 4l", pending: [4], confVer: 2 });
  assert.is(stepOrder(LEARNER, waiting), undefined);
});

test("time: 60 s for fast steps, 10 minutes and more by size for new peers", () => {
  assert.is(stepTimeoutMs(TRANSFER, 96), 60_000);
  assert.is(stepTimeoutMs(LEARNER, 96), 600_000);
  assert.is(stepTimeoutMs(LEARNER, 1000), 6_000_000);
  assert.is(stepTimeoutMs(ENTER, 96), 180_000);
});

test("a split is done once the range has changed", () => {
  const fixture = new ScheduleFixture().stores(3);
  const region = fixture.region(1, { peers: "1 2 3" });
  const { endKey, startKey } = region.meta;
  const step: OpStep = { kind: "split_region", startKey, endKey, keys: [] };
  assert.not.ok(stepFinished(step, region));
  const meta = { ...region.meta, endKey: Uint8Array.of(0, 1, 5) };
  assert.ok(stepFinished(step, { ...region, meta }));
  assert.equal(stepOrder(step, region), { splitRegion: { keys: [] } });
});

test.run();
