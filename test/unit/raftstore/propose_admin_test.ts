/** Which changes of peers and splits a leader proposes (semantics 3.9, 3.7). */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { utf8 } from "../../../src/base/index.js";
import type { PeerChange } from "../../../src/raftstore/commands.js";
import {
  checkConfChange,
  checkSplit,
  checkSplitKeys,
  type LeaderView,
} from "../../../src/raftstore/propose_admin.js";
import { PEER_ROLE, type PeerInfo, type RegionInfo } from "../../../src/raftstore/region.js";
import { SELF, testRegion } from "../../support/apply_harness.js";

const { Voter, Learner, IncomingVoter, DemotingVoter } = PEER_ROLE;
const [ADD, REMOVE, ADD_LEARNER] = [0, 1, 2] as const;

function peer(id: number, role: PeerInfo["role"] = Voter, storeId = id - 10): PeerInfo {
  return { id: BigInt(id), storeId: BigInt(storeId), role };
}

function change(type: 0 | 1 | 2, of: PeerInfo): PeerChange {
  return { type, peer: of };
}

function regionOf(...peers: readonly PeerInfo[]): RegionInfo {
  return testRegion({ peers });
}

/** Voters 11 (self), 12, 13 with logs up to 100, all alive. */
function view(part: Partial<LeaderView> = {}): LeaderView {
  return {
    region: testRegion(),
    self: SELF,
    term: 6,
    appliedTerm: 6,
    appliedIndex: 100,
    pendingConfIndex: 90,
    truncatedIndex: 50,
    match: () => 100,
    silentMs: () => 0,
    slowAfterMs: 40_000,
    ...part,
  };
}

interface Row {
  readonly name: string;
  readonly view?: Partial<LeaderView>;
  readonly changes: readonly PeerChange[];
  /** Part of the refusal; absent: it is proposed. */
  readonly refused?: RegExp;
}

const JOINT = regionOf(SELF, peer(12, DemotingVoter), peer(13), peer(14, IncomingVoter));
const FOUR = regionOf(SELF, peer(12), peer(13), peer(14, Learner));
const onlySelfAnd12 =
  (behind: number) =>
  (id: bigint): number =>
    id === 11n ? 100 : id === 12n ? behind : 0;

const ROWS: readonly Row[] = [
  { name: "a learner is added", changes: [change(ADD_LEARNER, peer(14, Learner))] },
  { name: "a learner is promoted", view: { region: FOUR }, changes: [change(ADD, peer(14))] },
  { name: "a follower is removed", changes: [change(REMOVE, peer(13))] },
  { name: "a follower is demoted", changes: [change(ADD_LEARNER, peer(13, Learner))] },
  {
    name: "a swap is joint",
    view: { region: FOUR },
    changes: [change(ADD, peer(14)), change(ADD_LEARNER, peer(13, Learner))],
  },
  { name: "a joint state is left", view: { region: JOINT }, changes: [] },
  {
    name: "one change at a time",
    view: { pendingConfIndex: 101 },
    changes: [change(REMOVE, peer(13))],
    refused: /pending conf change/,
  },
  {
    name: "not before the leader's term is applied",
    view: { appliedTerm: 5 },
    changes: [change(REMOVE, peer(13))],
    refused: /applied to current term/,
  },
  {
    name: "the role fits the operation: a voter is added as voter",
    changes: [change(ADD, peer(14, Learner))],
    refused: /invalid conf change/,
  },
  {
    name: "the role fits the operation: a learner is added as learner",
    changes: [change(ADD_LEARNER, peer(14, Voter))],
    refused: /invalid conf change/,
  },
  {
    name: "a peer is changed once",
    changes: [change(ADD_LEARNER, peer(13, Learner)), change(ADD, peer(13))],
    refused: /multiple commands for the same peer 13/,
  },
  {
    name: "the leader is not removed",
    changes: [change(REMOVE, SELF)],
    refused: /remove leader/,
  },
  {
    name: "the leader is not demoted in a simple change",
    changes: [change(ADD_LEARNER, { ...SELF, role: Learner })],
    refused: /demote leader/,
  },
  {
    name: "the leader may be demoted in a joint one",
    view: { region: FOUR },
    changes: [change(ADD, peer(14)), change(ADD_LEARNER, { ...SELF, role: Learner })],
  },
  {
    name: "a voter is not removed in a joint change",
    view: { region: FOUR },
    changes: [change(ADD, peer(14)), change(REMOVE, peer(13))],
    refused: /can not remove voter 13 directly/,
  },
  {
    name: "a joint change that touches learners only",
    changes: [change(ADD_LEARNER, peer(14, Learner)), change(ADD_LEARNER, peer(15, Learner))],
    refused: /only effect learner/,
  },
  {
    name: "a demoting leader does not leave the joint state",
    view: { region: regionOf({ ...SELF, role: DemotingVoter }, peer(12), peer(13, IncomingVoter)) },
    changes: [],
    refused: /demoting leader/,
  },
  { name: "no joint state to leave", changes: [], refused: /non-joint/ },
  {
    name: "no change within a joint state",
    view: { region: JOINT },
    changes: [change(REMOVE, peer(13))],
    refused: /still in joint/,
  },
  {
    name: "a store has a peer already",
    changes: [change(ADD_LEARNER, peer(20, Learner, 3))],
    refused: /has peer 13 already/,
  },
  {
    name: "a peer that is not there",
    changes: [change(REMOVE, peer(15))],
    refused: /missing peer/,
  },
  {
    name: "another peer id on the store",
    changes: [change(REMOVE, peer(20, Voter, 3))],
    refused: /unmatched peer/,
  },
  {
    name: "a voter without log would stall the rest",
    view: { region: regionOf(SELF, peer(12)), match: onlySelfAnd12(10) },
    changes: [change(ADD, peer(13))],
    refused: /unsafe.*truncated index 50, promoted commit index 10/,
  },
  {
    name: "what the new voters have reaches exactly to the log",
    view: { region: regionOf(SELF, peer(12)), match: (id) => (id === 12n ? 50 : 100) },
    changes: [change(ADD_LEARNER, peer(13, Learner))],
  },
  {
    name: "one short of it",
    view: { region: regionOf(SELF, peer(12)), match: (id) => (id === 12n ? 49 : 100) },
    changes: [change(ADD_LEARNER, peer(13, Learner))],
    refused: /unsafe/,
  },
  {
    name: "a group of one may add a voter without log",
    view: { region: regionOf(SELF), match: (id) => (id === 11n ? 100 : 0) },
    changes: [change(ADD, peer(12))],
  },
  {
    name: "a live voter goes, a slow one stays: one against one",
    view: { silentMs: (id) => (id === 12n ? 40_001 : 40_000) },
    changes: [change(REMOVE, peer(13))],
    refused: /healthy region.*1 live and 1 slow/,
  },
  {
    name: "the slow one goes",
    view: { silentMs: (id) => (id === 12n ? 40_001 : 0) },
    changes: [change(REMOVE, peer(12))],
  },
  {
    name: "a group that is unhealthy already is not held back",
    view: { silentMs: () => 50_000 },
    changes: [change(REMOVE, peer(13))],
  },
  {
    name: "a learner is not counted",
    view: {
      region: regionOf(SELF, peer(12), peer(13), peer(14, Learner)),
      silentMs: (id) => (id === 12n ? 50_000 : 0),
    },
    changes: [change(REMOVE, peer(14, Learner))],
  },
];

for (const row of ROWS) {
  test(`conf change: ${row.name}`, () => {
    const error = checkConfChange(view(row.view), row.changes);
    if (row.refused === undefined) {
      assert.is(error, undefined, error?.message);
    } else {
      assert.is(error?.kind, "other");
      assert.match(error?.message ?? "", row.refused);
    }
  });
}

test("a split is proposed when it would be applied", () => {
  const part = { splitKey: utf8("m"), newRegionId: 20n, newPeerIds: [21n, 22n, 23n] };
  assert.is(checkSplit(view(), [part], true), undefined);
  assert.is(checkSplit(view(), [], true)?.kind, "other");
  assert.match(checkSplit(view({ appliedTerm: 5 }), [part], true)?.message ?? "", /current term/);
});

test("ids are asked for keys strictly inside of the region that the asker knew", () => {
  const region = testRegion({ startKey: utf8("b"), endKey: utf8("d") });
  const check = (key: string, version = 4n): string | undefined =>
    checkSplitKeys(region, { confVer: 3n, version }, [utf8(key)])?.kind;
  assert.is(check("c"), undefined);
  assert.is(check("b"), "keyNotInRegion");
  assert.is(check("d"), "keyNotInRegion");
  assert.is(check("a"), "keyNotInRegion");
  assert.is(check(""), "keyNotInRegion");
  assert.is(check("c", 3n), "epochNotMatch");
  assert.is(checkSplitKeys(region, { confVer: 9n, version: 4n }, [utf8("c")]), undefined);
});

test.run();
