/** Each checker fires on a view that breaks its property, and is silent on a healthy cluster. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { AppliedPrefixes } from "../../sim/checkers/applied_prefixes.js";
import { CommittedEntries } from "../../sim/checkers/committed_entries.js";
import { Epochs } from "../../sim/checkers/epochs.js";
import { newCheckers } from "../../sim/checkers/index.js";
import { LogMatching } from "../../sim/checkers/log_matching.js";
import { OneLeader } from "../../sim/checkers/one_leader.js";
import { OneLease } from "../../sim/checkers/one_lease.js";
import { RegionTiling } from "../../sim/checkers/region_tiling.js";
import { StuckRegion } from "../../sim/checkers/stuck_region.js";
import { ZombiePeer } from "../../sim/checkers/zombie_peer.js";
import type { Checker, ClusterView } from "../../sim/view.js";
import {
  cluster,
  FIRST_INDEX,
  type PeerChange,
  peer,
  region,
  show,
  store,
} from "../../support/sim_views.js";

/** Three stores with a peer each; `changes` by store. */
function three(...changes: readonly PeerChange[]): ClusterView {
  const first: PeerChange = { isLeader: true, holdsLease: true, ...changes[0] };
  const peers = [first, changes[1], changes[2]];
  return cluster(peers.map((change, i) => store(i + 1, [peer(i + 1, change)])));
}

/** Asserts that `checker` is silent for all views but the last. */
function fires(checker: Checker, views: readonly ClusterView[], pattern: RegExp): void {
  for (const view of views.slice(0, -1)) show(checker, view);
  assert.throws(() => show(checker, views.at(-1) as ClusterView), pattern);
}

test("a healthy cluster satisfies every checker", () => {
  for (const checker of [new OneLeader(), ...newCheckers()] as Checker[]) {
    show(checker, three());
    show(checker, three({ log: [5, 5, 5] }, { log: [5, 5, 5] }));
    checker.atRest?.(three());
  }
});

test("one leader a term", () => {
  fires(new OneLeader(), [three(), three({}, { isLeader: true })], /led by peers 11 and 12/);
  show(new OneLeader(), three({}, { isLeader: true, term: 6 }));
});

test("one leader a term, though they never led at the same time", () => {
  fires(
    new OneLeader(),
    [three(), three({ isLeader: false }, { isLeader: true })],
    /peers 11 and 12/,
  );
});

test("log matching: an entry before an equal one differs", () => {
  const open = { committed: FIRST_INDEX - 1, applied: FIRST_INDEX - 1 };
  const views = [three({ ...open, log: [4, 5] }, { ...open, log: [3, 5] }, { ...open, log: [4] })];
  fires(new LogMatching(), views, /entry 6 has term/);
  const tails = { ...open, log: [4, 4, 4] };
  show(new LogMatching(), three({ ...open, log: [4, 5] }, tails, tails));
});

test("log matching: two entries of one term and index differ", () => {
  fires(new LogMatching(), [three({}, { salt: 1 })], /entry 7 of term 5 differs/);
});

test("committed entries: an index has another entry", () => {
  const open = { committed: FIRST_INDEX - 1, applied: FIRST_INDEX - 1 };
  const views = [three({}, { ...open, log: [5, 4] }), three({}, { log: [5, 4] })];
  fires(new CommittedEntries(), views, /committed entry 7 is of term 4, elsewhere of term 5/);
  const salted = [three({}, { ...open, salt: 1 }), three({}, { salt: 1 })];
  fires(new CommittedEntries(), salted, /committed entry 6/);
});

test("committed entries: the commit index of a running peer goes back", () => {
  const back = three({ committed: FIRST_INDEX, applied: FIRST_INDEX });
  fires(new CommittedEntries(), [three(), back], /goes back from 7 to 6/);
  const restarted = cluster([
    store(1, [peer(1, { committed: FIRST_INDEX, applied: FIRST_INDEX })], { incarnation: 2 }),
  ]);
  const checker = new CommittedEntries();
  show(checker, three());
  show(checker, restarted);
});

test("committed entries: who is elected lacks one", () => {
  const open = { committed: FIRST_INDEX - 1, applied: FIRST_INDEX - 1 };
  const poor = { ...open, isLeader: true, term: 6, log: [5] };
  const lost = [three({}, open), three({}, poor)];
  fires(new CommittedEntries(), lost, /leads term 6 and lacks entry 7/);
  const checker = new CommittedEntries();
  show(checker, three({ term: 6 }, open));
  show(checker, three({ term: 6 }, { ...poor, term: 5 }));
});

test("applied prefixes: data, region or order differ", () => {
  const view = three();
  const other = cluster([
    ...view.stores.slice(0, 2),
    store(3, [peer(3)], {
      appliedState: () => ({ applied: FIRST_INDEX + 1, region: region(), digest: "other" }),
    }),
  ]);
  fires(new AppliedPrefixes(), [other], /peer 13 at applied 7/);
  fires(new AppliedPrefixes(), [three({}, { region: region({ version: 2 }) })], /epoch 2\/1/);
  fires(new AppliedPrefixes(), [three({ committed: FIRST_INDEX })], /applied 7 of 6/);
  const later = three({ log: [5] }, { log: [5, 5, 5] });
  show(new AppliedPrefixes(), later);
});

test("region tiling: overlap on a store, gap and foreign region at rest", () => {
  const left = region({ end: "60" });
  const right = region({ regionId: 3, start: "50" });
  const both = [peer(1, { region: left }), peer(1, { regionId: 3, region: right })];
  fires(new RegionTiling(), [cluster([store(1, both)])], /overlap/);
  const gap = cluster([], [left, region({ regionId: 3, start: "70" })]);
  assert.throws(() => new RegionTiling().atRest(gap), /begins at "70", expected "60"/);
  assert.throws(() => new RegionTiling().atRest(cluster([], [left])), /the last region ends/);
  const behind = cluster(three().stores, [region({ version: 2 })]);
  assert.throws(() => new RegionTiling().atRest(behind), /peer 11 has .* epoch 1\/1/);
});

test("epochs: back on a peer, back in PD, two meanings", () => {
  const newer = { region: region({ version: 2 }) };
  fires(new Epochs(), [three(newer), three({ region: region() })], /became/);
  fires(new Epochs(), [cluster([], [newer.region]), cluster([])], /PD 2: .*became/);
  fires(new Epochs(), [three({ region: region({ end: "60" }) })], /one epoch, two/);
});

test("one lease holder: two leases, or commits beside a lease", () => {
  fires(new OneLease(), [three({}, { holdsLease: true })], /peer 11 holds the lease of term 5/);
  const rival = { isLeader: true, term: 6, committedInTerm: true };
  fires(new OneLease(), [three({}, rival)], /peer 12 commits in term 6/);
  show(new OneLease(), three({}, { ...rival, committedInTerm: false }));
});

test("stuck region: no leader, open entries, a member behind or on its way", () => {
  const stuck = (view: ClusterView, pattern: RegExp): void => {
    assert.throws(() => new StuckRegion().atRest(view), pattern);
  };
  stuck(three({ isLeader: false }), /no leader in term 5/);
  stuck(three({}, { term: 6 }), /no leader in term 6/);
  stuck(three({ committedInTerm: false }), /nothing committed/);
  stuck(three({ committed: FIRST_INDEX }), /open entries/);
  stuck(three({}, { applied: FIRST_INDEX }), /peer 12 applied 6 of 7/);
  stuck(cluster(three().stores.slice(0, 2)), /peer 13 does not exist/);
  const joint = region({ members: [{ peerId: 11, storeId: 1, role: "demotingVoter" }] });
  stuck(cluster(three().stores, [joint]), /peer 11 is demotingVoter/);
});

test("zombie peer: a peer that is no member", () => {
  const members = region().members.slice(0, 2);
  const view = cluster(three().stores, [region({ members })]);
  assert.throws(() => new ZombiePeer().atRest(view), /peer 13 of region 2 on store 3/);
  const gone = cluster(three().stores, []);
  assert.throws(() => new ZombiePeer().atRest(gone), /peer 11/);
});

test.run();
