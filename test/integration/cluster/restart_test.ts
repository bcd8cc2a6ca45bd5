/**
 * Everything ends at once, by force or in order, and starts again with its data.
 * @variants RUTILE_ENGINE=rocksdb,librocksdb
 * @timeout 400
 * @seconds 75
 * @waits
 */
import { suite } from "uvu";
import { LoadedCluster, QUICK_BACK_MS } from "../../support/cluster_load.js";
import { within } from "../../support/within.js";

const test = suite("restart");
/** They go on, however slow the machine is. */
const WRITES_MS = 60_000;
const loaded = new LoadedCluster();
test.after(() => loaded.stop());

test("all stores are killed at once and start again", async () => {
  await loaded.underLoad(async (cluster, load) => {
    await Promise.all([0, 1, 2].map((store) => cluster.kill(store)));
    for (const store of [0, 1, 2]) await cluster.restart(store);
    console.log(`all killed: back after ${Math.round(await load.back(QUICK_BACK_MS))} ms`);
  });
});

test("stores are restarted one after the other, as for an upgrade", async () => {
  await loaded.underLoad(async (cluster, load) => {
    for (const store of [0, 1, 2]) {
      await cluster.restart(store);
      await load.back(QUICK_BACK_MS);
      await cluster.ready();
    }
  });
});

test("PD is killed and starts again; stores serve meanwhile", async () => {
  await loaded.underLoad(async (cluster, load) => {
    const before = load.acknowledged;
    await cluster.killPd();
    await within(WRITES_MS, "writes without PD", () => load.acknowledged > before + 50);
    await cluster.startPd();
    await load.back(QUICK_BACK_MS);
  });
});

test.run();
