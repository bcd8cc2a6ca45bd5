/** Replica reads ask the leader about its memory locks; stale reads stay below safe_ts. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { EMPTY_BYTES, utf8 } from "../../../src/base/index.js";
import { composeTs, LOCK_TYPE, newLock } from "../../../src/codec/index.js";
import type { ReadIndexResult, Reply } from "../../../src/storage/index.js";
import { decodeVerdict, encodeChecks, judgeChecks } from "../../../src/storage/read_check.js";
import { ConcurrencyManager } from "../../../src/txn/index.js";
import {
  enc,
  mustFail,
  mustOk,
  mustRefuse,
  newDetails,
  settle,
  withTxnRegions,
} from "../../support/txn_regions.js";

const range = (start: string, end: string) => ({
  start: enc(start),
  end: end === "" ? EMPTY_BYTES : enc(end),
});

function mustReply(reply: Reply<ReadIndexResult>): ReadIndexResult {
  if (reply.ok) return reply.value;
  throw new Error(JSON.stringify(reply.error));
}

/** A leader elsewhere that holds one memory lock. */
function leaderWith(key: string, minCommitTs: bigint): ConcurrencyManager {
  const manager = new ConcurrencyManager(0n);
  manager.lockKey(enc(key)).publish(
    newLock({
      type: LOCK_TYPE.put,
      primary: utf8(key),
      startTs: 10n,
      ttl: 3000n,
      minCommitTs,
      useAsyncCommit: true,
    }),
  );
  return manager;
}

test("a check raises max_ts and names the lock of each read that it blocks", () => {
  const manager = leaderWith("k", 20n);
  const checks = [
    { ts: 19n, ranges: [range("a", "z")] },
    { ts: 25n, ranges: [range("a", "k"), range("l", "")] },
    undefined,
    { ts: 30n, ranges: [range("a", "b"), range("k", "")] },
    { ts: 28n, ranges: [{ start: EMPTY_BYTES, end: EMPTY_BYTES }] },
  ];
  const blocked = decodeVerdict(judgeChecks(manager, encodeChecks(checks)));
  assert.is(manager.maxTs, 30n);
  assert.equal(
    [0, 1, 2, 3, 4].map((i) => blocked[i]?.lock.startTs),
    [undefined, undefined, undefined, 10n, 10n],
  );
  assert.equal(blocked[3]?.key, utf8("k"));
  const nothing = judgeChecks(manager, encodeChecks([checks[0]]));
  assert.is(nothing.length, 0);
});

test("a replica read meets the leader's memory lock, in gets, batches and scans", async () => {
  await withTxnRegions(async ({ storage, regions, left, ctx }) => {
    regions.depose(left);
    const leader = leaderWith("k", 20n);
    regions.leaderJudges = (checks) => judgeChecks(leader, checks);
    const replica = { ...ctx, replicaRead: true };
    const { txn } = storage;
    const [get, other, batch, rc, scan] = await Promise.all([
      txn.get(replica, enc("k"), 30n, newDetails()),
      txn.get(replica, enc("a"), 40n, newDetails()),
      txn.batchGet(replica, [enc("a"), enc("k")], 30n, newDetails()),
      txn.get({ ...replica, isolation: "rc" }, enc("k"), 30n, newDetails()),
      txn.scan(
        replica,
        {
          startKey: enc("a"),
          endKey: enc("l"),
          version: 35n,
          limit: 10,
          keyOnly: false,
          reverse: false,
          sampleStep: 0,
        },
        newDetails(),
      ),
    ]);
    for (const blocked of [get, batch, scan]) {
      const error = mustFail(blocked);
      assert.is(error.kind === "keyIsLocked" && error.lock.lock.minCommitTs, 20n);
    }
    mustOk(other);
    mustOk(rc);
    assert.is(leader.maxTs, 40n);
  });
});

test("ReadIndex with ranges: max_ts of the leader rises, its memory lock is the answer", async () => {
  await withTxnRegions(async ({ storage, regions, left, pd, ctx }) => {
    const leader = leaderWith("k", 20n);
    regions.leaderJudges = (checks) => judgeChecks(leader, checks);
    const ask = async (ts: bigint, ...ranges: ReturnType<typeof range>[]) => {
      const reply = await storage.regions.readIndex(ctx, { ts, ranges });
      return mustReply(reply);
    };
    for (const isLeader of [true, false]) {
      if (!isLeader) regions.depose(left);
      assert.equal(await ask(19n, range("a", "z")), { readIndex: 7n });
      assert.equal(await ask(25n, range("a", "k"), range("l", "")), { readIndex: 7n });
      const met = await ask(30n, range("a", "b"), range("k", ""));
      assert.ok("locked" in met && met.locked.lock.startTs === 10n, `leader ${isLeader}`);
      assert.equal(await ask(50n), { readIndex: 7n }, "without ranges nothing blocks");
      assert.is(leader.maxTs, 50n);
    }
    const asked = regions.sent.filter((one) => one.kind === "read");
    assert.is(asked.length, 8);
    pd.nextTs = composeTs(1_000_000n, 0n);
    storage.txn.maxTs.start();
    await settle();
    const far = composeTs(9_000_000n, 0n);
    const refused = await storage.regions.readIndex(ctx, { ts: far, ranges: [] });
    assert.ok(
      !refused.ok && refused.error.type === "region" && refused.error.error.kind === "other",
    );
    assert.is(leader.maxTs, 50n, "a timestamp of the far future does not reach the leader");
  });
});

test("a leader without a lease checks its own memory locks when it is asked", async () => {
  await withTxnRegions(async ({ storage, regions, left, ctx }) => {
    left.hasLease = false;
    regions.leaderJudges = () => {
      throw new Error("the leader does not ask itself");
    };
    const read = storage.txn.get({ ...ctx, replicaRead: true }, enc("k"), 30n, newDetails());
    assert.instance(read, Promise);
    mustOk(await read);
    assert.ok(storage.txn.concurrencyManager.maxTs >= 30n);
  });
});

test("a stale read above safe_ts is refused with it, below it raises nothing", async () => {
  await withTxnRegions(async ({ storage, regions, left, ctx }) => {
    regions.depose(left);
    await settle();
    const stale = { ...ctx, staleRead: true };
    const early = mustRefuse(await storage.txn.get(stale, enc("k"), 5000n, newDetails()));
    assert.ok(early.kind === "dataIsNotReady" && early.safeTs === 0n);
    storage.onLeaders([
      {
        regionId: 2n,
        peerId: 900n,
        term: 7n,
        confVer: 1n,
        version: 1n,
        readState: { appliedIndex: 0, safeTs: 6000n },
      },
    ]);
    const before = storage.txn.concurrencyManager.maxTs;
    mustOk(await storage.txn.get(stale, enc("k"), 6000n, newDetails()));
    assert.is(storage.txn.concurrencyManager.maxTs, before);
    const late = mustRefuse(await storage.txn.get(stale, enc("k"), 6001n, newDetails()));
    assert.ok(late.kind === "dataIsNotReady" && late.safeTs === 6000n);
  });
});

test.run();
