/**
 * PD's own GC leader on three store processes: versions go on every replica, locks of dead clients are
 * resolved first, live transactions and barriers hold it, and an outside leader switches it off.
 * @timeout 300
 * @seconds 35
 * @waits
 */
import { Client, credentials } from "@grpc/grpc-js";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { utf8 } from "../../../src/base/index.js";
import { TxnClient } from "../../../src/client/index.js";
import { keyFromRaw } from "../../../src/codec/index.js";
import { type errorpb, fromBigInt, kvrpcpb } from "../../../src/pb/index.js";
import { type GcState, PdClient, type PdReply } from "../../../src/pd_client/index.js";
import { Cluster } from "../../../src/testing/index.js";
import { unary } from "../../support/tikv_server.js";
import { within } from "../../support/within.js";

const LIMIT_MS = 60_000;
const CONFIG = {
  "gc.run-interval": "200ms",
  "gc.life-time": "1s",
  "gc.poll-interval": "100ms",
};

interface Parts {
  readonly cluster: Cluster;
  readonly pd: PdClient;
  readonly client: TxnClient;
}

async function withCluster(use: (parts: Parts) => Promise<void>): Promise<void> {
  const cluster = new Cluster({ mode: "processes", stores: 3, config: CONFIG });
  let pd: PdClient | undefined;
  let client: TxnClient | undefined;
  try {
    await cluster.start();
    await cluster.ready();
    pd = new PdClient({ endpoints: cluster.pdEndpoints });
    client = await TxnClient.connect({ pdEndpoints: cluster.pdEndpoints });
    await use({ cluster, pd, client });
    assert.equal(cluster.deaths, []);
  } finally {
    await client?.close();
    pd?.close();
    await cluster.stop();
  }
}

function mustOk<T>(reply: PdReply<T>): T {
  if (reply.ok) return reply.value;
  throw new Error(reply.error.message);
}

async function stateOf(pd: PdClient): Promise<GcState> {
  return mustOk(await pd.getGcState());
}

async function timestamp(pd: PdClient): Promise<bigint> {
  return mustOk(await pd.getTimestamps(1));
}

/** Waits until the GC safe point is at `ts` or above. */
async function collectedUpTo(pd: PdClient, ts: bigint): Promise<void> {
  await within(LIMIT_MS, "the safe point moves", async () => (await stateOf(pd)).gcSafePoint >= ts);
}

interface Place {
  readonly rpc: Client;
  readonly context: kvrpcpb.IContext;
}

interface Answer {
  readonly regionError?: errorpb.IError | null;
}

/**
 * Asks the leader of a key's region; again when it is not the leader any more, as on a busy machine.
 * Returns an answer without a region error.
 */
async function askLeader<T extends Answer>(
  parts: Parts,
  key: string,
  ask: (place: Place) => Promise<T>,
): Promise<T> {
  return within(LIMIT_MS, `an answer of the leader of ${key}`, async () => {
    const answer = await atLeader(parts, key, ask);
    return (answer?.regionError ?? null) === null ? answer : undefined;
  }) as Promise<T>;
}

/** Calls `use` with a connection to the leader of a key's region; undefined: PD knows none. */
async function atLeader<T>(
  { cluster, pd }: Parts,
  key: string,
  use: (place: Place) => Promise<T>,
): Promise<T | undefined> {
  const found = await pd.getRegion(keyFromRaw(utf8(key)));
  if (!found.ok || found.value?.leader === undefined) return undefined;
  const { confVer, id, leader, version } = found.value;
  const store = cluster.stores.find((one) => one.id === leader.storeId);
  const rpc = new Client(store?.address ?? "", credentials.createInsecure());
  const context = {
    regionId: fromBigInt(id),
    regionEpoch: { confVer: fromBigInt(confVer), version: fromBigInt(version) },
    peer: { id: fromBigInt(leader.id), storeId: fromBigInt(leader.storeId) },
  };
  try {
    return await use({ rpc, context });
  } finally {
    rpc.close();
  }
}

interface Locking {
  readonly startTs: bigint;
  readonly primary: string;
  readonly ttlMs: number;
}

/** Leaves a lock as a client does that dies after its prewrite. */
async function lock(
  parts: Parts,
  key: string,
  { primary, startTs, ttlMs }: Locking,
): Promise<void> {
  const answer = await askLeader(parts, key, ({ context, rpc }) =>
    unary(rpc, "KvPrewrite", {
      context,
      mutations: [{ op: kvrpcpb.Op.Put, key: utf8(key), value: utf8(`new ${key}`) }],
      primaryLock: utf8(primary),
      startVersion: fromBigInt(startTs),
      lockTtl: ttlMs,
    }),
  );
  assert.equal(answer.errors, []);
}

async function mvccOf(parts: Parts, key: string): Promise<kvrpcpb.IMvccInfo> {
  const answer = await askLeader(parts, key, ({ context, rpc }) =>
    unary(rpc, "MvccGetByKey", { context, key: utf8(key) }),
  );
  assert.is(answer.error, "");
  return answer.info ?? {};
}

/** Entries of the write CF that a store has deleted. */
async function deletedBy(address: string | null): Promise<number> {
  const text = await (await fetch(`http://${address}/metrics`)).text();
  const line = /^tikv_gcworker_gc_keys\{key_mode="txn",cf="write",tag="deleted"\} (\d+)$/m.exec(
    text,
  );
  return Number(line?.[1] ?? 0);
}

async function put(client: TxnClient, key: string, value: string): Promise<void> {
  await client.transaction(async (txn) => txn.put(key, value));
}

async function get(client: TxnClient, key: string): Promise<string> {
  const snapshot = await client.snapshot();
  const value = await snapshot.get(key);
  return value === undefined ? "none" : Buffer.from(value).toString("latin1");
}

async function versionsGo(parts: Parts): Promise<void> {
  const { client, cluster, pd } = parts;
  for (let i = 0; i < 20; i++) await put(client, "k", `v${i}`);
  await put(client, "gone", "v");
  await client.transaction(async (txn) => txn.delete("gone"));
  await collectedUpTo(pd, await timestamp(pd));
  await within(
    LIMIT_MS,
    "one is left",
    async () => (await mvccOf(parts, "k")).writes?.length === 1,
  );
  assert.is(await get(client, "k"), "v19");
  assert.is(await get(client, "gone"), "none");
  for (const { statusAddress } of cluster.stores) {
    await within(LIMIT_MS, "each replica", async () => (await deletedBy(statusAddress)) >= 19);
  }
  await within(LIMIT_MS, "all go", async () => (await mvccOf(parts, "gone")).writes?.length === 0);
}

async function deadLocksAreResolved(parts: Parts): Promise<void> {
  const { client, cluster, pd } = parts;
  await cluster.splitAt(keyFromRaw(utf8("m")));
  for (const key of ["a", "z", "b", "y"]) await put(client, key, `old ${key}`);
  // One has committed its primary and died, the other died before.
  const committed = { startTs: await timestamp(pd), primary: "a", ttlMs: 1 };
  for (const key of ["a", "z"]) await lock(parts, key, committed);
  const commitTs = await timestamp(pd);
  const answer = await askLeader(parts, "a", ({ context, rpc }) =>
    unary(rpc, "KvCommit", {
      context,
      keys: [utf8("a")],
      startVersion: fromBigInt(committed.startTs),
      commitVersion: fromBigInt(commitTs),
    }),
  );
  assert.is(answer.error, null);
  const died = { startTs: await timestamp(pd), primary: "b", ttlMs: 1 };
  for (const key of ["b", "y"]) await lock(parts, key, died);
  await collectedUpTo(pd, died.startTs);
  for (const key of ["a", "z", "b", "y"]) {
    assert.is((await mvccOf(parts, key)).lock, null, `the lock of ${key}`);
  }
  const values = await Promise.all(["a", "z", "b", "y"].map((key) => get(client, key)));
  assert.equal(values, ["new a", "new z", "old b", "old y"]);
}

test("versions go on all replicas; locks of dead clients are resolved first, as they ended", () =>
  withCluster(async (parts) => {
    await versionsGo(parts);
    await deadLocksAreResolved(parts);
  }));

async function liveTransactionsHold(parts: Parts): Promise<void> {
  const { pd } = parts;
  const startTs = await timestamp(pd);
  await lock(parts, "alive", { startTs, primary: "alive", ttlMs: 6000 });
  const later = await timestamp(pd);
  await within(LIMIT_MS, "held", async () => (await stateOf(pd)).gcSafePoint === startTs - 1n);
  assert.ok((await mvccOf(parts, "alive")).lock);
  const barrierTs = later + 5n;
  mustOk(await pd.setGcBarrier("backup", barrierTs, undefined));
  await collectedUpTo(pd, later);
  assert.is((await mvccOf(parts, "alive")).lock, null, "it has expired meanwhile");
  await within(LIMIT_MS, "barrier", async () => (await stateOf(pd)).gcSafePoint === barrierTs);
  mustOk(await pd.deleteGcBarrier("backup"));
  await collectedUpTo(pd, barrierTs + 1n);
}

async function outsideLeaderSwitchesOff({ cluster, pd }: Parts): Promise<void> {
  await collectedUpTo(pd, 1n);
  const { txnSafePoint } = await stateOf(pd);
  const target = txnSafePoint + (60_000n << 18n);
  mustOk(await pd.advanceTxnSafePoint(target));
  const before = await stateOf(pd);
  await cluster.killPd();
  await cluster.startPd();
  await within(LIMIT_MS, "PD is back", async () => (await pd.getGcState()).ok);
  const asked = await timestamp(pd);
  // Long enough for many rounds: the life time has to pass in timestamps.
  await within(LIMIT_MS, "3 s", async () => (await timestamp(pd)) > asked + (3000n << 18n));
  assert.equal(await stateOf(pd), before);
}

test("live transactions and barriers hold the safe point; an outside leader switches PD's off", () =>
  withCluster(async (parts) => {
    await liveTransactionsHold(parts);
    await outsideLeaderSwitchesOff(parts);
  }));

test.run();
