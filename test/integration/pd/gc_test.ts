/** Safe points and barriers over gRPC and HTTP, and through kill -9. */
import { type ServiceError, status } from "@grpc/grpc-js";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { utf8, utf8Decode } from "../../../src/base/index.js";
import { fromBigInt, fromSignedBigInt, type pdpb, toBigInt } from "../../../src/pb/index.js";
import { JumpingClock } from "../../support/clocks.js";
import {
  type PdTestClient,
  startTestPd,
  type TestPd,
  type TestPdOptions,
  testRegion,
  testStore,
} from "../../support/pd.js";
import { spawnGcLeader, spawnPd } from "../../support/pd_process.js";
import { tmpDir } from "../../support/tmp.js";

const NEVER = fromSignedBigInt((1n << 63n) - 1n);
/** Beyond 2^53, as timestamps are. */
const TS = 460_000_000_000_000_001n;

async function withCluster(
  run: (client: PdTestClient, pd: TestPd) => Promise<void>,
  options: TestPdOptions = {},
): Promise<void> {
  const pd = await startTestPd(options);
  try {
    await bootstrap(pd.client);
    await run(pd.client, pd);
  } finally {
    await pd.stop();
  }
}

async function bootstrap(client: PdTestClient): Promise<void> {
  const store = testStore(1n, "127.0.0.1:1");
  await client.call("Bootstrap", { store, region: testRegion(1n) });
}

function errorOf({ header }: { header: pdpb.ResponseHeader | null }): string {
  return header?.error?.message ?? "";
}

async function stateOf(client: PdTestClient): Promise<[bigint, bigint, string[]]> {
  const { gcState } = await client.call("GetGCState", {});
  assert.ok(gcState);
  const barriers = gcState.gcBarriers.map((one) => `${one.barrierId}@${toBigInt(one.barrierTs)}`);
  return [toBigInt(gcState.txnSafePoint), toBigInt(gcState.gcSafePoint), barriers];
}

async function leaderOf(pd: TestPd): Promise<string> {
  const answer = await fetch(`http://${pd.pd.address}/pd/api/v1/gc/state`);
  return ((await answer.json()) as { leader: string }).leader;
}

test("a GC leader moves the txn safe point, then the GC safe point; barriers hold it", () =>
  withCluster(async (client) => {
    assert.equal(await stateOf(client), [0n, 0n, []]);
    const set = await client.call("SetGCBarrier", {
      barrierId: "backup",
      barrierTs: fromBigInt(TS),
      ttlSeconds: 3600,
    });
    assert.is(toBigInt(set.newBarrierInfo?.barrierTs ?? 0), TS);
    const ttl = toBigInt(set.newBarrierInfo?.ttlSeconds ?? 0);
    assert.ok(ttl >= 3600n && ttl <= 3601n, `${ttl}`);
    const target = fromBigInt(TS + 5n);
    const txn = await client.call("AdvanceTxnSafePoint", { target });
    assert.equal([toBigInt(txn.oldTxnSafePoint), toBigInt(txn.newTxnSafePoint)], [0n, TS]);
    assert.match(txn.blockerDescription, /BarrierID: backup/);
    const tooFar = await client.call("AdvanceGCSafePoint", { target });
    assert.match(errorOf(tooFar), /ErrGCSafePointExceedsTxnSafePoint/);
    const gc = await client.call("AdvanceGCSafePoint", { target: fromBigInt(TS) });
    assert.equal([toBigInt(gc.oldGcSafePoint), toBigInt(gc.newGcSafePoint)], [0n, TS]);
    assert.equal(await stateOf(client), [TS, TS, [`backup@${TS}`]]);
    const gone = await client.call("DeleteGCBarrier", { barrierId: "backup" });
    assert.is(gone.deletedBarrierInfo?.barrierId, "backup");
    const none = await client.call("DeleteGCBarrier", { barrierId: "backup" });
    assert.is(none.deletedBarrierInfo, null);
    const back = await client.call("AdvanceTxnSafePoint", { target: 1 });
    assert.match(errorOf(back), /PD:gc:ErrDecreasingTxnSafePoint/);
    const all = await client.call("GetAllKeyspacesGCStates", {});
    assert.equal(
      all.gcStates.map(({ keyspaceScope }) => keyspaceScope?.keyspaceId),
      [0xffff_ffff, 0],
    );
    assert.is(toBigInt((await client.call("GetGCSafePoint", {})).safePoint), TS);
  }));

test("keyspaces: DEFAULT reads the shared state, moves nothing; others do not exist", () =>
  withCluster(async (client) => {
    const scope = (keyspaceId: number) => ({ keyspaceScope: { keyspaceId } });
    await client.call("AdvanceTxnSafePoint", { target: 9, ...scope(0xffff_ffff) });
    const state = await client.call("GetGCState", scope(0));
    assert.is(toBigInt(state.gcState?.txnSafePoint ?? 0), 9n);
    assert.is(state.gcState?.keyspaceScope?.keyspaceId, 0xffff_ffff);
    const wrong = await client.call("AdvanceTxnSafePoint", { target: 10, ...scope(0) });
    assert.match(errorOf(wrong), /ErrGCOnInvalidKeyspace/);
    assert.match(errorOf(await client.call("GetGCState", scope(5))), /ErrKeyspaceNotFound/);
  }));

test("the older calls: gc_worker's service safe point, the GC safe point, both monotonic", () =>
  withCluster(async (client) => {
    const service = (id: string, ts: bigint, TTL: pdpb.IUpdateServiceGCSafePointRequest["TTL"]) =>
      client.call("UpdateServiceGCSafePoint", {
        serviceId: utf8(id),
        safePoint: fromBigInt(ts),
        TTL: TTL ?? null,
      });
    const cdc = await service("cdc", TS, 600);
    assert.equal([utf8Decode(cdc.serviceId), toBigInt(cdc.minSafePoint)], ["gc_worker", 0n]);
    const worker = await service("gc_worker", TS + 9n, NEVER);
    assert.equal([utf8Decode(worker.serviceId), toBigInt(worker.minSafePoint)], ["cdc", TS]);
    const gc = await client.call("UpdateGCSafePoint", { safePoint: fromBigInt(TS) });
    assert.is(toBigInt(gc.newSafePoint), TS);
    const ask = await client.call("UpdateGCSafePoint", {});
    assert.is(toBigInt(ask.newSafePoint), TS);
    await service("cdc", 0n, fromSignedBigInt(-1n));
    const free = await service("gc_worker", TS + 9n, NEVER);
    assert.is(toBigInt(free.minSafePoint), TS + 9n);
    const v2 = await client.call("GetGCSafePointV2", { keyspaceId: 0xffff_ffff });
    assert.is(toBigInt(v2.safePoint), TS);
    const error = (await service("gc_worker", TS + 10n, 5).catch((e) => e)) as ServiceError;
    assert.is(error.code, status.UNKNOWN);
  }));

test("UpdateGCSafePoint alone, as client-rust calls it, moves both safe points", () =>
  withCluster(async (client) => {
    const moved = await client.call("UpdateGCSafePoint", { safePoint: fromBigInt(TS) });
    assert.is(toBigInt(moved.newSafePoint), TS);
    assert.equal(await stateOf(client), [TS, TS, []]);
  }));

test("the txn safe point is also an etcd key, and follows it when an older leader writes it", () =>
  withCluster(async (client) => {
    const key = utf8("/tidb/store/gcworker/saved_safe_point");
    const read = async (): Promise<string> => {
      const { kvs } = await client.callRaw("etcdserverpb.KV", "Range", { key });
      return utf8Decode(kvs[0]?.value ?? new Uint8Array(0));
    };
    assert.is(await read(), "");
    await client.call("AdvanceTxnSafePoint", { target: 77 });
    assert.is(await read(), "77");
    await client.callRaw("etcdserverpb.KV", "Put", { key, value: utf8("99") });
    assert.equal(await stateOf(client), [99n, 0n, []]);
    await client.callRaw("etcdserverpb.KV", "Put", { key, value: utf8("50") });
    assert.equal(await stateOf(client), [99n, 0n, []]);
  }));

test("an open transaction that a SQL node reports in etcd holds the txn safe point", () =>
  withCluster(async (client) => {
    const key = utf8("/tidb/server/minstartts/node-1");
    await client.callRaw("etcdserverpb.KV", "Put", { key, value: utf8("40") });
    const moved = await client.call("AdvanceTxnSafePoint", { target: 90 });
    assert.is(toBigInt(moved.newTxnSafePoint), 40n);
    assert.match(moved.blockerDescription, /TiDBMinStartTS .*node-1/);
  }));

test("a safe point moved from outside makes the outside the leader of GC, for good", () =>
  withCluster(async (client, pd) => {
    assert.is(await leaderOf(pd), "builtin");
    await client.call("UpdateGCSafePoint", {});
    await client.call("GetGCState", {});
    await client.call("SetGCBarrier", { barrierId: "b", barrierTs: 500, ttlSeconds: 60 });
    assert.is(await leaderOf(pd), "builtin");
    await client.call("AdvanceTxnSafePoint", { target: 3 });
    assert.is(await leaderOf(pd), "external");
    assert.ok(pd.logs.lines.some(({ message }) => message.startsWith("gc is led from outside")));
    const url = `http://${pd.pd.address}/pd/api/v1/gc/leader`;
    await fetch(url, { method: "POST", body: '{"leader":"builtin"}' });
    assert.is(await leaderOf(pd), "builtin");
    const bad = await fetch(url, { method: "POST", body: '{"leader":"nobody"}' });
    assert.is(bad.status, 400);
  }));

test("HTTP shows safe points as PD does, and deletes one", () =>
  withCluster(async (client, pd) => {
    await client.call("AdvanceTxnSafePoint", { target: 30 });
    await client.call("SetGCBarrier", { barrierId: "a/b", barrierTs: 40, ttlSeconds: NEVER });
    const url = `http://${pd.pd.address}/pd/api/v1/gc/safepoint`;
    const shown = await (await fetch(url)).text();
    assert.is(
      shown.trim(),
      '{"service_gc_safe_points":[{"service_id":"gc_worker","expired_at":9223372036854775807,' +
        '"safe_point":30},{"service_id":"a/b","expired_at":9223372036854775807,"safe_point":40}],' +
        '"min_service_gc_safe_point":30,"gc_safe_point":0}',
    );
    const deleted = await fetch(`${url}/a/b`, { method: "DELETE" });
    assert.is(deleted.status, 200);
    assert.equal(await stateOf(client), [30n, 0n, []]);
  }));

test("a clock that goes back revives no barrier that has expired", async () => {
  const clock = new JumpingClock();
  await withCluster(
    async (client) => {
      await client.call("SetGCBarrier", { barrierId: "b", barrierTs: 10, ttlSeconds: 60 });
      clock.offsetMs = 120_000;
      await client.call("AdvanceTxnSafePoint", { target: 20 });
      clock.offsetMs = 0;
      assert.equal(await stateOf(client), [20n, 0n, []]);
    },
    { deps: { clock } },
  );
});

test("what was answered is there after kill -9: safe points, barriers, who leads", async () => {
  const dataDir = tmpDir("pd-gc-kill");
  let floor: [bigint, bigint] = [0n, 0n];
  for (let round = 0; round < 4; round++) {
    const child = await spawnPd(dataDir, 0);
    const { client } = child;
    if (round === 0) await bootstrap(client);
    else {
      const [txn, gc, barriers] = await stateOf(client);
      assert.ok(txn >= floor[0] && gc >= floor[1], `round ${round}: ${txn} ${gc} ${floor}`);
      assert.equal(barriers, [`keep@${1_000_000n}`], `round ${round}`);
    }
    const request = { barrierId: "keep", barrierTs: 1_000_000, ttlSeconds: NEVER };
    await client.call("SetGCBarrier", request);
    let target = floor[0];
    const killed = new Promise((resolve) => child.process.once("exit", resolve));
    // Whatever is answered before the kill counts, so no call may fail earlier.
    for (let calls = 0; ; calls++) {
      if (calls === 20) child.process.kill("SIGKILL");
      target += 3n;
      const step = fromBigInt(target);
      const txn = await client.call("AdvanceTxnSafePoint", { target: step }).catch(() => undefined);
      if (txn === undefined) break;
      floor = [toBigInt(txn.newTxnSafePoint), floor[1]];
      const gc = await client.call("AdvanceGCSafePoint", { target: step }).catch(() => undefined);
      if (gc === undefined) break;
      floor = [floor[0], toBigInt(gc.newGcSafePoint)];
    }
    await killed;
    client.close();
  }
  assert.ok(floor[1] > 100n, `${floor}`);
});

test("killed -9 between resolving locks and publishing: nothing is published, the next round does", async () => {
  const dataDir = tmpDir("pd-gc-round");
  const first = await spawnGcLeader(dataDir, "hang");
  await bootstrap(first.client);
  first.process.stdin?.write("x");
  assert.is(await first.next(), "RESOLVED");
  const killed = new Promise((resolve) => first.process.once("exit", resolve));
  first.process.kill("SIGKILL");
  await killed;
  first.client.close();
  const second = await spawnGcLeader(dataDir, "run");
  assert.equal(await stateOf(second.client), [0n, 0n, []]);
  second.process.stdin?.write("x");
  assert.equal([await second.next(), await second.next()], ["RESOLVED", "ROUND published"]);
  const [txn, gc] = await stateOf(second.client);
  assert.ok(gc > 0n && gc === txn);
  const ended = new Promise((resolve) => second.process.once("exit", resolve));
  second.process.kill("SIGKILL");
  await ended;
  second.client.close();
});

test.run();
