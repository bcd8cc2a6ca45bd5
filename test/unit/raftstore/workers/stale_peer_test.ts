/** When a peer asks whether it still is a member, whom, and what proves that it is not. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  provesRemoval,
  StalePeerCheck,
  type StaleState,
  type StaleView,
} from "../../../../src/raftstore/workers/stale_peer.js";
import { regionOf } from "../../../support/snapshot_store.js";

const OPTIONS = { abnormalLeaderMissingDurationMs: 600, maxLeaderMissingDurationMs: 7200 };
const ALONE: StaleView = {
  isLeader: false,
  hasLeader: false,
  isInitialized: true,
  isLearner: false,
};

/** Returns the answers at ticks every 300 ms from 0 to `untilMs`. */
function ticks(untilMs: number, view: StaleView, check = new StalePeerCheck(OPTIONS)): string {
  const states: StaleState[] = [];
  for (let now = 0; now <= untilMs; now += 300) states.push(check.onTick(now, view));
  return states.map((state) => state[0]).join("");
}

test("a peer without a leader asks members, then PD, then members again", () => {
  assert.is(ticks(1200, ALONE), "vvlll");
  const long = ticks(7200 + 900, ALONE);
  assert.is(long, `vv${"l".repeat(22)}tvll`);
});

test("a leader, or a follower that hears one, asks nobody", () => {
  assert.is(ticks(9000, { ...ALONE, isLeader: true }), "v".repeat(31));
  assert.is(ticks(9000, { ...ALONE, hasLeader: true }), "v".repeat(31));
});

test("hearing a leader starts the time anew", () => {
  const check = new StalePeerCheck(OPTIONS);
  assert.is(check.onTick(0, ALONE), "valid");
  assert.is(check.onTick(500, { ...ALONE, hasLeader: true }), "valid");
  assert.is(check.onTick(800, ALONE), "valid");
  assert.is(check.onTick(1300, ALONE), "valid");
  assert.is(check.onTick(1400, ALONE), "leaderMissing");
});

test("learners and peers without data ask PD only", () => {
  for (const naive of [{ isLearner: true }, { isInitialized: false }]) {
    assert.is(ticks(7200, { ...ALONE, ...naive }), `${"v".repeat(24)}t`);
  }
});

test("members are asked, and those that an answer names", () => {
  const check = new StalePeerCheck(OPTIONS);
  const region = regionOf(1, "", "");
  const ids = (): bigint[] => check.recipients(region, 12n).map((peer) => peer.id);
  assert.equal(ids(), [11n, 13n]);
  const peers = [{ id: 44n, storeId: 4n, role: 0 as const }];
  check.onResponse(region, { ...region, peers });
  assert.equal(ids(), [11n, 13n], "an answer as old as the region says nothing");
  check.onResponse(region, { ...region, id: 2n, confVer: 9n, peers });
  assert.equal(ids(), [11n, 13n], "nor does another region");
  check.onResponse(region, { ...region, confVer: 3n, peers });
  assert.equal(ids(), [11n, 13n, 44n]);
  check.onResponse(region, { ...region, confVer: 2n, peers: [] });
  assert.equal(ids(), [11n, 13n, 44n], "an older answer does not replace a newer one");
});

test("only a region that is not older and does not name the peer proves its removal", () => {
  const local = { ...regionOf(1, "a", "m", 5n), confVer: 5n };
  const without = { ...local, peers: local.peers.filter((peer) => peer.id !== 12n) };
  assert.ok(provesRemoval(local, 12n, without));
  assert.ok(provesRemoval(local, 12n, { ...without, confVer: 6n, version: 9n }));
  assert.not(provesRemoval(local, 12n, undefined));
  assert.not(provesRemoval(local, 12n, local));
  assert.not(provesRemoval(local, 12n, { ...without, confVer: 4n }));
  assert.not(provesRemoval(local, 12n, { ...without, version: 4n, confVer: 9n }));
  assert.not(provesRemoval(local, 12n, { ...without, id: 2n }));
  const again = [...without.peers, { id: 99n, storeId: 2n, role: 0 as const }];
  assert.ok(provesRemoval(local, 12n, { ...without, peers: again }), "back with another id");
});

test.run();
