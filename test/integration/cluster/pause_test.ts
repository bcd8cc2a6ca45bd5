/**
 * The leader stands still (SIGSTOP) and wakes up again, with a lease that has ended.
 * @variants RUTILE_ENGINE=rocksdb,librocksdb
 * @timeout 400
 * @seconds 20
 * @waits
 */
import { suite } from "uvu";
import { QUICK_BACK_MS, underLoad } from "../../support/cluster_load.js";

const test = suite("paused leader");

test("another store takes over; the old leader answers nothing stale when it wakes", async () => {
  await underLoad({}, async (cluster, load) => {
    for (let round = 0; round < 2; round++) {
      const leader = await cluster.leaderOf(load.keys[0] as string);
      cluster.pause(leader);
      console.log(`leader paused: back after ${Math.round(await load.back(QUICK_BACK_MS))} ms`);
      cluster.resume(leader);
      await load.back(QUICK_BACK_MS);
      await cluster.ready();
    }
  });
});

test.run();
