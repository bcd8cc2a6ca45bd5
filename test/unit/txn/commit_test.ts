/** Rows of the decision table of commit (semantics 2.4), and what a record takes from its lock. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { utf8 } from "../../../src/base/index.js";
import { composeTs } from "../../../src/codec/index.js";
import { TxnMust } from "../../support/txn_must.js";
import { asyncCommit, del, encode, lockOnly, put } from "../../support/txn_requests.js";

test("commit_ts <= start_ts: InvalidTxnTso", () => {
  const txn = new TxnMust();
  txn.mustPrewrite([put("k", "v")], "k", 10);
  for (const commitTs of [9, 10]) {
    const error = txn.mustCommitErr("invalidTxnTso", "k", 10, commitTs);
    assert.equal(error, { kind: "invalidTxnTso", startTs: 10n, commitTs: BigInt(commitTs) });
  }
  txn.mustLocked("k", 10);
});

test("my lock, commit_ts < min_commit_ts: CommitTsExpired(min_commit_ts)", () => {
  const txn = new TxnMust();
  txn.mustPrewrite([put("k", "v")], "k", 10, { minCommitTs: 20n });
  const error = txn.mustCommitErr("commitTsExpired", "k", 10, 19);
  assert.is(error.minCommitTs, 20n);
  assert.equal(error.key, utf8("k"));
  txn.mustCommit("k", 10, 20);
  txn.mustGet("k", 20, "v");
});

test("my lock is pessimistic: delete lock, write nothing", () => {
  const txn = new TxnMust();
  txn.putPessimisticLock("k", 10, 10);
  txn.mustCommit("k", 10, 20);
  txn.mustUnlocked("k");
  txn.mustNotHaveWrite("k", 20);
});

test("my prewrite lock: write record, delete lock", () => {
  const txn = new TxnMust();
  txn.mustPrewrite([put("a", "1"), del("b"), lockOnly("c")], "a", 10, { txnSource: 3n });
  txn.mustCommit(["a", "b", "c"], 10, 20);
  for (const [key, type] of [
    ["a", "put"],
    ["b", "delete"],
    ["c", "lock"],
  ] as const) {
    txn.mustUnlocked(key);
    assert.is(txn.mustWritten(key, 10, 20, type).txnSource, 3n, key);
  }
  assert.equal(txn.mustHaveWrite("a", 20, "put").shortValue, utf8("1"));
  txn.mustGetNone("a", 19);
  txn.mustGet("a", 20, "1");
});

test("a record takes last_change from its lock", () => {
  const txn = new TxnMust();
  txn.mustPrewrite([put("k", "v")], "k", 1);
  txn.mustCommit("k", 1, 2);
  txn.mustPrewrite([lockOnly("k")], "k", 3);
  txn.mustCommit("k", 3, 4);
  assert.equal(txn.mustHaveWrite("k", 4, "lock").lastChange, { ts: 2n, versions: 1n });
});

test("commit_ts in rollback_ts: the record says so", () => {
  for (const [commitTs, flag] of [
    [20, true],
    [21, false],
  ] as const) {
    const txn = new TxnMust();
    txn.mustPrewrite([put("k", "v")], "k", 10, asyncCommit());
    const lock = { ...txn.mustLocked("k", 10), rollbackTs: [15n, 20n] };
    txn.putLock("k", lock);
    txn.mustCommit("k", 10, commitTs);
    const write = txn.mustHaveWrite("k", commitTs, "put");
    assert.is(write.hasOverlappedRollback, flag, `at ${commitTs}`);
    assert.is(write.gcFence, undefined, `at ${commitTs}`);
  }
});

test("no/other lock, write CF: Put/Delete/Lock of mine: Ok (duplicate)", () => {
  const txn = new TxnMust();
  const keys = ["a", "b", "c"];
  txn.mustPrewrite([put("a", "1"), del("b"), lockOnly("c")], "a", 10);
  txn.mustCommit(keys, 10, 20);
  const before = txn.dump();
  txn.mustCommit(keys, 10, 20);
  assert.is(txn.dump(), before);
  txn.mustPrewrite([put("a", "2")], "a", 30);
  txn.mustCommit("a", 10, 20);
  txn.mustLocked("a", 30);
});

test("no/other lock, Rollback or nothing: TxnLockNotFound", () => {
  const txn = new TxnMust();
  const missing = txn.mustCommitErr("txnLockNotFound", "k", 10, 20);
  assert.equal(missing, { kind: "txnLockNotFound", startTs: 10n, commitTs: 20n, key: utf8("k") });
  txn.mustPrewrite([put("k", "v")], "k", 30);
  txn.mustCommitErr("txnLockNotFound", "k", 10, 20);
  txn.mustLocked("k", 30);
});

test("one failing key: nothing of the request is written", () => {
  const txn = new TxnMust();
  txn.mustPrewrite([put("a", "1")], "a", 10);
  txn.mustCommitErr("txnLockNotFound", ["a", "b"], 10, 20);
  txn.mustLocked("a", 10);
  txn.mustNotHaveWrite("a", 20);
});

test("released locks name who held them, for those who wait", () => {
  const txn = new TxnMust();
  const startTs = composeTs(1n, 0n);
  txn.mustPrewrite([put("k", "v")], "k", startTs);
  const commitTs = startTs + 1n;
  const outcome = txn.process<"commit">({
    request: { kind: "commit", keys: [encode("k")], startTs, commitTs },
  });
  assert.ok(outcome.ok);
  if (!outcome.ok) return;
  const lock = { startTs, commitTs, key: encode("k"), pessimistic: false };
  assert.equal(outcome.value.released, [lock]);
  assert.equal(outcome.value.knownStatus, [{ startTs, commitTs }]);
});

test.run();
