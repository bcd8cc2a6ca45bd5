/** What stores hold, the random picks from it, location and scores. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Prng } from "../../../src/base/index.js";
import { IdSet } from "../../../src/pd/core/id_set.js";
import {
  BasicCluster,
  balanceSize,
  distinctScore,
  isLowSpace,
  PEER_ROLE,
  type PeerMeta,
  type RegionInfo,
  regionFromMeta,
  regionScore,
  type StoreInfo,
} from "../../../src/pd/core/index.js";
import { scheduleStats, scheduleStore } from "../../support/pd_stores.js";

const EMPTY = new Uint8Array(0);

function region(id: bigint, at: number, storeIds: readonly bigint[], sizeMiB = 10n): RegionInfo {
  const peers: PeerMeta[] = storeIds.map((storeId) => ({
    id: id * 100n + storeId,
    storeId,
    role: PEER_ROLE.voter,
    isWitness: false,
  }));
  const start = at === 0 ? EMPTY : Uint8Array.of(at);
  const known = regionFromMeta({
    id,
    startKey: start,
    endKey: Uint8Array.of(at + 1),
    confVer: 1n,
    version: 1n,
    peers,
    isInFlashback: false,
    flashbackStartTs: 0n,
  });
  const stats = { ...known.stats, approximateSizeMiB: sizeMiB };
  return { ...known, stats, leader: peers[0] };
}

test("a set of ids against a model: members, size, samples without repetition", () => {
  const prng = new Prng(7n);
  const set = new IdSet();
  const model = new Set<bigint>();
  for (let round = 0; round < 2000; round++) {
    const id = BigInt(prng.below(40));
    if (prng.ratio(1, 2)) {
      set.add(id);
      model.add(id);
    } else {
      set.delete(id);
      model.delete(id);
    }
    assert.is(set.size, model.size);
    const sample = set.sample(prng, 10);
    assert.is(new Set(sample).size, sample.length, "no id twice");
    assert.is(sample.length, Math.min(10, model.size));
    assert.ok(sample.every((one) => model.has(one) && set.has(one)));
  }
});

test("counts by role follow reports, evictions and changes of leader", () => {
  const cluster = new BasicCluster();
  const first = region(1n, 0, [1n, 2n, 3n]);
  cluster.putRegion(first);
  cluster.putRegion(region(2n, 1, [2n, 3n, 1n], 0n));
  assert.equal(cluster.storeLoad(1n), {
    leaderCount: 1,
    regionCount: 2,
    learnerCount: 0,
    pendingCount: 0,
    leaderSizeMiB: 10,
    regionSizeMiB: 10,
    balanceSizeMiB: 11,
  });
  const [one, two, three] = first.meta.peers as [PeerMeta, PeerMeta, PeerMeta];
  const peers = [one, two, { ...three, role: PEER_ROLE.learner }];
  const meta = { ...first.meta, peers, confVer: 2n };
  cluster.putRegion({ ...first, meta, leader: two, pendingPeers: [three] });
  assert.is(cluster.storeLoad(1n).leaderCount, 0);
  assert.is(cluster.storeLoad(2n).leaderCount, 2);
  assert.is(cluster.storeLoad(3n).learnerCount, 1);
  assert.is(cluster.storeLoad(3n).pendingCount, 1);
  const picked = cluster.sampleRegions(3n, "learner", new Prng(1n), 5);
  assert.equal(
    picked.map((found) => found.meta.id),
    [1n],
  );
  assert.is(cluster.leaderlessCount, 0);
  const whole = region(3n, 0, [1n]);
  cluster.putRegion({ ...whole, meta: { ...whole.meta, endKey: EMPTY, version: 5n } });
  assert.is(cluster.storeLoad(2n).regionCount, 0, "both regions were evicted");
  assert.is(cluster.storeLoad(3n).pendingCount, 0);
  assert.is(balanceSize(region(4n, 0, [1n], 0n)), 1);
});

test("the distinct score counts 100 to the power of the levels below the difference", () => {
  const at = (id: bigint, zone: string, host: string): StoreInfo =>
    scheduleStore(id, { zone, host });
  const labels = ["zone", "host"];
  const others = [at(1n, "a", "x"), at(2n, "b", "x")];
  assert.is(distinctScore(labels, others, at(3n, "c", "x")), 200);
  assert.is(distinctScore(labels, others, at(3n, "a", "y")), 101);
  assert.is(distinctScore(labels, others, at(3n, "a", "x")), 100);
  assert.is(distinctScore(labels, others, at(3n, "A", "X")), 100, "values compare without case");
  assert.is(distinctScore(labels, others, at(1n, "a", "x")), 100, "itself does not count");
  assert.is(distinctScore(labels, others, scheduleStore(3n, {})), 200, "no label: on its own");
  assert.is(distinctScore([], others, at(3n, "a", "x")), 0);
});

test("region scores grow with size and as the disk fills up", () => {
  const score = (sizeMiB: number, availableGiB: number, delta = 0): number =>
    regionScore(scheduleStats(500, availableGiB), sizeMiB, delta, 0.8);
  assert.ok(score(100, 400) > score(50, 400));
  assert.ok(score(100, 200) > score(100, 400));
  assert.ok(score(100, 90) > 1e8, "below the free minimum the space rules");
  assert.ok(score(100, 400, 10) > score(100, 400));
  assert.is(regionScore(undefined, 100, -30, 0.8), 70);
  assert.is(regionScore(undefined, 10, -30, 0.8), 10, "never below zero");
});

test("low on space: a fifth of the disk, or 1 GiB while there are few regions", () => {
  assert.not.ok(isLowSpace(undefined, 1000, 0.8));
  assert.ok(isLowSpace(scheduleStats(100, 19), 1000, 0.8));
  assert.not.ok(isLowSpace(scheduleStats(100, 21), 1000, 0.8));
  assert.not.ok(isLowSpace(scheduleStats(100, 2), 10, 0.8));
  assert.ok(isLowSpace(scheduleStats(100, 1), 10, 0.8));
});

test.run();
