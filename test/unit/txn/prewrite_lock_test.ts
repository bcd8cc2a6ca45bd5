/** Step A of the decision table of prewrite (semantics 2.2): the lock that is on the key. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { utf8 } from "../../../src/base/index.js";
import { LOCK_TYPE, newLock } from "../../../src/codec/index.js";
import { TxnMust } from "../../support/txn_must.js";
import { asyncCommit, del, insert, lockOnly, put } from "../../support/txn_requests.js";

const MUST_HOLD = { pessimisticAction: "doPessimisticCheck" } as const;
const pessimistic = (forUpdateTs: bigint) => ({ forUpdateTs });

/** A store on which `key` was committed at `commitTs` by the transaction that began at 1. */
function committed(key: string, commitTs: number): TxnMust {
  const txn = new TxnMust();
  txn.mustPrewrite([put(key, "old")], key, 1);
  txn.mustCommit(key, 1, commitTs);
  return txn;
}

test("none, DoPessimisticCheck: newest write commit_ts >= start_ts: LockMissingAmendFail", () => {
  for (const commitTs of [10, 11]) {
    const txn = committed("k", commitTs);
    const mutations = [put("k", "v", MUST_HOLD)];
    const error = txn.mustPrewriteErr("pessimisticLockNotFound", mutations, "k", 10, {
      forUpdateTs: 20n,
    });
    assert.is(error.reason, "lockMissingAmendFail", `committed at ${commitTs}`);
  }
});

test("none, DoPessimisticCheck: a rollback at or above start_ts fails the amend too", () => {
  const txn = new TxnMust();
  txn.putRollback("k", 10, true);
  const mutations = [put("k", "v", MUST_HOLD)];
  txn.mustPrewriteErr("pessimisticLockNotFound", mutations, "k", 10, pessimistic(20n));
});

test("none, DoPessimisticCheck: nothing newer: amended, as a new lock", () => {
  for (const txn of [new TxnMust(), committed("k", 9)]) {
    txn.mustPrewrite([put("k", "v", MUST_HOLD)], "k", 10, pessimistic(20n));
    assert.is(txn.mustLocked("k", 10).forUpdateTs, 20n);
    txn.mustCommit("k", 10, 30);
    txn.mustGet("k", 30, "v");
  }
});

test("none, DoPessimisticCheck: an amended key is asserted", () => {
  const txn = committed("k", 9);
  const mutations = [put("k", "v", { ...MUST_HOLD, assertion: "notExist" })];
  const fields = { forUpdateTs: 20n, assertionLevel: "fast" } as const;
  const error = txn.mustPrewriteErr("assertionFailed", mutations, "k", 10, fields);
  assert.is(error.existingCommitTs, 9n);
});

test("none, DoPessimisticCheck: the amended lock knows the last change", () => {
  const txn = committed("k", 9);
  const fields = pessimistic(20n);
  txn.mustPrewrite([lockOnly("k", MUST_HOLD), lockOnly("n", MUST_HOLD)], "k", 10, fields);
  assert.equal(txn.mustLocked("k", 10).lastChange, { ts: 9n, versions: 1n });
  assert.equal(txn.mustLocked("n", 10).lastChange, { ts: 0n, versions: 1n });
});

test("none, other: continue", () => {
  const txn = new TxnMust();
  txn.mustPrewrite([put("a", "v")], "a", 10, pessimistic(10n));
  txn.mustPrewrite([put("b", "v")], "b", 20);
  txn.mustLocked("a", 10);
  txn.mustLocked("b", 20);
});

test("other txn's lock, DoPessimisticCheck: LockTsMismatch", () => {
  const txn = new TxnMust();
  txn.mustPrewrite([put("k", "v")], "k", 5);
  const mutations = [put("k", "v", MUST_HOLD)];
  const fields = pessimistic(10n);
  const error = txn.mustPrewriteErr("pessimisticLockNotFound", mutations, "k", 10, fields);
  assert.is(error.reason, "lockTsMismatch");
});

test("other txn's lock, else: KeyIsLocked with the lock's TTL", () => {
  const txn = new TxnMust();
  txn.mustPrewrite([put("k", "v")], "p", 5, { lockTtlMs: 77n });
  const { locks } = txn.mustPrewriteLocked([5], [put("k", "w")], "k", 10);
  assert.equal(locks[0]?.key, utf8("k"));
  assert.equal(locks[0]?.lock.primary, utf8("p"));
  assert.is(locks[0]?.lock.ttl, 77n);
  assert.is(locks[0]?.ttlOverride, undefined);
});

test("other txn's lock, else: TTL in LockInfo 0 if my txn is pessimistic", () => {
  const txn = new TxnMust();
  txn.mustPrewrite([put("k", "v")], "p", 5, { lockTtlMs: 77n });
  const { locks } = txn.mustPrewriteLocked([5], [put("k", "w")], "k", 10, pessimistic(10n));
  assert.is(locks[0]?.ttlOverride, 0n);
});

test("other txn's lock, a shared one: KeyIsLocked", () => {
  const txn = new TxnMust();
  const lock = newLock({ type: LOCK_TYPE.shared, primary: utf8("p"), startTs: 10n, ttl: 0n });
  txn.putLock("k", lock);
  txn.mustPrewriteLocked([10], [put("k", "w")], "k", 10);
});

test("mine, pessimistic type, txn is optimistic: LockTypeNotMatch", () => {
  const txn = new TxnMust();
  txn.putPessimisticLock("k", 10, 10);
  const error = txn.mustPrewriteErr("lockTypeNotMatch", [put("k", "v")], "k", 10);
  assert.is(error.pessimistic, true);
});

test("mine, pessimistic, expected_for_update_ts != lock's: LockForUpdateTsMismatch", () => {
  for (const expectedForUpdateTs of [14n, 16n]) {
    const txn = new TxnMust();
    txn.putPessimisticLock("k", 10, 15);
    const mutations = [put("k", "v", { ...MUST_HOLD, expectedForUpdateTs })];
    const fields = pessimistic(20n);
    const error = txn.mustPrewriteErr("pessimisticLockNotFound", mutations, "k", 10, fields);
    assert.is(error.reason, "lockForUpdateTsMismatch", `expected ${expectedForUpdateTs}`);
  }
  const txn = new TxnMust();
  txn.putPessimisticLock("k", 10, 15);
  const mutations = [put("k", "v", { ...MUST_HOLD, expectedForUpdateTs: 15n })];
  txn.mustPrewrite(mutations, "k", 10, pessimistic(20n));
});

test("mine, pessimistic, ok: overwrite; ttl, min_commit_ts, for_update_ts = max", () => {
  for (const [mine, request] of [
    [100n, 50n],
    [50n, 100n],
  ] as const) {
    const txn = new TxnMust();
    txn.putPessimisticLock("k", 10, mine, { ttl: mine, minCommitTs: mine });
    const fields = { lockTtlMs: request, minCommitTs: request, forUpdateTs: request };
    txn.mustPrewrite([put("k", "v", MUST_HOLD)], "k", 10, fields);
    const lock = txn.mustLocked("k", 10);
    assert.is(lock.ttl, 100n);
    assert.is(lock.minCommitTs, 100n);
    assert.is(lock.forUpdateTs, 100n);
  }
});

test("mine, pessimistic, ok: also for a key that need not be locked", () => {
  const txn = new TxnMust();
  txn.putPessimisticLock("k", 10, 15);
  txn.mustPrewrite([put("k", "v")], "k", 10, pessimistic(20n));
  txn.mustLocked("k", 10);
});

test("mine, pessimistic, ok: a Lock record keeps the last change of the pessimistic lock", () => {
  const txn = new TxnMust();
  txn.putPessimisticLock("k", 10, 15, { lastChange: { ts: 7n, versions: 3n } });
  txn.mustPrewrite([lockOnly("k", MUST_HOLD)], "k", 10, pessimistic(20n));
  assert.equal(txn.mustLocked("k", 10).lastChange, { ts: 7n, versions: 3n });
});

test("mine, prewrite type: duplicate: Ok without rewriting, min_commit_ts if async", () => {
  const txn = new TxnMust();
  const first = txn.mustPrewrite([put("k", "v")], "k", 10, asyncCommit());
  txn.concurrencyManager.updateMaxTs(500n);
  const before = txn.dump();
  const again = txn.mustPrewrite([del("k")], "k", 10, asyncCommit());
  assert.is(again.minCommitTs, first.minCommitTs);
  assert.is(txn.dump(), before);
  assert.is(txn.mustPrewrite([put("k", "w")], "k", 10).minCommitTs, 0n);
  assert.is(txn.dump(), before);
});

test("mine, prewrite type: duplicate: not async: 0", () => {
  const txn = new TxnMust();
  txn.mustPrewrite([put("k", "v")], "k", 10, { minCommitTs: 30n });
  const before = txn.dump();
  assert.is(txn.mustPrewrite([put("k", "v")], "k", 10, asyncCommit()).minCommitTs, 0n);
  assert.is(txn.dump(), before);
});

test("mine, prewrite type: duplicate: constraints and assertions are not checked again", () => {
  const txn = new TxnMust();
  txn.mustPrewrite([insert("k", "v")], "k", 10);
  txn.putWrite("k", 20, { type: 0x50, startTs: 15n, shortValue: utf8("x") });
  const again = [insert("k", "v", { assertion: "notExist" })];
  txn.mustPrewrite(again, "k", 10, { assertionLevel: "strict" });
});

test("mine, generation: should_not_exist on a flushed Put: AlreadyExist", () => {
  const txn = new TxnMust();
  const lock = { primary: utf8("k"), startTs: 10n, ttl: 0n, generation: 2n };
  txn.putLock("k", newLock({ ...lock, type: LOCK_TYPE.put, shortValue: utf8("v") }));
  txn.putLock("d", newLock({ ...lock, type: LOCK_TYPE.delete }));
  txn.mustPrewriteErr("alreadyExist", [insert("k", "v")], "k", 10);
  txn.mustPrewrite([insert("d", "v"), put("k", "w")], "k", 10);
  assert.equal(txn.mustLocked("k", 10).shortValue, utf8("v"), "flushed locks stay as they are");
});

test.run();
