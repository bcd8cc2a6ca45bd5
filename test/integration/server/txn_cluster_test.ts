/**
 * Transactional RPCs against three stores, straight to the wire: what each command answers when it
 * comes to the wrong place, replica reads, and a deadlock whose edges meet on another store.
 * @timeout 180
 */
import { Client, credentials } from "@grpc/grpc-js";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { utf8 } from "../../../src/base/index.js";
import { composeTs, keyFromRaw } from "../../../src/codec/index.js";
import { fromBigInt, kvrpcpb, toBigInt } from "../../../src/pb/index.js";
import { Cluster } from "../../../src/testing/index.js";
import { BatchClient, unary } from "../../support/tikv_server.js";
import { within } from "../../support/within.js";

const test = suite("transactions on three stores");
const LIMIT_MS = 20_000;

type Region = Awaited<ReturnType<Cluster["regions"]>>[number];
type Answer = Record<string, unknown>;

let cluster: Cluster;
const clients: Client[] = [];
/** Led by different stores: keys below "m", and the others. */
let left: Region;
let right: Region;

/** Starts at a time of now, so that max_ts of the store is not ahead. */
let clock = composeTs(BigInt(Date.now()), 0n);
const nextTs = (): bigint => ++clock;

test.before(async () => {
  cluster = new Cluster({ stores: 3, memory: true, mode: "inProcess" });
  await cluster.start();
  await cluster.ready();
  await cluster.splitAt(keyFromRaw(utf8("m")));
  await within(LIMIT_MS, "both halves, on two stores", async () => {
    const regions = await cluster.regions();
    if (regions.length !== 2) return false;
    [left, right] = regions as [Region, Region];
    if (left.leader === undefined || right.leader === undefined) return false;
    if (left.leader.storeId !== right.leader.storeId) return true;
    const other = cluster.stores.findIndex(({ id }) => id !== left.leader?.storeId);
    await cluster.transferLeader(right.id, other);
    return false;
  });
  for (const { address } of cluster.stores) {
    clients.push(new Client(address, credentials.createInsecure()));
  }
});

test.after(async () => {
  for (const client of clients) client.close();
  await cluster.stop();
});

/** The connection to a store, and the context in which its peer is addressed. */
function placeOf(region: Region, storeId: bigint | undefined) {
  const index = cluster.stores.findIndex(({ id }) => id === storeId);
  const peer = region.peers.find((one) => one.storeId === storeId);
  assert.ok(index >= 0 && peer !== undefined);
  const context: kvrpcpb.IContext = {
    regionId: fromBigInt(region.id),
    regionEpoch: { confVer: fromBigInt(region.confVer), version: fromBigInt(region.version) },
    peer: { id: fromBigInt(peer?.id ?? 0n), storeId: fromBigInt(storeId ?? 0n) },
  };
  return { client: clients[index] as Client, context };
}

const leaderOf = (region: Region) => placeOf(region, region.leader?.storeId);
function followerOf(region: Region) {
  return placeOf(
    region,
    region.peers.find(({ storeId }) => storeId !== region.leader?.storeId)?.storeId,
  );
}

/** Every command with keys of the left region: its method, its name in a batch, its fields. */
function commands(key: string): readonly (readonly [string, string, object])[] {
  const k = utf8(key);
  const startVersion = fromBigInt(nextTs());
  const lock = { op: kvrpcpb.Op.PessimisticLock, key: k };
  const put = { op: kvrpcpb.Op.Put, key: k, value: utf8("v") };
  const at = { startVersion, lockTtl: 3000, primaryLock: k };
  return [
    ["KvGet", "Get", { key: k, version: startVersion }],
    ["KvBatchGet", "BatchGet", { keys: [k], version: startVersion }],
    ["KvScan", "Scan", { startKey: k, version: startVersion, limit: 1 }],
    ["KvPrewrite", "Prewrite", { mutations: [put], ...at }],
    ["KvCommit", "Commit", { keys: [k], startVersion, commitVersion: fromBigInt(nextTs()) }],
    ["KvCleanup", "Cleanup", { key: k, startVersion }],
    ["KvBatchRollback", "BatchRollback", { keys: [k], startVersion }],
    ["KvScanLock", "ScanLock", { startKey: k, maxVersion: startVersion }],
    ["KvResolveLock", "ResolveLock", { keys: [k], startVersion }],
    ["KvDeleteRange", "DeleteRange", { startKey: k, endKey: utf8(`${key}~`) }],
    ["KvPessimisticLock", "PessimisticLock", { mutations: [lock], ...at, waitTimeout: -1 }],
    ["KVPessimisticRollback", "PessimisticRollback", { keys: [k], startVersion }],
    ["KvCheckTxnStatus", "CheckTxnStatus", { primaryKey: k, lockTs: startVersion }],
    ["KvTxnHeartBeat", "TxnHeartBeat", { primaryLock: k, startVersion, adviseLockTtl: 1 }],
    ["KvCheckSecondaryLocks", "CheckSecondaryLocks", { keys: [k], startVersion }],
    ["MvccGetByKey", "", { key: k }],
  ];
}

/** Sends every command in both ways; answers of reads and writes alike are given to `check`. */
async function eachCommand(
  { client, context }: { client: Client; context: kvrpcpb.IContext },
  key: string,
  check: (answer: Answer, where: string) => void,
): Promise<void> {
  const batch = new BatchClient(client);
  batch.stream.on("error", () => {});
  for (const [method, command, fields] of commands(key)) {
    const request = { context, ...fields };
    check((await unary(client, method as "KvGet", request as never)) as never, method);
    if (command === "") continue;
    const [answer] = await batch.call({ [command]: request });
    check((answer as unknown as Record<string, Answer>)[command] as Answer, `${command}, batched`);
  }
  batch.stream.cancel();
}

test("a follower names the leader, whatever is asked", async () => {
  await eachCommand(followerOf(left), "a", (answer, where) => {
    const { notLeader } = answer.regionError as { notLeader: { leader: { storeId: number } } };
    assert.is(toBigInt(notLeader.leader.storeId), left.leader?.storeId, where);
  });
});

test("another epoch is answered with the regions as they are", async () => {
  const { client, context } = leaderOf(left);
  const regionEpoch = { confVer: fromBigInt(left.confVer), version: fromBigInt(left.version + 5n) };
  await eachCommand({ client, context: { ...context, regionEpoch } }, "a", (answer, where) => {
    const { epochNotMatch } = answer.regionError as {
      epochNotMatch: { currentRegions: { id: number }[] };
    };
    const ids = epochNotMatch.currentRegions.map(({ id }) => toBigInt(id));
    assert.ok(ids.includes(left.id), where);
  });
});

test("a store that is not there, and a region that is not there", async () => {
  const { client, context } = leaderOf(left);
  const peer = { id: context.peer?.id, storeId: 999 };
  await eachCommand({ client, context: { ...context, peer } }, "a", (answer, where) => {
    assert.ok((answer.regionError as Answer).storeNotMatch, where);
  });
  await eachCommand({ client, context: { ...context, regionId: 9999 } }, "a", (answer, where) => {
    assert.ok((answer.regionError as Answer).regionNotFound, where);
  });
});

test("keys of another region are refused with the bounds of this one", async () => {
  // A scan begins anywhere and ends with the region; so do the locks of one.
  const ranged = /Scan/;
  await eachCommand(leaderOf(left), "z", (answer, where) => {
    if (ranged.test(where)) return;
    const { keyNotInRegion } = (answer.regionError ?? {}) as {
      keyNotInRegion?: { regionId: number; endKey: Uint8Array };
    };
    assert.is(toBigInt(keyNotInRegion?.regionId ?? 0), left.id, where);
    const end = Buffer.from(keyNotInRegion?.endKey ?? []);
    assert.equal(end, Buffer.from(keyFromRaw(utf8("m"))), where);
  });
});

/** Writes one key by prewrite and commit; returns the commit_ts. */
async function write(region: Region, key: string, value: string): Promise<bigint> {
  const { client, context } = leaderOf(region);
  const [startTs, commitTs] = [nextTs(), nextTs()];
  const mutations = [{ op: kvrpcpb.Op.Put, key: utf8(key), value: utf8(value) }];
  const primaryLock = utf8(key);
  const startVersion = fromBigInt(startTs);
  const request = { context, mutations, primaryLock, startVersion, lockTtl: 3000 };
  const prewritten = await unary(client, "KvPrewrite", request);
  assert.equal([prewritten.regionError, prewritten.errors], [null, []]);
  const commitVersion = fromBigInt(commitTs);
  const commit = { context, keys: [utf8(key)], startVersion, commitVersion };
  const committed = await unary(client, "KvCommit", commit);
  assert.equal([committed.regionError, committed.error], [null, null]);
  const { writeDetail, timeDetailV2 } = committed.execDetailsV2 ?? {};
  assert.ok(toBigInt(writeDetail?.applyLogNanos ?? 0) > 0n, "the write took time");
  assert.ok(toBigInt(timeDetailV2?.totalRpcWallTimeNs ?? 0) > 0n, "and so did the whole");
  return commitTs;
}

test("a follower answers a replica read at the leader's index", async () => {
  const commitTs = await write(left, "follow", "new");
  const { client, context } = followerOf(left);
  const asked = { context: { ...context, replicaRead: true }, key: utf8("follow") };
  const version = fromBigInt(nextTs());
  const got = await unary(client, "KvGet", { ...asked, version, needCommitTs: true });
  assert.is(got.regionError, null);
  assert.is(Buffer.from(got.value).toString(), "new");
  assert.is(toBigInt(got.commitTs), commitTs);
});

test("ReadIndex of a follower: the leader's index; its start_ts and ranges reach the leader", async () => {
  await write(left, "index", "v");
  const { client, context } = followerOf(left);
  const ask = async (startTs: bigint, ...ranges: kvrpcpb.IKeyRange[]) => {
    const request = { context, startTs: fromBigInt(startTs), ranges };
    const { locked, readIndex, regionError } = await unary(client, "ReadIndex", request);
    assert.equal([regionError, locked], [null, null]);
    return toBigInt(readIndex);
  };
  const first = await ask(0n);
  assert.ok(first > 0n);
  const ahead = nextTs() + (5000n << 18n);
  assert.ok((await ask(ahead, { startKey: utf8("a"), endKey: utf8("b") }, {})) >= first);
  const startTs = nextTs();
  const place = leaderOf(left);
  const mutations = [{ op: kvrpcpb.Op.Put, key: utf8("index"), value: utf8("w") }];
  const at = { primaryLock: utf8("index"), startVersion: fromBigInt(startTs), lockTtl: 3000 };
  const request = { context: place.context, mutations, ...at, useAsyncCommit: true };
  let minCommitTs = 0n;
  await within(LIMIT_MS, "max_ts is synced", async () => {
    const got = await unary(place.client, "KvPrewrite", request);
    assert.equal(got.errors, []);
    minCommitTs = toBigInt(got.minCommitTs);
    return got.regionError === null;
  });
  assert.ok(minCommitTs > ahead, "the leader has seen the read");
  const back = { context: place.context, keys: [utf8("index")], ...at };
  const undone = await unary(place.client, "KvBatchRollback", back);
  assert.equal([undone.regionError, undone.error], [null, null]);
  const epoch = { confVer: fromBigInt(99n), version: fromBigInt(99n) };
  const lie = { context: { ...context, regionEpoch: epoch } };
  assert.ok((await unary(client, "ReadIndex", lie)).regionError?.epochNotMatch);
});

function lockRequest(region: Region, key: string, startTs: bigint, waitTimeout: number) {
  const { client, context } = leaderOf(region);
  const mutations = [{ op: kvrpcpb.Op.PessimisticLock, key: utf8(key) }];
  const startVersion = fromBigInt(startTs);
  const request = { mutations, primaryLock: utf8(key), startVersion, forUpdateTs: startVersion };
  return unary(client, "KvPessimisticLock", { context, ...request, lockTtl: 20_000, waitTimeout });
}

async function rollBack(region: Region, key: string, startTs: bigint): Promise<void> {
  const { client, context } = leaderOf(region);
  const startVersion = fromBigInt(startTs);
  const request = { context, keys: [utf8(key)], startVersion, forUpdateTs: startVersion };
  const { errors, regionError } = await unary(client, "KVPessimisticRollback", request);
  assert.equal([errors, regionError], [[], null]);
}

for (const [name, last] of [
  ["of its own", "left"],
  ["of the other store's", "right"],
] as const) {
  test(`the store of the empty key finds a deadlock that a wait ${name} closes`, async () => {
    // The first connection between the stores takes its time, and what is lost is asked again.
    await within(LIMIT_MS, "a deadlock", async () => {
      const [one, two] = [nextTs(), nextTs()];
      assert.equal((await lockRequest(left, "dead-a", one, -1)).errors, []);
      assert.equal((await lockRequest(right, "z-dead", two, -1)).errors, []);
      const far = (): ReturnType<typeof lockRequest> => lockRequest(right, "z-dead", one, 900);
      const near = (): ReturnType<typeof lockRequest> => lockRequest(left, "dead-a", two, 900);
      const [first, second] = last === "left" ? [far, near] : [near, far];
      const waits = first();
      await within(LIMIT_MS, "the first waits", async () => {
        const region = last === "left" ? right : left;
        const { entries } = await unary(leaderOf(region).client, "GetLockWaitInfo", {});
        return entries.length === 1;
      });
      const closing = await second();
      await rollBack(left, "dead-a", one);
      await rollBack(right, "z-dead", two);
      await waits;
      const { deadlock } = closing.errors[0] ?? { deadlock: null };
      if (deadlock === null) return false;
      const [waiter, holder] = last === "left" ? [two, one] : [one, two];
      assert.is(toBigInt(deadlock.lockTs), holder);
      assert.is(Buffer.from(deadlock.lockKey).toString(), last === "left" ? "dead-a" : "z-dead");
      const chain = deadlock.waitChain.map((edge) => [edge.txn, edge.waitForTxn].map(toBigInt));
      assert.equal(chain, [
        [holder, waiter],
        [waiter, holder],
      ]);
      return true;
    });
  });
}

test.run();
