/**
 * PD and fake stores through an hour of faults on virtual time: no invariant of a region breaks (the
 * fake stores assert them), and afterwards the cluster comes to rest, whole. More seeds:
 * PD_STORM_SEEDS=first-last.
 * @timeout 300
 * @seconds 10
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { PdFakeCluster } from "../../support/pd_fake_cluster.js";

const MINUTE_MS = 60_000;
const [FIRST = 11, LAST = 12] = (process.env.PD_STORM_SEEDS ?? "")
  .split("-")
  .filter(Boolean)
  .map(Number);
const SEEDS = Array.from({ length: LAST - FIRST + 1 }, (_, i) => BigInt(FIRST + i));

/** Nothing is left to do: no operator starts for a while. */
async function assertQuiet(cluster: PdFakeCluster): Promise<void> {
  await cluster.run(MINUTE_MS);
  const before = cluster.orders.length;
  await cluster.run(10 * MINUTE_MS);
  assert.is(cluster.orders.length, before, "orders go out though nothing is left to do");
}

/** Kills, returns, joins, removals, splits and orders of people, for an hour; never two stores down. */
async function storm(cluster: PdFakeCluster): Promise<void> {
  const { prng } = cluster;
  let down: bigint | undefined;
  for (let minute = 0; minute < 60; minute++) {
    await cluster.run(MINUTE_MS / 2 + prng.below(MINUTE_MS));
    const alive = [...cluster.stores.keys()].filter((id) => cluster.isAlive(id));
    const action = prng.below(8);
    if (action <= 1 && down === undefined) {
      down = prng.pick(alive);
      cluster.kill(down);
    } else if (action <= 4 && down !== undefined) {
      cluster.revive(down);
      down = undefined;
    } else if (action === 5 && cluster.stores.size < 7) await cluster.join();
    else if (action === 6) await cluster.pd.removeStore(prng.pick(alive), false);
    else await cluster.splitOne();
    const region = prng.pick([...cluster.regions.values()]);
    const known = cluster.pd.basic.getRegion(region.meta.id);
    if (known !== undefined) cluster.pd.coordinator.scatterer.scatter(known, "storm");
    if (prng.ratio(1, 4)) cluster.pd.coordinator.operators.cancel(region.meta.id, "storm");
  }
  if (down !== undefined) cluster.revive(down);
}

for (const seed of SEEDS) {
  test(`seed ${seed}: after an hour of storm the cluster is whole, used and quiet`, async () => {
    const config = { maxStoreDownTimeMs: 5 * MINUTE_MS };
    const cluster = new PdFakeCluster({ seed, config, lossPercent: 20 });
    await cluster.bootstrap();
    await cluster.splitInto(10);
    for (let i = 0; i < 3; i++) await cluster.join();
    await storm(cluster);
    await cluster.until(60 * MINUTE_MS, "whole", () => cluster.isReplicated(3));
    await cluster.run(60 * MINUTE_MS);
    await assertQuiet(cluster);
    assert.ok(cluster.isReplicated(3));
    const stores = cluster.pd.basic.getStores();
    const [up, leaving] = [
      stores.filter(({ meta }) => meta.state === 0),
      stores.filter(({ meta }) => meta.state === 1),
    ];
    assert.is(leaving.length, 0, "stores that were removed are tombstones");
    for (const { meta } of up) {
      assert.ok((cluster.leaderCounts().get(meta.id) ?? 0) > 0, `store ${meta.id} leads`);
      assert.ok((cluster.peerCounts().get(meta.id) ?? 0) > 0, `store ${meta.id} is used`);
    }
    assert.is(cluster.pd.coordinator.operators.all().length, 0);
  });
}

test.run();
