/** Rows of the decision table of Cleanup, BatchRollback, ResolveLock rollback (semantics 2.5, 1.5). */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { AssertionError, utf8 } from "../../../src/base/index.js";
import { composeTs, newWrite, WRITE_TYPE } from "../../../src/codec/index.js";
import { TxnMust } from "../../support/txn_must.js";
import { asyncCommit, del, encode, put } from "../../support/txn_requests.js";

const at = (ms: number, logical = 0): bigint => composeTs(BigInt(ms), BigInt(logical));

test("my lock, current_ts != 0 and start + ttl >= current: KeyIsLocked", () => {
  const txn = new TxnMust();
  txn.mustPrewrite([put("k", "v")], "k", at(100), { lockTtlMs: 50n });
  for (const current of [at(100), at(150), at(150, 200_000)]) {
    const error = txn.mustCleanupErr("keyIsLocked", "k", at(100), current);
    assert.equal(error.lock.key, utf8("k"));
    assert.is(error.lock.lock.ttl, 50n);
  }
  txn.mustLocked("k", at(100));
});

test("my lock otherwise: delete long value, write rollback, delete lock", () => {
  for (const current of [at(151), 0n]) {
    const txn = new TxnMust();
    txn.mustPrewrite([put("k", "x".repeat(300))], "k", at(100), { lockTtlMs: 50n });
    assert.is(txn.engine.entries("default").length, 1);
    txn.mustCleanup("k", at(100), current);
    txn.mustUnlocked("k");
    assert.is(txn.engine.entries("default").length, 0);
    txn.mustHaveRollback("k", at(100), true);
  }
});

test("my lock: the rollback of a primary is protected, that of a secondary is not", () => {
  const txn = new TxnMust();
  txn.mustPrewrite([put("a", "1"), del("b")], "a", 10);
  txn.mustRollback(["a", "b"], 10);
  txn.mustHaveRollback("a", 10, true);
  txn.mustHaveRollback("b", 10, false);
});

test("no lock; committed record: Committed error", () => {
  const txn = new TxnMust();
  txn.mustPrewrite([put("k", "v")], "k", 10);
  txn.mustCommit("k", 10, 20);
  const expected = { kind: "committed", startTs: 10n, commitTs: 20n, key: utf8("k") };
  assert.equal(txn.mustCleanupErr("committed", "k", 10, 0), expected);
  assert.equal(txn.mustRollbackErr("committed", "k", 10), expected);
});

test("no lock; rollback record: Ok, nothing is written", () => {
  const txn = new TxnMust();
  txn.mustRollback("k", 10);
  const before = txn.dump();
  txn.mustRollback("k", 10);
  txn.mustCleanup("k", 10, 0);
  assert.is(txn.dump(), before);
});

test("no lock; none: rollback, protected for Cleanup", () => {
  const txn = new TxnMust();
  txn.mustCleanup("k", 10, 0);
  txn.mustHaveRollback("k", 10, true);
  txn.mustPrewriteErr("writeConflict", [put("k", "v")], "k", 10);
});

test("no lock; none: rollback, unprotected for BatchRollback and ResolveLock", () => {
  const txn = new TxnMust();
  txn.mustRollback("k", 10);
  txn.mustHaveRollback("k", 10, false);
  txn.mustResolveLock(20, 0, ["k"]);
  txn.mustHaveRollback("k", 20, false);
});

test("other's lock; none: rolled back beside it", () => {
  const txn = new TxnMust();
  txn.mustPrewrite([put("k", "v")], "k", 20);
  txn.mustRollback("k", 10);
  txn.mustLocked("k", 20);
  txn.mustHaveRollback("k", 10, false);
});

test("collapse: an unprotected rollback takes the place of the unprotected one below", () => {
  const txn = new TxnMust();
  txn.mustRollback("k", 10);
  txn.mustRollback("k", 20);
  txn.mustNotHaveWrite("k", 10);
  txn.mustHaveRollback("k", 20, false);
  txn.mustPrewrite([put("k", "v")], "other", 30);
  txn.mustRollback("k", 30);
  txn.mustNotHaveWrite("k", 20);
});

test("collapse: protected rollbacks stay, and collapse nothing", () => {
  const txn = new TxnMust();
  txn.mustRollback("k", 10);
  txn.mustCleanup("k", 20, 0);
  txn.mustHaveRollback("k", 10, false);
  txn.mustRollback("k", 30);
  txn.mustHaveRollback("k", 20, true);
});

test("overlap: a protected rollback becomes flag R of the commit in its place, with a fence", () => {
  for (const next of [undefined, 30]) {
    const txn = new TxnMust();
    txn.mustPrewrite([put("k", "v")], "k", 10);
    txn.mustCommit("k", 10, 20);
    if (next !== undefined) {
      txn.mustPrewrite([del("k")], "k", next - 1);
      txn.mustCommit("k", next - 1, next);
    }
    txn.mustCleanup("k", 20, 0);
    const write = txn.mustWritten("k", 10, 20, "put");
    assert.ok(write.hasOverlappedRollback);
    assert.is(write.gcFence, BigInt(next ?? 0));
    const before = txn.dump();
    txn.mustCleanup("k", 20, 0);
    assert.is(txn.dump(), before, "the rollback is found again");
  }
});

test("overlap: an unprotected rollback writes nothing", () => {
  const txn = new TxnMust();
  txn.mustPrewrite([put("k", "v")], "k", 10);
  txn.mustCommit("k", 10, 20);
  const before = txn.dump();
  txn.mustRollback("k", 20);
  assert.is(txn.dump(), before);
});

test("other's async lock: a protected rollback at or above its min_commit_ts is noted in it", () => {
  const txn = new TxnMust();
  const fields = { ...asyncCommit(), minCommitTs: 15n };
  txn.mustPrewrite([put("k", "v")], "k", 10, fields);
  const { minCommitTs } = txn.mustLocked("k", 10);
  assert.is(minCommitTs, 15n);
  txn.mustCleanup("k", 14, 0);
  assert.equal(txn.mustLocked("k", 10).rollbackTs, [], "below: it cannot commit there");
  txn.mustRollback("k", 16);
  assert.equal(txn.mustLocked("k", 10).rollbackTs, [], "not protected");
  txn.mustCleanup("k", 15, 0);
  assert.equal(txn.mustLocked("k", 10).rollbackTs, [15n]);
  txn.mustCommit("k", 10, 15);
  const write = txn.mustWritten("k", 10, 15, "put");
  assert.ok(write.hasOverlappedRollback);
  txn.mustCleanup("k", 15, 0);
});

test("Cleanup raises max_ts to start_ts, BatchRollback does not", () => {
  const txn = new TxnMust();
  txn.mustRollback("k", 30);
  assert.is(txn.concurrencyManager.maxTs, 1n);
  txn.mustCleanup("k", 40, 0);
  assert.is(txn.concurrencyManager.maxTs, 40n);
});

test("a commit record beside a live lock of the transaction is a bug, not an answer", () => {
  const txn = new TxnMust();
  txn.mustPrewrite([put("k", "v")], "k", 10);
  const write = newWrite({ type: WRITE_TYPE.put, startTs: 10n, shortValue: utf8("v") });
  txn.putWrite("k", 20n, write);
  assert.throws(
    () => txn.mustRollback("k", 10),
    (error: unknown) => error instanceof AssertionError,
  );
});

test("a rollback record beside a live lock: the lock goes, the record stays as it is", () => {
  const txn = new TxnMust();
  txn.mustAcquirePessimisticLock("k", "k", 10, 10);
  txn.mustRollback("k", 10);
  const before = txn.dump();
  txn.putPessimisticLock("k", 10, 10);
  txn.mustRollback("k", 10);
  assert.is(txn.dump(), before);
});

test("released locks are told once, with their kind", () => {
  const txn = new TxnMust();
  txn.mustAcquirePessimisticLock("a", "a", 10, 10);
  const keys = [encode("a"), encode("b")];
  const processed = txn.process<"batchRollback">({
    request: { kind: "batchRollback", keys, startTs: 10n },
  });
  assert.ok(processed.ok);
  if (!processed.ok || processed.value.type !== "write") return;
  const expected = { startTs: 10n, commitTs: 0n, key: encode("a"), pessimistic: true };
  assert.equal(processed.value.released, [expected]);
});

test.run();
