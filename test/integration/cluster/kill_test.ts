/**
 * Stores that are killed with SIGKILL under load, one after the other, and start again.
 * @variants RUTILE_ENGINE=rocksdb,librocksdb
 * @timeout 400
 * @seconds 55
 * @waits
 */
import { suite } from "uvu";
import { LoadedCluster, QUICK_BACK_MS } from "../../support/cluster_load.js";

const test = suite("kill -9");
const loaded = new LoadedCluster();
test.after(() => loaded.stop());

test("the leader is killed and comes back, again and again", async () => {
  await loaded.underLoad(async (cluster, load) => {
    for (let round = 0; round < 2; round++) {
      const leader = await cluster.leaderOf(load.keys[0] as string);
      await cluster.kill(leader);
      console.log(`leader killed: back after ${Math.round(await load.back(QUICK_BACK_MS))} ms`);
      await cluster.restart(leader);
      await cluster.ready();
    }
  });
});

test("a follower is killed and nobody notices", async () => {
  await loaded.underLoad(async (cluster, load) => {
    const leaders = await Promise.all(load.keys.map((key) => cluster.leaderOf(key)));
    const follower = [0, 1, 2].find((store) => !leaders.includes(store));
    const victim = follower ?? ((leaders[0] as number) + 1) % 3;
    await cluster.kill(victim);
    await load.back(QUICK_BACK_MS);
    await cluster.restart(victim);
    await cluster.ready();
  });
});

test.run();
