/** From peers to peers: which steps, in which order. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  addPeerOperator,
  type Built,
  leaveJointOperator,
  movePeerOperator,
  moveRegionOperator,
  promoteLearnerOperator,
  removePeerOperator,
  splitRegionOperator,
  transferLeaderOperator,
} from "../../../src/pd/schedule/index.js";
import { type RegionSpec, ScheduleFixture, stepsOf } from "../../support/pd_schedule.js";

const MAKING = { desc: "test", kind: "admin" } as const;

type Make = (fixture: ScheduleFixture, region: ReturnType<ScheduleFixture["region"]>) => Built;

interface Case {
  readonly name: string;
  readonly region: RegionSpec;
  readonly make: Make;
  readonly steps: readonly string[];
  readonly joint?: boolean;
}

const move =
  (from: bigint, to: bigint): Make =>
  ({ context }, region) =>
    movePeerOperator(context, region, from, to, MAKING);
const remove =
  (storeId: bigint): Make =>
  ({ context }, region) =>
    removePeerOperator(context, region, storeId, MAKING);
const onto =
  (stores: readonly bigint[], leader?: bigint): Make =>
  ({ context }, region) =>
    moveRegionOperator(context, region, stores, leader, MAKING);

const TWO_AND_TWO =
  "promote peer 1001 on store 4, peer 1002 on store 5; " +
  "demote peer 10 on store 1, peer 20 on store 2";

const CASES: readonly Case[] = [
  {
    name: "one more voter: learner first, no joint state",
    region: { peers: "1 2" },
    make: ({ context }, region) =>
      addPeerOperator(context, region, { storeId: 3n, role: "voter" }, MAKING),
    steps: ["add learner peer 1001 on store 3", "promote learner peer 1001 on store 3 to voter"],
  },
  {
    name: "a follower moves: learner, joint, removed",
    region: { peers: "1 2 3" },
    make: move(3n, 4n),
    steps: [
      "add learner peer 1001 on store 4",
      "enter joint state: promote peer 1001 on store 4; demote peer 30 on store 3",
      "leave joint state: promote peer 1001 on store 4; demote peer 30 on store 3",
      "remove peer on store 3",
    ],
  },
  {
    name: "the leader moves: the lead goes to a voter that stays, before the joint state",
    region: { peers: "1 2 3" },
    make: move(1n, 4n),
    steps: [
      "add learner peer 1001 on store 4",
      "transfer leader from store 1 to store 2",
      "enter joint state: promote peer 1001 on store 4; demote peer 10 on store 1",
      "leave joint state: promote peer 1001 on store 4; demote peer 10 on store 1",
      "remove peer on store 1",
    ],
  },
  {
    name: "the only voter moves: the lead goes over inside the joint state",
    region: { peers: "1" },
    make: move(1n, 2n),
    steps: [
      "add learner peer 1001 on store 2",
      "enter joint state: promote peer 1001 on store 2; demote peer 10 on store 1",
      "transfer leader from store 1 to store 2",
      "leave joint state: promote peer 1001 on store 2; demote peer 10 on store 1",
      "remove peer on store 1",
    ],
  },
  {
    name: "one voter less",
    region: { peers: "1 2 3 4" },
    make: remove(4n),
    steps: ["remove peer on store 4"],
  },
  {
    name: "the leader is removed",
    region: { peers: "1 2 3 4" },
    make: remove(1n),
    steps: ["transfer leader from store 1 to store 2", "remove peer on store 1"],
  },
  {
    name: "from two voters to one: demoted first, both need not vote",
    region: { peers: "1 2" },
    make: remove(2n),
    steps: ["enter joint state: demote peer 20 on store 2", "remove peer on store 2"],
  },
  {
    name: "a learner is removed or promoted",
    region: { peers: "1 2 3l" },
    make: remove(3n),
    steps: ["remove peer on store 3"],
  },
  {
    name: "a learner is promoted",
    region: { peers: "1 2 3l" },
    make: ({ context }, region) => promoteLearnerOperator(context, region, 3n, MAKING),
    steps: ["promote learner peer 30 on store 3 to voter"],
  },
  {
    name: "several at once, with a leader that is new",
    region: { peers: "1 2 3" },
    make: onto([3n, 4n, 5n], 5n),
    steps: [
      "add learner peer 1001 on store 4",
      "add learner peer 1002 on store 5",
      `enter joint state: ${TWO_AND_TWO}`,
      "transfer leader from store 1 to store 5",
      `leave joint state: ${TWO_AND_TWO}`,
      "remove peer on store 1",
      "remove peer on store 2",
    ],
  },
  {
    name: "without joint states: a voter comes before one goes",
    joint: false,
    region: { peers: "1 2 3" },
    make: onto([3n, 4n, 5n]),
    steps: [
      "add learner peer 1001 on store 4",
      "promote learner peer 1001 on store 4 to voter",
      "transfer leader from store 1 to store 3",
      "remove peer on store 1",
      "add learner peer 1002 on store 5",
      "promote learner peer 1002 on store 5 to voter",
      "remove peer on store 2",
    ],
  },
  {
    name: "a transfer",
    region: { peers: "1 2 3" },
    make: ({ context }, region) => transferLeaderOperator(context, region, 2n, MAKING),
    steps: ["transfer leader from store 1 to store 2"],
  },
  {
    name: "out of a joint state, the leader stays",
    region: { peers: "1 2d 3 4i" },
    make: ({ context }, region) => leaveJointOperator(context, region),
    steps: ["leave joint state: promote peer 40 on store 4; demote peer 20 on store 2"],
  },
  {
    name: "out of a joint state that demotes the leader",
    region: { peers: "1d 2 3 4i" },
    make: ({ context }, region) => leaveJointOperator(context, region),
    steps: [
      "transfer leader from store 1 to store 2",
      "leave joint state: promote peer 40 on store 4; demote peer 10 on store 1",
    ],
  },
  {
    name: "in a joint state nothing else starts",
    region: { peers: "1 2d 3 4i" },
    make: move(3n, 5n),
    steps: ["the region is in a joint state"],
  },
  {
    name: "to a store that has a peer",
    region: { peers: "1 2 3" },
    make: move(3n, 2n),
    steps: ["the region has a peer on store 2 already"],
  },
  {
    name: "no voter is left",
    region: { peers: "1 2l" },
    make: remove(1n),
    steps: ["no voter is left"],
  },
  {
    name: "nothing to do",
    region: { peers: "1 2 3" },
    make: onto([1n, 2n, 3n]),
    steps: ["nothing is to be done"],
  },
  {
    name: "a split",
    region: { peers: "1 2 3" },
    make: ({ context }, region) => splitRegionOperator(context, region, [Uint8Array.of(1)], MAKING),
    steps: ["split at 1 keys"],
  },
];

for (const { joint = true, make, name, region, steps } of CASES) {
  test(name, () => {
    const fixture = new ScheduleFixture({ enableJointConsensus: joint }).stores(6);
    assert.equal(stepsOf(make(fixture, fixture.region(1, region))), steps);
  });
}

test("the lead does not go to a store that is silent, busy or leaves", () => {
  const fixture = new ScheduleFixture().stores(4);
  fixture.changeStore(2, (store) => ({ ...store, seenMs: -30_000 }));
  const region = fixture.region(1, { peers: "1 2 3" });
  assert.match(stepsOf(move(1n, 4n)(fixture, region))[1] ?? "", /to store 3$/);
  fixture.changeStore(3, (store) => ({
    ...store,
    meta: { ...store.meta, nodeState: 2, state: 1 },
  }));
  const only = stepsOf(move(1n, 4n)(fixture, region));
  assert.is(only[2], "transfer leader from store 1 to store 4", "only the new one is left");
  const refused = transferLeaderOperator(fixture.context, region, 2n, MAKING);
  assert.equal(stepsOf(refused), ["store 2 cannot lead the region"]);
});

test("without an id for the new peer there is no operator", () => {
  const fixture = new ScheduleFixture().stores(4);
  fixture.idsLeft = 0;
  const region = fixture.region(1, { peers: "1 2 3" });
  assert.equal(stepsOf(move(3n, 4n)(fixture, region)), ["no peer id is at hand"]);
});

test.run();
