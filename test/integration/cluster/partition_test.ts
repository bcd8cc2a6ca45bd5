/**
 * Cuts between stores: clients still reach all of them.
 * @variants RUTILE_ENGINE=rocksdb,librocksdb
 * @timeout 400
 * @seconds 60
 * @waits
 */
import { suite } from "uvu";
import { LoadedCluster, QUICK_BACK_MS } from "../../support/cluster_load.js";

const test = suite("partition");
const loaded = new LoadedCluster();
test.after(() => loaded.stop());

/** Stores other than `store` of three. */
const others = (store: number): number[] => [0, 1, 2].filter((one) => one !== store);

test("a leader that reaches no other store is replaced, and is no leader for its clients", async () => {
  await loaded.underLoad(async (cluster, load) => {
    const leader = await cluster.leaderOf(load.keys[0] as string);
    for (const other of others(leader)) cluster.cut({ from: leader, to: other });
    console.log(`leader cut off: back after ${Math.round(await load.back(QUICK_BACK_MS))} ms`);
    cluster.heal();
    await load.back(QUICK_BACK_MS);
    await cluster.ready();
  });
});

test("a leader that is heard but hears nobody is replaced too", async () => {
  await loaded.underLoad(async (cluster, load) => {
    const leader = await cluster.leaderOf(load.keys[0] as string);
    for (const other of others(leader)) cluster.cut({ from: other, to: leader, oneWay: true });
    console.log(`leader deaf: back after ${Math.round(await load.back(QUICK_BACK_MS))} ms`);
    cluster.heal();
    await cluster.ready();
  });
});

test("slow and lossy links between all stores cost time, nothing else", async () => {
  await loaded.underLoad(async (cluster, load) => {
    cluster.delayLink(10, { from: 0, to: 1 });
    cluster.dropRaft(0.1);
    await load.back(QUICK_BACK_MS);
    await cluster.splitAt("e");
    await load.back(QUICK_BACK_MS);
    cluster.heal();
    await cluster.ready();
  });
});

test("a store cut off from stores, PD and clients comes back", async () => {
  await loaded.underLoad(async (cluster, load) => {
    const leader = await cluster.leaderOf(load.keys[0] as string);
    cluster.isolate(leader);
    await load.back(QUICK_BACK_MS);
    cluster.heal();
    await cluster.ready();
  });
});

test.run();
