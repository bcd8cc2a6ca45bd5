/** A store that left the cluster for good: what it and others are told. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { metapb, pdpb, toBigInt } from "../../../src/pb/index.js";
import { engineKv, keyPath } from "../../../src/pd/storage/index.js";
import { openDiskEngine } from "../../support/engine_harness.js";
import { startTestPd, testRegion, testStore } from "../../support/pd.js";
import { tmpDir } from "../../support/tmp.js";

const TOMBSTONE = [pdpb.ErrorType.STORE_TOMBSTONE, "store is tombstone"];

function errorOf({ header }: { header: pdpb.ResponseHeader | null }): [number, string] {
  return [header?.error?.type ?? 0, header?.error?.message ?? ""];
}

/** Returns the directory of a PD with store 1 Up and store 2, at h:2, a tombstone. */
async function directoryWithTombstone(): Promise<string> {
  const dataDir = tmpDir("pd-tombstone");
  const first = await startTestPd({ options: { dataDir } });
  const { clusterId } = first.pd;
  const store = testStore(1n, "h:1");
  await first.client.call("Bootstrap", { store, region: testRegion(1n) });
  await first.stop();
  const engine = await openDiskEngine("rocksdb", dataDir);
  const value = metapb.Store.encode({
    ...testStore(2n, "h:2"),
    state: metapb.StoreState.Tombstone,
    nodeState: metapb.NodeState.Removed,
  }).finish();
  await engineKv(engine).save([{ key: keyPath.store(clusterId, 2n), value }]);
  await engine.close();
  return dataDir;
}

test("a tombstone cannot register or report; its address is free; lists can leave it out", async () => {
  const pd = await startTestPd({ options: { dataDir: await directoryWithTombstone() } });
  const { client } = pd;
  const put = await client.call("PutStore", { store: testStore(2n, "h:2") });
  assert.equal(errorOf(put), TOMBSTONE);
  const beat = await client.call("StoreHeartbeat", { stats: { storeId: 2 } });
  assert.equal(errorOf(beat), TOMBSTONE);
  const shown = await client.call("GetStore", { storeId: 2 });
  assert.is(shown.store?.nodeState, metapb.NodeState.Removed);
  const idsOf = async (excludeTombstoneStores: boolean): Promise<bigint[]> => {
    const { stores } = await client.call("GetAllStores", { excludeTombstoneStores });
    return stores.map((store) => toBigInt(store.id));
  };
  assert.equal(await idsOf(false), [1n, 2n]);
  assert.equal(await idsOf(true), [1n]);
  const url = `http://${pd.pd.address}/pd/api/v1`;
  const stores = (await (await fetch(`${url}/stores`)).json()) as { count: number };
  assert.is(stores.count, 1);
  const one = await (await fetch(`${url}/store/2`)).text();
  assert.match(one, /"state_name":"Tombstone"/);
  const newcomer = await client.call("PutStore", { store: testStore(3n, "h:2") });
  assert.equal(errorOf(newcomer), [0, ""]);
  await pd.stop();
});

test.run();
