/**
 * TxnClient on a store with API V2: keys live in a keyspace, and errors and scans name them without
 * its prefix. Raw keys of the same name are other keys.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { utf8 } from "../../../src/base/index.js";
import {
  DeadlockError,
  KeyExistsError,
  LockTimeoutError,
  RawClient,
  WriteConflictError,
} from "../../../src/client/index.js";
import { connectTxnAdmin } from "../../../src/client/internal.js";
import { API_VERSION, keyFromRaw, keyspacePrefix } from "../../../src/codec/index.js";
import { fromBigInt, kvrpcpb, methodInfo } from "../../../src/pb/index.js";
import { callUnary, type LocatedRegion, openChannel } from "../../../src/pd_client/index.js";
import type { Cluster } from "../../../src/testing/index.js";
import {
  failure,
  pairs,
  startTxnCluster,
  type TxnCluster,
  text,
  Wire,
  withClients,
} from "../../support/txn_cluster.js";
import { within } from "../../support/within.js";

const test = suite("txn keyspace");

let started: Awaited<ReturnType<typeof startTxnCluster>>;
test.before(async () => {
  started = await startTxnCluster({
    config: { "storage.api-version": 2, "storage.enable-ttl": true },
  });
});
test.after(() => started.stop());

const V2 = { apiVersion: "V2" } as const;
const run = (body: (parts: TxnCluster) => Promise<void>): Promise<void> =>
  withClients(started.cluster, body);

/** Splits at a key of a keyspace, which the store encodes. */
async function splitKeyspace(cluster: Cluster, key: Uint8Array): Promise<void> {
  const regions = await cluster.regions();
  const [region] = regions as [LocatedRegion];
  const { confVer, id, leader, version } = region;
  const channel = openChannel(cluster.stores[0]?.address as string);
  const context = {
    regionId: fromBigInt(id),
    regionEpoch: { confVer: fromBigInt(confVer), version: fromBigInt(version) },
    peer: { id: fromBigInt(leader?.id as bigint), storeId: fromBigInt(leader?.storeId as bigint) },
    apiVersion: API_VERSION.V2,
  };
  const method = methodInfo("tikvpb.Tikv", "SplitRegion");
  const reply = await callUnary(channel, method, { context, splitKeys: [key] }, 10_000);
  channel.close();
  assert.ok(reply.ok && reply.value.regionError === null, "the split was refused");
  await within(10_000, "PD knows", async () => (await cluster.regions()).length > regions.length);
}

test("reads, writes and scans over regions", () =>
  run(async ({ connect, cluster }) => {
    const client = await connect(V2);
    const prefix = Buffer.from(keyspacePrefix("txn", 0));
    await splitKeyspace(cluster, Buffer.concat([prefix, utf8("b")]));
    await client.transaction(async (txn) => {
      for (const key of ["a", "b", "c"]) await txn.put(key, key);
    });
    const raw = await RawClient.connect({ pdEndpoints: cluster.pdEndpoints, ...V2 });
    await raw.put("a", "raw");
    raw.close();
    const txn = await client.begin();
    await txn.put("bb", "mine");
    const all = ["a=a", "b=b", "bb=mine", "c=c"];
    assert.equal(await pairs(txn.scan()), all);
    assert.equal(await pairs(txn.reverseScan()), [...all].reverse());
    assert.equal(await pairs(txn.scan({ start: "b", end: "c" })), ["b=b", "bb=mine"]);
    await txn.rollback();
  }));

test("errors name the caller's keys", () =>
  run(async ({ connect }) => {
    const client = await connect(V2);
    const early = await client.begin();
    const holder = await client.begin({ pessimistic: true });
    await holder.put("key/1", "1");
    const other = await client.begin({ pessimistic: true, lockWaitMs: 0 });
    const timeout = (await failure(other.put("key/1", "2"))) as LockTimeoutError;
    assert.instance(timeout, LockTimeoutError);
    assert.is(text(timeout.key), "key/1");
    await other.put("key/2", "2");
    const waiting = holder.put("key/2", "1");
    const deadlock = (await failure(
      other.put("key/1", "2", { lockWaitMs: 5000 }),
    )) as DeadlockError;
    assert.instance(deadlock, DeadlockError);
    assert.is(text(deadlock.key), "key/1");
    assert.ok(deadlock.chain.every(({ key }) => text(key)?.startsWith("key/")));
    await other.rollback();
    await waiting;
    await holder.commit();
    await early.put("key/1", "3");
    const conflict = (await failure(early.commit())) as WriteConflictError;
    assert.instance(conflict, WriteConflictError);
    assert.is(text(conflict.key), "key/1");
    const insert = await client.begin();
    await insert.insert("key/2", "3");
    const exists = (await failure(insert.commit())) as KeyExistsError;
    assert.instance(exists, KeyExistsError);
    assert.is(text(exists.key), "key/2");
  }));

/** Locks a key of TiDB's, as a client of V1 does, and never comes back. */
async function lockForTidb(cluster: Cluster, key: string, startTs: bigint): Promise<void> {
  const wire = keyFromRaw(utf8(key));
  const region = (await cluster.regions()).find(
    ({ startKey, endKey }) =>
      Buffer.compare(wire, startKey) >= 0 &&
      (endKey.length === 0 || Buffer.compare(wire, endKey) < 0),
  );
  assert.ok(region?.leader);
  const { confVer, id, leader, version } = region as LocatedRegion;
  const channel = openChannel(cluster.stores[0]?.address as string);
  const context = {
    regionId: fromBigInt(id),
    regionEpoch: { confVer: fromBigInt(confVer), version: fromBigInt(version) },
    peer: { id: fromBigInt(leader?.id ?? 0n), storeId: fromBigInt(leader?.storeId ?? 0n) },
  };
  const method = methodInfo("tikvpb.Tikv", "KvPrewrite");
  const mutations = [{ op: kvrpcpb.Op.Put, key: utf8(key), value: utf8("tidb") }];
  const startVersion = fromBigInt(startTs);
  const request = { context, mutations, primaryLock: utf8(key), startVersion, lockTtl: 1 };
  const reply = await callUnary(channel, method, request, 10_000);
  channel.close();
  assert.ok(reply.ok && reply.value.regionError === null && reply.value.errors.length === 0);
}

test("GC ends the locks of all keyspaces, and those of TiDB beside them", () =>
  run(async ({ connect, cluster }) => {
    const wire = new Wire();
    const dying = await connect({ ...V2, managedTtlMs: 100 }, wire);
    const txn = await dying.begin({ onePc: false, asyncCommit: false });
    await txn.put("gc/a", "1");
    await txn.put("gc/c", "1");
    for (const command of ["Commit", "BatchRollback", "TxnHeartBeat"] as const)
      wire.lost.add(command);
    await failure(txn.commit());
    await lockForTidb(cluster, "t1", txn.startTs);
    await lockForTidb(cluster, "m1", txn.startTs);
    const client = await connect(V2);
    let resolved = 0;
    const gc = await connectTxnAdmin({ pdEndpoints: cluster.pdEndpoints, ...V2 });
    try {
      await within(20_000, "all locks have expired", async () => {
        const safePoint = await client.timestamp();
        const { oldestAlive, resolvedLocks } = await gc.resolve(safePoint);
        resolved += resolvedLocks;
        return oldestAlive === undefined;
      });
      assert.is(resolved, 4);
      const again = await gc.resolve(await client.timestamp());
      assert.is(again.resolvedLocks, 0);
      assert.ok(again.regions >= 2, `${again.regions} regions`);
    } finally {
      gc.close();
    }
    assert.is(await (await client.snapshot()).get("gc/a"), undefined);
  }));

test("a client of another API version is refused", () =>
  run(async ({ connect }) => {
    const client = await connect({ apiVersion: "V1", timeoutMs: 3000 });
    const error = await failure((await client.begin()).get("a"));
    assert.ok(error.code?.startsWith("KV:") || error.code?.startsWith("RUTILE:"), error.message);
  }));

test.run();
