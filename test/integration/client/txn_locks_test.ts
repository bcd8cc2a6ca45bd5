/**
 * Locks that transactions of other clients leave behind or hold: dead clients, readers, waits,
 * deadlocks, heartbeats. One real store; clients lose requests where a test says so.
 *
 * @timeout 180
 * @seconds 20
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import {
  CommitUndeterminedError,
  DeadlockError,
  LockTimeoutError,
  TxnAbortedError,
  type TxnClient,
  WriteConflictError,
} from "../../../src/client/index.js";
import { toBigInt } from "../../../src/pb/index.js";
import {
  failure,
  pairs,
  splitAt,
  startTxnCluster,
  type TxnCluster,
  text,
  Wire,
  withClients,
} from "../../support/txn_cluster.js";
import { within } from "../../support/within.js";

const test = suite("txn locks");

let started: Awaited<ReturnType<typeof startTxnCluster>>;
test.before(async () => {
  started = await startTxnCluster();
});
test.after(() => started.stop());

const run = (body: (parts: TxnCluster) => Promise<void>): Promise<void> =>
  withClients(started.cluster, body);

const TWO_PHASE = { onePc: false, asyncCommit: false } as const;
const ASYNC = { onePc: false, asyncCommit: true } as const;
/** A client that gives up soon, as one whose host has died would be gone. */
const SHORT = { retryBudgetMs: 250, closeTimeoutMs: 1 } as const;

async function put(client: TxnClient, ...keys: string[]): Promise<void> {
  await client.transaction(async (txn) => {
    for (const key of keys) await txn.put(key, "old");
  });
}

async function read(client: TxnClient, prefix: string): Promise<string[]> {
  return pairs((await client.snapshot()).scan({ start: prefix, end: `${prefix}~` }));
}

test("who dies before the commit has done nothing, once its locks expire", () =>
  run(async ({ connect }) => {
    const client = await connect();
    await put(client, "dead/a", "dead/b");
    const wire = new Wire();
    for (const command of ["Commit", "BatchRollback"] as const) wire.lost.add(command);
    const dying = await connect(SHORT, wire);
    const txn = await dying.begin(TWO_PHASE);
    await txn.put("dead/a", "new");
    await txn.put("dead/b", "new");
    assert.instance(await failure(txn.commit()), CommitUndeterminedError);
    assert.is(txn.state, "undetermined");
    const writer = await client.begin();
    await writer.put("dead/b", "next");
    await writer.commit();
    assert.equal(await read(client, "dead/"), ["dead/a=old", "dead/b=next"]);
  }));

test("who dies after the commit of the primary is committed: readers finish it", () =>
  run(async ({ connect, cluster }) => {
    await splitAt(cluster, "rest/b");
    const client = await connect();
    await put(client, "rest/a", "rest/b", "rest/c");
    const wire = new Wire();
    wire.before = (command) => {
      if (command === "Commit" && wire.sent("Commit") > 1) wire.lost.add("Commit");
    };
    const dying = await connect(SHORT, wire);
    const txn = await dying.begin(TWO_PHASE);
    for (const key of ["rest/a", "rest/b", "rest/c"]) await txn.put(key, "new");
    const commitTs = (await txn.commit()) as bigint;
    const earlier = await client.snapshot(commitTs - 1n);
    assert.is(text(await earlier.get("rest/c")), "old");
    assert.equal(await read(client, "rest/"), ["rest/a=new", "rest/b=new", "rest/c=new"]);
    const values = await (await client.snapshot()).batchGet(["rest/c", "rest/a"]);
    assert.equal(values.map(text), ["new", "new"]);
  }));

test("an async commit whose client dies is committed by who meets its locks", () =>
  run(async ({ connect, cluster }) => {
    await splitAt(cluster, "async/b");
    const client = await connect();
    await put(client, "async/a", "async/b");
    const wire = new Wire();
    wire.lost.add("Commit");
    const dying = await connect(SHORT, wire);
    const txn = await dying.begin(ASYNC);
    await txn.put("async/a", "new");
    await txn.put("async/b", "new");
    const commitTs = (await txn.commit()) as bigint;
    const seen = new Wire();
    const reader = await connect({}, seen);
    const snapshot = await reader.snapshot();
    // Equal where no millisecond has passed: commit_ts is one above the last timestamp before it.
    assert.ok(snapshot.ts >= commitTs);
    assert.is(text(await snapshot.get("async/b")), "new");
    assert.is(seen.sent("CheckSecondaryLocks"), 1);
    assert.equal(await read(client, "async/"), ["async/a=new", "async/b=new"]);
  }));

test("an async commit that has not locked all keys is rolled back", () =>
  run(async ({ connect, cluster }) => {
    await splitAt(cluster, "half/b");
    const client = await connect();
    await put(client, "half/a", "half/b");
    const wire = new Wire();
    wire.before = (command, request) => {
      const { mutations } = request as { mutations?: { key: Uint8Array }[] };
      if (command !== "Prewrite" || text(mutations?.[0]?.key) !== "half/b") return;
      wire.lost.add("Prewrite").add("BatchRollback");
    };
    const dying = await connect(SHORT, wire);
    const txn = await dying.begin(ASYNC);
    await txn.put("half/a", "new");
    await txn.put("half/b", "new");
    assert.instance(await failure(txn.commit()), CommitUndeterminedError);
    assert.equal(await read(client, "half/"), ["half/a=old", "half/b=old"]);
    const writer = await client.begin();
    await writer.put("half/b", "next");
    await writer.commit();
    assert.equal(await read(client, "half/"), ["half/a=old", "half/b=next"]);
  }));

test("readers do not wait for writers that live: they push them", () =>
  run(async ({ connect }) => {
    const client = await connect();
    await put(client, "push/a", "push/b");
    const wire = new Wire();
    let before: readonly string[] = [];
    let readTs = 0n;
    wire.before = async (command) => {
      if (command !== "Commit" || readTs !== 0n) return;
      const snapshot = await client.snapshot();
      readTs = snapshot.ts;
      before = await pairs(snapshot.scan({ start: "push/", end: "push/~" }));
    };
    const writer = await connect({}, wire);
    const txn = await writer.begin(TWO_PHASE);
    await txn.put("push/a", "new");
    await txn.put("push/b", "new");
    const commitTs = (await txn.commit()) as bigint;
    assert.equal(before, ["push/a=old", "push/b=old"]);
    assert.ok(commitTs > readTs);
    const tried = wire.of("Commit").map(({ commitVersion }) => toBigInt(commitVersion as never));
    assert.ok((tried[0] as bigint) < readTs, "the first commit_ts was refused");
    assert.equal(await read(client, "push/"), ["push/a=new", "push/b=new"]);
  }));

test("a lock holds others off until they have waited long enough", () =>
  run(async ({ connect }) => {
    const client = await connect();
    const holder = await client.begin({ pessimistic: true });
    await holder.put("held", "1");
    const other = await client.begin({ pessimistic: true, lockWaitMs: 300 });
    const error = (await failure(other.put("held", "2"))) as LockTimeoutError;
    assert.instance(error, LockTimeoutError);
    assert.equal([text(error.key), error.heldBy], ["held", holder.startTs]);
    const began = performance.now();
    const impatient = other.lockKeys(["held"], { lockWaitMs: 0 });
    assert.instance(await failure(impatient), LockTimeoutError);
    assert.ok(performance.now() - began < 300);
    const waiting = other.put("held", "2", { lockWaitMs: 10_000 });
    await holder.commit();
    await waiting;
    assert.is(text(await other.getForUpdate("held")), "2");
    await other.commit();
    assert.is(text(await (await client.snapshot()).get("held")), "2");
  }));

test("a lock may be waited for longer than a store waits", () =>
  run(async ({ connect }) => {
    const wire = new Wire();
    const [client, other] = [await connect(), await connect({}, wire)];
    const holder = await client.begin({ pessimistic: true });
    await holder.put("woken", "1");
    const waiter = await other.begin({ pessimistic: true, lockWaitMs: 20_000 });
    const waiting = waiter.put("woken", "2");
    await within(20_000, "several waits", () => wire.sent("PessimisticLock") > 3);
    await holder.commit();
    await waiting;
    await waiter.commit();
    assert.is(text(await (await client.snapshot()).get("woken")), "2");
  }));

test("locks that are given back late do not take newer ones with them", () =>
  run(async ({ connect }) => {
    const other = await connect();
    const holder = await other.begin({ pessimistic: true });
    await holder.put("late/b", "1");
    const wire = new Wire();
    let release = (): void => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    wire.before = (command) => (command === "PessimisticRollback" ? released : undefined);
    const client = await connect({}, wire);
    const txn = await client.begin({ pessimistic: true, lockWaitMs: 0 });
    assert.instance(await failure(txn.lockKeys(["late/a", "late/b"])), LockTimeoutError);
    await txn.lockKeys(["late/a"]);
    let answers = 0;
    wire.answer("PessimisticRollback", () => {
      answers++;
    });
    release();
    await within(5000, "given back", () => answers > 0);
    const rival = await other.begin({ pessimistic: true, lockWaitMs: 0 });
    assert.instance(await failure(rival.lockKeys(["late/a"])), LockTimeoutError);
    await Promise.all([holder.rollback(), txn.rollback(), rival.rollback()]);
  }));

test("an optimistic commit and a pessimistic lock that wait for each other both end", () =>
  run(async ({ connect }) => {
    const client = await connect();
    const pessimistic = await client.begin({ pessimistic: true });
    await pessimistic.put("mixed/b", "1");
    const optimistic = await client.begin(TWO_PHASE);
    await optimistic.put("mixed/a", "2");
    await optimistic.put("mixed/b", "2");
    const committing = failure(optimistic.commit());
    await pessimistic.put("mixed/a", "1");
    assert.instance(await committing, WriteConflictError);
    await pessimistic.commit();
    assert.equal(await read(client, "mixed/"), ["mixed/a=1", "mixed/b=1"]);
  }));

test("a pessimistic transaction computes with the newest values", () =>
  run(async ({ connect }) => {
    const client = await connect();
    await put(client, "newest/a", "newest/b");
    const txn = await client.begin({ pessimistic: true });
    assert.is(text(await txn.get("newest/a")), "old");
    await client.transaction(async (other) => other.put("newest/a", "new"));
    assert.is(text(await txn.get("newest/a")), "old", "its snapshot");
    const values = await txn.lockKeys(["newest/a", "newest/b", "newest/c"], { returnValues: true });
    assert.equal(values.map(text), ["new", "old", undefined]);
    assert.is(text(await txn.getForUpdate("newest/a")), "new", "again, from what is locked");
    await txn.put("newest/a", "mine");
    assert.is(text(await txn.getForUpdate("newest/a")), "mine");
    await txn.commit();
    assert.is(text(await (await client.snapshot()).get("newest/a")), "mine");
  }));

test("calls of one transaction lock one after the other", () =>
  run(async ({ connect }) => {
    const client = await connect();
    const txn = await client.begin({ pessimistic: true });
    const puts = ["a", "b", "c", "d"].map((key) => txn.put(`turns/${key}`, key));
    assert.is((await failure(txn.commit())).code, "RUTILE:Client:InvalidArgument");
    await Promise.all(puts);
    await txn.commit();
    assert.is((await read(client, "turns/")).length, 4);
  }));

test("a deadlock ends one of the two, with the chain", () =>
  run(async ({ connect }) => {
    const client = await connect();
    const [one, two] = [
      await client.begin({ pessimistic: true }),
      await client.begin({ pessimistic: true }),
    ];
    await one.put("circle/a", "1");
    await two.put("circle/b", "2");
    const waiting = one.put("circle/b", "1");
    const error = (await failure(
      within(10_000, "a deadlock", async () => {
        await two.put("circle/a", "2", { lockWaitMs: 5000 });
        return true;
      }),
    )) as DeadlockError;
    assert.instance(error, DeadlockError);
    assert.is(text(error.key), "circle/a");
    assert.is(error.heldBy, one.startTs);
    const edges = error.chain.map(({ txn, waitForTxn }) => [txn, waitForTxn]);
    assert.ok(edges.some(([txn, waitForTxn]) => txn === one.startTs && waitForTxn === two.startTs));
    await two.rollback();
    await waiting;
    await one.commit();
    assert.equal(await read(client, "circle/"), ["circle/a=1", "circle/b=1"]);
  }));

test("heartbeats keep a long transaction alive; without them others end it", () =>
  run(async ({ connect }) => {
    const wire = new Wire();
    const config = { managedTtlMs: 600 };
    const client = await connect(config, wire);
    const txn = await client.begin({ pessimistic: true });
    await txn.put("long/a", "1");
    const other = await client.begin({ pessimistic: true, lockWaitMs: 2500 });
    assert.instance(await failure(other.put("long/a", "2")), LockTimeoutError);
    assert.ok(wire.sent("TxnHeartBeat") >= 3, `${wire.sent("TxnHeartBeat")} heartbeats`);
    await txn.commit();
    const sent = wire.sent("TxnHeartBeat");
    await other.put("long/a", "2");
    const deaf = new Wire();
    deaf.lost.add("TxnHeartBeat");
    const silent = await connect(config, deaf);
    const lost = await silent.begin({ pessimistic: true });
    await lost.put("long/b", "1");
    await other.put("long/b", "2", { lockWaitMs: 5000 });
    await other.commit();
    assert.ok(wire.sent("TxnHeartBeat") > sent, "the other's");
    assert.instance(await failure(lost.commit()), TxnAbortedError);
    assert.equal(await read(client, "long/"), ["long/a=2", "long/b=2"]);
  }));

for (const batchCommands of [true, false])
  test(`a rollback gives all locks back (${batchCommands})`, () =>
    run(async ({ connect }) => {
      const wire = new Wire();
      const client = await connect({ batchCommands }, wire);
      const txn = await client.begin({ pessimistic: true });
      await txn.put("back/a", "1");
      await txn.lockKeys(["back/b", "back/c"]);
      await txn.rollback();
      assert.is(txn.state, "rolledBack");
      await within(5000, "rolled back", () => wire.sent("PessimisticRollback") > 0);
      const other = await client.begin({ pessimistic: true, lockWaitMs: 1000 });
      await other.lockKeys(["back/a", "back/b", "back/c"]);
      await other.rollback();
      assert.equal(await read(client, "back/"), []);
    }));

test.run();
