/**
 * Region errors in the middle of transactions: each kind once for each command, from a store that is
 * otherwise well; and stores that stay away for longer than a client may retry.
 *
 * @timeout 120
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { CommitUndeterminedError } from "../../../src/client/index.js";
import { REGION_ERROR_KINDS } from "../../../src/testing/index.js";
import {
  failure,
  pairs,
  startTxnCluster,
  type TxnCluster,
  text,
  Wire,
  withClients,
} from "../../support/txn_cluster.js";

const test = suite("txn region errors");

let started: Awaited<ReturnType<typeof startTxnCluster>>;
test.before(async () => {
  started = await startTxnCluster();
});
test.after(() => started.stop());

const run = (body: (parts: TxnCluster) => Promise<void>): Promise<void> =>
  withClients(started.cluster, body);

const TWO_PHASE = { onePc: false, asyncCommit: false } as const;
const COMMANDS = ["PessimisticLock", "Prewrite", "Commit", "Get", "BatchGet", "Scan"] as const;
/** raft_entry_too_large is final; a busy store's two seconds are spent once. */
const KINDS = REGION_ERROR_KINDS.filter(
  (kind) => kind !== "raftEntryTooLarge" && kind !== "serverIsBusy",
);

for (const kind of KINDS) {
  test(`${kind} once for each command`, () =>
    run(async ({ connect, cluster }) => {
      const client = await connect();
      const key = `kind/${kind}`;
      await (await client.snapshot()).get(key);
      for (const method of COMMANDS) cluster.injectRegionError(0, kind, { method, count: 1 });
      const hits = cluster.faultsHit;
      const txn = await client.begin({ ...TWO_PHASE, pessimistic: true });
      await txn.put(key, "1");
      await txn.commit();
      const snapshot = await client.snapshot();
      assert.is(text(await snapshot.get(key)), "1");
      assert.equal((await snapshot.batchGet([key])).map(text), ["1"]);
      assert.equal(await pairs(snapshot.scan({ start: key, limit: 1 })), [`${key}=1`]);
      assert.is(cluster.faultsHit - hits, COMMANDS.length);
      cluster.clearRequestFaults();
    }));
}

test("a busy store is waited for", () =>
  run(async ({ connect, cluster }) => {
    const client = await connect();
    cluster.injectRegionError(0, "serverIsBusy", { method: "Prewrite", count: 1 });
    await client.transaction((txn) => txn.put("busy", "1"));
    assert.is(text(await (await client.snapshot()).get("busy")), "1");
  }));

test("a commit that no store takes is known not to have happened", () =>
  run(async ({ connect, cluster }) => {
    for (const method of ["Prewrite", "Commit"]) {
      const wire = new Wire();
      const client = await connect({ retryBudgetMs: 300 }, wire);
      const txn = await client.begin(TWO_PHASE);
      await txn.put(`refused/${method}`, "1");
      cluster.injectRegionError(0, "regionNotFound", { method });
      const error = await failure(txn.commit());
      cluster.clearRequestFaults();
      assert.not.instance(error, CommitUndeterminedError);
      assert.is(error.code, "RUTILE:Client:RegionUnavailable");
      assert.is(txn.state, "rolledBack");
      const other = await connect();
      await other.transaction((next) => next.put(`refused/${method}`, "2"));
      assert.is(text(await (await other.snapshot()).get(`refused/${method}`)), "2");
    }
  }));

test("an entry that is too large for a store is told, and nothing is left", () =>
  run(async ({ connect, cluster }) => {
    const client = await connect();
    cluster.injectRegionError(0, "raftEntryTooLarge", { method: "Prewrite", count: 1 });
    const error = await failure(client.transaction((txn) => txn.put("toolarge", "1")));
    assert.is(error.code, "KV:Raftstore:EntryTooLarge");
    assert.is(await (await client.snapshot()).get("toolarge"), undefined);
  }));

test("operations end by their signal and by their time", () =>
  run(async ({ connect, cluster }) => {
    const client = await connect();
    const holder = await client.begin({ pessimistic: true });
    await holder.put("signal", "1");
    const waiter = await client.begin({ pessimistic: true });
    const abort = new AbortController();
    const waiting = failure(waiter.put("signal", "2", { signal: abort.signal }));
    abort.abort();
    assert.is((await waiting).code, "RUTILE:Client:Aborted");
    cluster.dropRequests(1, { method: "Get" });
    const snapshot = await client.snapshot();
    const slow = await failure(snapshot.get("signal", { timeoutMs: 200 }));
    cluster.clearRequestFaults();
    assert.is(slow.code, "RUTILE:Client:Timeout");
    await Promise.all([holder.rollback(), waiter.rollback()]);
  }));

test.run();
