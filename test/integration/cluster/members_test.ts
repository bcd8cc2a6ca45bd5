/**
 * Stores come and go under load.
 * @variants RUTILE_ENGINE=rocksdb,librocksdb
 * @timeout 400
 * @seconds 50
 * @waits
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { QUICK_BACK_MS, underLoad } from "../../support/cluster_load.js";

const test = suite("members");

test("a store that joins takes replicas; one that is removed hands all of its own over", async () => {
  await underLoad({}, async (cluster, load) => {
    const added = await cluster.addStore();
    const leaving = await cluster.leaderOf(load.keys[0] as string);
    await cluster.removeStore(leaving);
    assert.is(cluster.stores[leaving]?.state, "removed");
    await load.back(QUICK_BACK_MS);
    await cluster.ready();
    const regions = await cluster.regions();
    const { id } = added;
    const ids = regions.map(({ peers }) => peers.map(({ storeId }) => storeId));
    assert.ok(
      ids.every((stores) => stores.includes(id)),
      "the new store has a replica of each",
    );
    const gone = cluster.stores[leaving]?.id as bigint;
    assert.not(ids.some((stores) => stores.includes(gone)));
  });
});

test("one store grows to three replicas without a word from anybody", async () => {
  const config = { "replication.max-replicas": 3 };
  await underLoad({ stores: 1, config }, async (cluster, load) => {
    await cluster.addStore();
    await cluster.addStore();
    await cluster.ready();
    for (const { peers } of await cluster.regions()) assert.is(peers.length, 3);
    const first = await cluster.leaderOf(load.keys[0] as string);
    await cluster.kill(first);
    await load.back(QUICK_BACK_MS);
    await cluster.restart(first);
  });
});

test.run();
