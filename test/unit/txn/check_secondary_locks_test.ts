/** Rows of CheckSecondaryLocks (semantics 2.7). */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { utf8 } from "../../../src/base/index.js";
import { LOCK_TYPE, newLock } from "../../../src/codec/index.js";
import type { SecondaryLocksStatus } from "../../../src/txn/index.js";
import { TxnMust } from "../../support/txn_must.js";
import { asyncCommit, encode, put } from "../../support/txn_requests.js";

const ROLLED_BACK: SecondaryLocksStatus = { type: "rolledBack" };
const FORCE = { allowLockWithConflict: true };

test("my prewrite locks: all are returned, nothing is written", () => {
  const txn = new TxnMust();
  txn.mustPrewrite([put("a", "1"), put("b", "2")], "p", 10, asyncCommit());
  const before = txn.dump();
  const status = txn.mustCheckSecondaryLocks(["a", "b"], 10);
  assert.is(status.type, "locked");
  if (status.type !== "locked") return;
  assert.equal(
    status.locks.map(({ key, lock }) => [key, lock.startTs, lock.useAsyncCommit]),
    [
      [utf8("a"), 10n, true],
      [utf8("b"), 10n, true],
    ],
  );
  assert.is(txn.dump(), before);
});

test("my pessimistic lock: unlock and protected rollback -> RolledBack; keys behind it are not looked at", () => {
  const txn = new TxnMust();
  txn.mustAcquirePessimisticLock(["a", "b"], "p", 10, 10);
  assert.equal(txn.mustCheckSecondaryLocks(["a", "b"], 10), ROLLED_BACK);
  txn.mustUnlocked("a");
  txn.mustHaveRollback("a", 10, true);
  txn.mustPessimisticLocked("b", 10, 10);
});

test("my pessimistic lock with conflict flag: first consult write CF", () => {
  const txn = new TxnMust();
  txn.mustPrewrite([put("a", "1")], "p", 10);
  txn.mustCommit("a", 10, 20);
  txn.mustAcquirePessimisticLock("a", "p", 10, 10, FORCE);
  assert.ok(txn.mustPessimisticLocked("a", 10, 20).isLockedWithConflict);
  assert.equal(txn.mustCheckSecondaryLocks(["a"], 10), { type: "committed", commitTs: 20n });
  txn.mustUnlocked("a");
  txn.mustNotHaveWrite("a", 10);
});

test("my pessimistic lock with conflict flag, undecided: unlock and protected rollback", () => {
  const txn = new TxnMust();
  txn.mustPrewrite([put("a", "1")], "a", 15);
  txn.mustCommit("a", 15, 20);
  txn.mustAcquirePessimisticLock("a", "p", 10, 10, FORCE);
  assert.equal(txn.mustCheckSecondaryLocks(["a"], 10), ROLLED_BACK);
  txn.mustUnlocked("a");
  txn.mustHaveRollback("a", 10, true);
});

test("no lock, commit record: its commit_ts, at the first such key", () => {
  const txn = new TxnMust();
  txn.mustPrewrite([put("a", "1"), put("b", "2")], "p", 10);
  txn.mustCommit("b", 10, 20);
  const before = txn.dump();
  const status = txn.mustCheckSecondaryLocks(["a", "b", "c"], 10);
  assert.equal(status, { type: "committed", commitTs: 20n });
  assert.is(txn.dump(), before);
});

test("no lock, rollback record: RolledBack, nothing is written", () => {
  const txn = new TxnMust();
  txn.mustRollback("a", 10);
  const before = txn.dump();
  assert.equal(txn.mustCheckSecondaryLocks(["a"], 10), ROLLED_BACK);
  assert.is(txn.dump(), before);
});

test("no lock, none: protected rollback", () => {
  const txn = new TxnMust();
  txn.mustRollback("a", 5);
  assert.equal(txn.mustCheckSecondaryLocks(["a", "b"], 10), ROLLED_BACK);
  txn.mustHaveRollback("a", 10, true);
  txn.mustNotHaveWrite("a", 5);
  txn.mustNotHaveWrite("b", 10);
  txn.mustPrewriteErr("writeConflict", [put("a", "1")], "p", 10, asyncCommit());
});

test("another's async lock: the protected rollback is noted in it", () => {
  const txn = new TxnMust();
  txn.mustPrewrite([put("a", "1")], "a", 5, asyncCommit());
  assert.equal(txn.mustCheckSecondaryLocks(["a"], 10), ROLLED_BACK);
  assert.equal(txn.mustLocked("a", 5).rollbackTs, [10n]);
  txn.mustHaveRollback("a", 10, true);
});

test("another's commit at start_ts: it carries the rollback", () => {
  const txn = new TxnMust();
  txn.mustPrewrite([put("a", "1")], "a", 5);
  txn.mustCommit("a", 5, 10);
  assert.equal(txn.mustCheckSecondaryLocks(["a"], 10), ROLLED_BACK);
  assert.ok(txn.mustWritten("a", 5, 10, "put").hasOverlappedRollback);
  const before = txn.dump();
  assert.equal(txn.mustCheckSecondaryLocks(["a"], 10), ROLLED_BACK);
  assert.is(txn.dump(), before);
});

test("shared lock: the write CF decides, the lock stays", () => {
  const txn = new TxnMust();
  const shared = { type: LOCK_TYPE.shared, primary: utf8("p"), startTs: 10n, ttl: 50n };
  txn.putLock("a", newLock(shared));
  assert.equal(txn.mustCheckSecondaryLocks(["a"], 10), ROLLED_BACK);
  assert.is(txn.lockOf("a")?.type, LOCK_TYPE.shared);
  txn.mustHaveRollback("a", 10, true);
});

test("the lock that goes and the commit that is found are told", () => {
  const txn = new TxnMust();
  const step = () => {
    const keys = [encode("a")];
    const processed = txn.process<"checkSecondaryLocks">({
      request: { kind: "checkSecondaryLocks", keys, startTs: 10n },
    });
    if (!processed.ok || processed.value.type !== "write") throw new Error("it succeeds");
    return processed.value;
  };
  txn.mustAcquirePessimisticLock("a", "p", 10, 10);
  const released = { startTs: 10n, commitTs: 0n, key: encode("a"), pessimistic: true };
  assert.equal([step().released, step().knownStatus], [[released], []]);
  txn.mustPessimisticRollback("a", 10, 10);
  txn.mustPrewrite([put("a", "1")], "p", 10);
  txn.mustCommit("a", 10, 20);
  assert.equal([step().released, step().knownStatus], [[], [{ startTs: 10n, commitTs: 20n }]]);
});

test("max_ts is raised to start_ts", () => {
  const txn = new TxnMust();
  txn.mustCheckSecondaryLocks(["a"], 40);
  assert.is(txn.concurrencyManager.maxTs, 40n);
});

test.run();
