/**
 * TiKV's ticks of a second: what operators have who change nothing.
 * @variants RUTILE_ENGINE=rocksdb,librocksdb
 * @timeout 400
 * @seconds 35
 * @waits
 */
import { suite } from "uvu";
import { DEFAULT_BACK_MS, underLoad } from "../../support/cluster_load.js";

const test = suite("defaults");

test("with the default ticks service is back within 30 s of the leader's end", async () => {
  const config = {
    "raftstore.raft-base-tick-interval": "1s",
    "raftstore.pd-heartbeat-tick-interval": "60s",
    "raftstore.pd-store-heartbeat-tick-interval": "10s",
  };
  await underLoad({ config }, async (cluster, load) => {
    const leader = await cluster.leaderOf(load.keys[0] as string);
    await cluster.kill(leader);
    console.log(`leader killed: back after ${Math.round(await load.back(DEFAULT_BACK_MS))} ms`);
    await cluster.restart(leader);
  });
});

test.run();
