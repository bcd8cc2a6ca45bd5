/**
 * PD and fake stores in a closed loop on virtual time: what the cluster comes to without a human.
 * @timeout 120
 * @seconds 20
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { PdFakeCluster } from "../../support/pd_fake_cluster.js";

const SEEDS = [1n, 2n];
const MINUTE_MS = 60_000;

function values(counts: ReadonlyMap<bigint, number>): number[] {
  return [...counts.values()].sort((a, b) => a - b);
}

function spread(counts: ReadonlyMap<bigint, number>): number {
  const sorted = values(counts);
  return (sorted.at(-1) ?? 0) - (sorted[0] ?? 0);
}

async function threeStores(seed: bigint, regions: number): Promise<PdFakeCluster> {
  const cluster = new PdFakeCluster({ seed });
  await cluster.bootstrap();
  await cluster.splitInto(regions);
  await cluster.join();
  await cluster.join();
  await cluster.until(5 * MINUTE_MS, "three replicas", () => cluster.isReplicated(3));
  return cluster;
}

/** Nothing is left to do: no operator starts for a while. */
async function assertQuiet(cluster: PdFakeCluster): Promise<void> {
  await cluster.run(MINUTE_MS);
  const before = cluster.orders.length;
  await cluster.run(10 * MINUTE_MS);
  assert.is(cluster.orders.length, before, "orders go out though nothing is left to do");
}

for (const seed of SEEDS) {
  test(`seed ${seed}: a store alone is quiet and grows to three replicas as stores join`, async () => {
    const cluster = new PdFakeCluster({ seed });
    await cluster.bootstrap();
    await cluster.run(MINUTE_MS);
    assert.is(cluster.orders.length, 0, "one store, nothing to order");
    await cluster.join();
    await cluster.until(MINUTE_MS, "two replicas", () => cluster.isReplicated(2));
    await cluster.join();
    await cluster.until(MINUTE_MS, "three replicas", () => cluster.isReplicated(3));
    await assertQuiet(cluster);
    const peers = [...cluster.regions.values()][0]?.meta.peers ?? [];
    assert.is(new Set(peers.map(({ storeId }) => storeId)).size, 3);
  });

  for (const regions of [3, 4, 10, 31]) {
    test(`seed ${seed}: with ${regions} regions no store stays at 0 leaders`, async () => {
      const cluster = await threeStores(seed, regions);
      await cluster.until(2 * MINUTE_MS, "leaders everywhere", () => {
        return values(cluster.leaderCounts()).every((count) => count > 0);
      });
      await assertQuiet(cluster);
      assert.ok(values(cluster.leaderCounts()).every((count) => count > 0));
    });
  }

  test(`seed ${seed}: a store that was gone for a while leads again`, async () => {
    const cluster = await threeStores(seed, 6);
    await cluster.run(2 * MINUTE_MS);
    const [lost] = cluster.stores.keys();
    cluster.kill(lost as bigint);
    await cluster.run(5 * MINUTE_MS);
    assert.is(cluster.leaderCounts().get(lost as bigint), 0);
    cluster.revive(lost as bigint);
    const tookMs = await cluster.until(2 * MINUTE_MS, "it leads", () => {
      return (cluster.leaderCounts().get(lost as bigint) ?? 0) > 0;
    });
    assert.ok(tookMs <= 60_000, `${tookMs} ms`);
    await assertQuiet(cluster);
    assert.ok(cluster.isReplicated(3));
  });

  test(`seed ${seed}: a dead store is replaced after max-store-down-time, not before`, async () => {
    const cluster = await threeStores(seed, 8);
    const fourth = await cluster.join();
    await cluster.run(5 * MINUTE_MS);
    const [dead] = cluster.stores.keys();
    const held = cluster.peerCounts().get(dead as bigint) ?? 0;
    assert.ok(held > 0, "the store holds something");
    cluster.kill(dead as bigint);
    await cluster.run(25 * MINUTE_MS);
    assert.is(cluster.peerCounts().get(dead as bigint), held, "still within the time");
    await cluster.until(20 * MINUTE_MS, "replaced", () => cluster.isReplicated(3));
    assert.is(cluster.peerCounts().get(dead as bigint), 0);
    assert.ok((cluster.leaderCounts().get(fourth) ?? 0) > 0);
    assert.ok((cluster.operatorDescs().get("replace-down-replica") ?? 0) > 0);
    await assertQuiet(cluster);
  });

  test(`seed ${seed}: a deleted store drains and is a tombstone in the end`, async () => {
    const cluster = await threeStores(seed, 8);
    await cluster.join();
    await cluster.run(3 * MINUTE_MS);
    const [leaving] = cluster.stores.keys();
    assert.is(await cluster.pd.removeStore(leaving as bigint, false), undefined);
    await cluster.until(10 * MINUTE_MS, "tombstone", () => {
      return cluster.pd.basic.getStore(leaving as bigint)?.meta.state === 2;
    });
    assert.is(cluster.peerCounts().get(leaving as bigint), 0);
    assert.ok(cluster.isReplicated(3));
    cluster.kill(leaving as bigint);
    await assertQuiet(cluster);
    const [, second] = cluster.stores.keys();
    const refused = await cluster.pd.removeStore(second as bigint, false);
    assert.match(refused?.message ?? "", /no extra up store/);
  });

  test(`seed ${seed}: three zones of two stores: a replica a zone, also after a death`, async () => {
    const cluster = new PdFakeCluster({ seed, config: { locationLabels: ["zone"] } });
    const zones = new Map<bigint, string>();
    zones.set(await cluster.bootstrap({ zone: "a" }), "a");
    await cluster.splitInto(12);
    for (const zone of ["a", "b", "b", "c", "c"]) zones.set(await cluster.join({ zone }), zone);
    const onePerZone = (): boolean =>
      [...cluster.regions.values()].every(
        ({ meta }) => new Set(meta.peers.map(({ storeId }) => zones.get(storeId))).size === 3,
      );
    await cluster.until(10 * MINUTE_MS, "a replica a zone", () => {
      return cluster.isReplicated(3) && onePerZone();
    });
    await cluster.run(10 * MINUTE_MS);
    assert.ok(onePerZone(), "balancing keeps the zones");
    assert.ok(
      values(cluster.peerCounts()).every((count) => count > 0),
      "each store is used",
    );
    assert.ok(
      values(cluster.leaderCounts()).every((count) => count > 0),
      "each store leads",
    );
    const [dead] = cluster.stores.keys();
    cluster.kill(dead as bigint);
    await cluster.until(60 * MINUTE_MS, "replaced", () => cluster.isReplicated(3));
    await assertQuiet(cluster);
    assert.ok(onePerZone(), "the replicas of the dead store went to its zone");
  });

  test(`seed ${seed}: balance converges and does not oscillate`, async () => {
    const cluster = await threeStores(seed, 60);
    await cluster.join();
    await cluster.join();
    await cluster.run(90 * MINUTE_MS);
    assert.ok(spread(cluster.peerCounts()) <= 4, `${values(cluster.peerCounts())}`);
    assert.ok(spread(cluster.leaderCounts()) <= 8, `${values(cluster.leaderCounts())}`);
    await assertQuiet(cluster);
    const { operators } = cluster.pd.coordinator;
    const failed = operators.records.since(0).filter(({ status }) => status !== "success");
    assert.is(failed.map(({ desc, reason }) => `${desc}: ${reason}`).join("\n"), "");
  });
}

test("without joint consensus the same end is reached by single changes", async () => {
  const cluster = new PdFakeCluster({ seed: 9n, config: { enableJointConsensus: false } });
  await cluster.bootstrap();
  await cluster.splitInto(6);
  for (let i = 0; i < 3; i++) await cluster.join();
  await cluster.until(10 * MINUTE_MS, "three replicas", () => cluster.isReplicated(3));
  const [leaving] = cluster.stores.keys();
  assert.is(await cluster.pd.removeStore(leaving as bigint, false), undefined);
  await cluster.until(10 * MINUTE_MS, "tombstone", () => {
    return cluster.pd.basic.getStore(leaving as bigint)?.meta.state === 2;
  });
  assert.ok(cluster.orders.every(({ changePeers }) => (changePeers ?? [0]).length === 1));
});

test("the same seed gives the same orders", async () => {
  const runs = await Promise.all(
    [1, 2].map(async () => {
      const cluster = await threeStores(5n, 12);
      await cluster.join();
      await cluster.run(10 * MINUTE_MS);
      return cluster.orders.map(({ regionId, confVer, version }) => [regionId, confVer, version]);
    }),
  );
  assert.ok((runs[0]?.length ?? 0) > 20);
  assert.equal(runs[0], runs[1]);
});

test.run();
