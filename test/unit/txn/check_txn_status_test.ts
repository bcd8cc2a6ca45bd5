/** Rows of the decision table of CheckTxnStatus (semantics 2.6). */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { utf8 } from "../../../src/base/index.js";
import {
  composeTs,
  LOCK_TYPE,
  newLock,
  newWrite,
  TS_MAX,
  WRITE_TYPE,
} from "../../../src/codec/index.js";
import type { TxnStatus } from "../../../src/txn/index.js";
import { TxnMust } from "../../support/txn_must.js";
import { asyncCommit, checkTxnStatusRequest, encode, put } from "../../support/txn_requests.js";

const at = (ms: number, logical = 0): bigint => composeTs(BigInt(ms), BigInt(logical));
const START = at(100);
const TTL = { lockTtlMs: 50n };
/** The last moment of the lock's life, and the first after it. */
const ALIVE = at(150, 262_143);
const EXPIRED = at(151);

const RESOLVING = { resolvingPessimisticLock: true };
const VERIFY = { verifyIsPrimary: true };
const NO_ROLLBACK = { rollbackIfNotExist: false };

const rolledBack = (action: TxnStatus["action"]): TxnStatus => ({ type: "rolledBack", action });

function prewritten(fields = {}): TxnMust {
  const txn = new TxnMust();
  txn.mustPrewrite([put("k", "v")], "k", START, { ...TTL, ...fields });
  return txn;
}

function locked(primary = "k", fields = {}): TxnMust {
  const txn = new TxnMust();
  txn.mustAcquirePessimisticLock("k", primary, START, START, { ...TTL, ...fields });
  return txn;
}

/** Nothing was decided, and the reply says only what `action` says. */
function mustBeUncommitted(status: TxnStatus, action: TxnStatus["action"]): void {
  assert.is(status.type, "uncommitted");
  assert.is(status.action, action);
  if (status.type !== "uncommitted") return;
  assert.equal(status.lock.key, utf8("k"));
  assert.is(status.lock.lock.startTs, START);
}

test("not the primary; resolving a prewrite lock, pessimistic lock here: missing-lock path, unlock", () => {
  const txn = locked("other");
  const status = txn.mustCheckTxnStatus("k", START, 0, at(101), VERIFY);
  assert.equal(status, rolledBack("lockNotExistRollback"));
  txn.mustUnlocked("k");
  txn.mustHaveRollback("k", START, true);
});

test("not the primary; resolving a prewrite lock, pessimistic lock here, decided: that status, unlock", () => {
  const txn = new TxnMust();
  txn.mustPrewrite([put("k", "v")], "k", START, TTL);
  txn.mustCommit("k", START, at(110));
  const lock = newLock({
    type: LOCK_TYPE.pessimistic,
    primary: utf8("other"),
    startTs: START,
    ttl: 50n,
    forUpdateTs: START,
  });
  txn.putLock("k", lock);
  const status = txn.mustCheckTxnStatus("k", START, 0, at(111), VERIFY);
  assert.equal(status, { type: "committed", commitTs: at(110), action: "noAction" });
  txn.mustUnlocked("k");
});

test("not the primary; missing-lock path without rollback_if_not_exist: TxnNotFound, lock stays", () => {
  const txn = locked("other");
  const fields = { ...VERIFY, ...NO_ROLLBACK };
  txn.mustCheckTxnStatusErr("txnNotFound", "k", START, 0, at(101), fields);
  txn.mustPessimisticLocked("k", START, START);
});

test("not the primary; other combinations: PrimaryMismatch(lock_info)", () => {
  const prewrite = new TxnMust();
  prewrite.mustPrewrite([put("k", "v")], "other", START, TTL);
  for (const [txn, fields] of [
    [locked("other"), { ...VERIFY, ...RESOLVING }],
    [prewrite, VERIFY],
    [prewrite, { ...VERIFY, ...RESOLVING }],
  ] as const) {
    const before = txn.dump();
    const error = txn.mustCheckTxnStatusErr("primaryMismatch", "k", START, 0, EXPIRED, fields);
    assert.equal(error.lock.lock.primary, utf8("other"));
    assert.equal(error.lock.key, utf8("k"));
    assert.is(txn.dump(), before);
  }
});

test("not the primary, verify_is_primary not asked: judged as if it were", () => {
  const status = locked("other").mustCheckTxnStatus("k", START, 0, EXPIRED, RESOLVING);
  assert.is(status.type, "pessimisticRolledBack");
});

test("async commit and !force_sync_commit: Uncommitted(lock) untouched, even if TTL expired", () => {
  const txn = prewritten(asyncCommit("s"));
  const before = txn.dump();
  mustBeUncommitted(txn.mustCheckTxnStatus("k", START, at(400), at(500)), "noAction");
  assert.is(txn.dump(), before);
});

test("async commit and force_sync_commit: judged as two phases", () => {
  const txn = prewritten(asyncCommit("s"));
  const fields = { forceSyncCommit: true };
  mustBeUncommitted(
    txn.mustCheckTxnStatus("k", START, at(400), ALIVE, fields),
    "minCommitTsPushed",
  );
  const status = txn.mustCheckTxnStatus("k", START, 0, EXPIRED, fields);
  assert.equal(status, rolledBack("ttlExpireRollback"));
});

test("pessimistic lock with conflict flag and a commit record: unlock; that status", () => {
  const txn = new TxnMust();
  txn.mustPrewrite([put("k", "v")], "k", START, TTL);
  txn.mustCommit("k", START, at(110));
  txn.mustAcquirePessimisticLock("k", "k", START, START, { ...TTL, allowLockWithConflict: true });
  const status = txn.mustCheckTxnStatus("k", START, 0, at(111));
  assert.equal(status, { type: "committed", commitTs: at(110), action: "noAction" });
  txn.mustUnlocked("k");
});

test("pessimistic lock with conflict flag and a rollback record: unlock; that status", () => {
  const txn = new TxnMust();
  const lock = newLock({
    type: LOCK_TYPE.pessimistic,
    primary: utf8("k"),
    startTs: START,
    ttl: 50n,
    forUpdateTs: at(110),
    isLockedWithConflict: true,
  });
  txn.putLock("k", lock);
  txn.putRollback("k", START, true);
  assert.equal(txn.mustCheckTxnStatus("k", START, 0, at(111)), rolledBack("noAction"));
  txn.mustUnlocked("k");
});

test("pessimistic lock with conflict flag, undecided: an ordinary lock", () => {
  const txn = new TxnMust();
  txn.mustPrewrite([put("k", "v")], "k", at(105));
  txn.mustCommit("k", at(105), at(110));
  txn.mustAcquirePessimisticLock("k", "k", START, START, { ...TTL, allowLockWithConflict: true });
  mustBeUncommitted(txn.mustCheckTxnStatus("k", START, 0, ALIVE), "noAction");
});

test("pessimistic lock, TTL expired, resolving_pessimistic_lock: unlock, no record", () => {
  const txn = locked();
  mustBeUncommitted(txn.mustCheckTxnStatus("k", START, 0, ALIVE, RESOLVING), "noAction");
  const status = txn.mustCheckTxnStatus("k", START, 0, EXPIRED, RESOLVING);
  const action = "ttlExpirePessimisticRollback";
  assert.equal(status, { type: "pessimisticRolledBack", action });
  txn.mustUnlocked("k");
  txn.mustNotHaveWrite("k", START);
});

test("pessimistic lock, TTL expired, else: full protected rollback -> TtlExpire", () => {
  const txn = locked();
  const status = txn.mustCheckTxnStatus("k", START, 0, EXPIRED);
  assert.equal(status, rolledBack("ttlExpireRollback"));
  txn.mustUnlocked("k");
  txn.mustHaveRollback("k", START, true);
});

test("prewrite lock, TTL expired, strictly: rollback (collapse) -> TtlExpireRollback", () => {
  const txn = new TxnMust();
  txn.mustRollback("k", at(50));
  txn.mustPrewrite([put("k", "v")], "k", START, TTL);
  mustBeUncommitted(txn.mustCheckTxnStatus("k", START, 0, ALIVE), "noAction");
  const status = txn.mustCheckTxnStatus("k", START, 0, EXPIRED);
  assert.equal(status, rolledBack("ttlExpireRollback"));
  txn.mustUnlocked("k");
  txn.mustHaveRollback("k", START, true);
  txn.mustNotHaveWrite("k", at(50));
});

test("min_commit_ts != 0, caller >= min_commit_ts: max(caller + 1, current_ts), rewritten", () => {
  for (const [caller, current, pushed] of [
    [at(120), at(110), at(120) + 1n],
    [at(120), at(130), at(130)],
    [START + 1n, at(101), at(101)],
  ] as const) {
    const txn = prewritten({ minCommitTs: START + 1n });
    const status = txn.mustCheckTxnStatus("k", START, caller, current);
    mustBeUncommitted(status, "minCommitTsPushed");
    assert.is(txn.mustLocked("k", START).minCommitTs, pushed);
    if (status.type === "uncommitted") assert.is(status.lock.lock.minCommitTs, pushed);
    txn.mustCommitErr("commitTsExpired", "k", START, pushed - 1n);
    txn.mustCommit("k", START, pushed);
  }
});

test("min_commit_ts > caller: MinCommitTSPushed, nothing is rewritten", () => {
  const txn = prewritten({ minCommitTs: at(120) });
  const before = txn.dump();
  const status = txn.mustCheckTxnStatus("k", START, at(120) - 1n, at(130));
  mustBeUncommitted(status, "minCommitTsPushed");
  assert.is(txn.dump(), before);
});

test("min_commit_ts = 0: not pushed", () => {
  const txn = prewritten();
  const before = txn.dump();
  mustBeUncommitted(txn.mustCheckTxnStatus("k", START, at(120), at(130)), "noAction");
  assert.is(txn.dump(), before);
});

test("caller = 0: not pushed", () => {
  const txn = prewritten({ minCommitTs: at(120) });
  mustBeUncommitted(txn.mustCheckTxnStatus("k", START, 0, at(130)), "noAction");
});

test("caller = MAX: MinCommitTSPushed, nothing is rewritten", () => {
  for (const minCommitTs of [0n, at(120)]) {
    const txn = prewritten({ minCommitTs });
    const before = txn.dump();
    mustBeUncommitted(txn.mustCheckTxnStatus("k", START, TS_MAX, at(130)), "minCommitTsPushed");
    assert.is(txn.dump(), before);
  }
});

test("a live pessimistic lock is pushed too", () => {
  const txn = locked("k", { minCommitTs: START + 1n });
  const status = txn.mustCheckTxnStatus("k", START, at(120), at(110));
  mustBeUncommitted(status, "minCommitTsPushed");
  assert.is(txn.mustPessimisticLocked("k", START, START).minCommitTs, at(120) + 1n);
});

test("lock absent: committed -> commit_version", () => {
  const txn = prewritten();
  txn.mustCommit("k", START, at(110));
  const expected = { type: "committed", commitTs: at(110), action: "noAction" };
  assert.equal(txn.mustCheckTxnStatus("k", START, 0, at(120)), expected);
  txn.mustPrewrite([put("k", "w")], "k", at(130));
  assert.equal(txn.mustCheckTxnStatus("k", START, 0, at(140)), expected, "under another's lock");
});

test("lock absent: rollback -> RolledBack", () => {
  const txn = new TxnMust();
  txn.mustRollback("k", START);
  assert.equal(txn.mustCheckTxnStatus("k", START, 0, at(120)), rolledBack("noAction"));
});

test("lock absent: overlapped rollback -> RolledBack", () => {
  const txn = new TxnMust();
  const fields = { type: WRITE_TYPE.put, startTs: at(90), shortValue: utf8("v") };
  const write = newWrite({ ...fields, hasOverlappedRollback: true });
  txn.putWrite("k", START, write);
  assert.equal(txn.mustCheckTxnStatus("k", START, 0, at(120)), rolledBack("noAction"));
});

test("lock absent, none, !rollback_if_not_exist: TxnNotFound", () => {
  const txn = new TxnMust();
  for (const fields of [NO_ROLLBACK, { ...NO_ROLLBACK, ...RESOLVING }]) {
    const error = txn.mustCheckTxnStatusErr("txnNotFound", "k", START, 0, EXPIRED, fields);
    assert.equal(error, { kind: "txnNotFound", startTs: START, key: utf8("k") });
  }
  assert.is(txn.dump(), "");
});

test("lock absent, none, resolving_pessimistic_lock: LockNotExistDoNothing", () => {
  const txn = new TxnMust();
  const status = txn.mustCheckTxnStatus("k", START, 0, EXPIRED, RESOLVING);
  assert.equal(status, { type: "lockNotExistDoNothing", action: "lockNotExistDoNothing" });
  assert.is(txn.dump(), "");
});

test("lock absent, none, else: protected rollback -> LockNotExistRollback", () => {
  const txn = new TxnMust();
  const status = txn.mustCheckTxnStatus("k", START, 0, EXPIRED);
  assert.equal(status, rolledBack("lockNotExistRollback"));
  txn.mustHaveRollback("k", START, true);
  txn.mustPrewriteErr("writeConflict", [put("k", "v")], "k", START);
});

test("another's async lock: the protected rollback is noted in it", () => {
  const txn = new TxnMust();
  txn.mustPrewrite([put("k", "v")], "k", at(90), asyncCommit());
  txn.mustCheckTxnStatus("k", START, 0, EXPIRED);
  assert.equal(txn.mustLocked("k", at(90)).rollbackTs, [START]);
  txn.mustHaveRollback("k", START, true);
});

test("shared lock on the key: PrimaryMismatch", () => {
  const txn = new TxnMust();
  const shared = { type: LOCK_TYPE.shared, primary: utf8("k"), startTs: START, ttl: 50n };
  txn.putLock("k", newLock(shared));
  txn.mustCheckTxnStatusErr("primaryMismatch", "k", START, 0, EXPIRED);
});

test("max_ts: the greatest of lock_ts, current_ts and caller_start_ts, MAX aside", () => {
  for (const [lockTs, caller, current, expected] of [
    [30n, 10n, 20n, 30n],
    [10n, 30n, 20n, 30n],
    [10n, 20n, 30n, 30n],
    [10n, TS_MAX, 20n, 20n],
    [10n, 20n, TS_MAX, 20n],
  ] as const) {
    const txn = new TxnMust();
    txn.mustCheckTxnStatus("k", lockTs, caller, current);
    assert.is(txn.concurrencyManager.maxTs, expected);
  }
});

test("pessimistic lock, TTL expired: the rollback collapses the one below", () => {
  const txn = new TxnMust();
  txn.mustRollback("k", at(50));
  txn.mustAcquirePessimisticLock("k", "k", START, START, TTL);
  txn.mustCheckTxnStatus("k", START, 0, EXPIRED);
  txn.mustNotHaveWrite("k", at(50));
});

test("whoever removes a lock tells of it", () => {
  const forced = new TxnMust();
  forced.mustPrewrite([put("k", "v")], "k", START, TTL);
  forced.mustCommit("k", START, at(110));
  forced.mustAcquirePessimisticLock("k", "k", START, START, {
    ...TTL,
    allowLockWithConflict: true,
  });
  for (const [txn, pessimistic, fields] of [
    [locked("other"), true, VERIFY],
    [forced, true, {}],
    [locked(), true, RESOLVING],
    [locked(), true, {}],
    [prewritten(), false, {}],
  ] as const) {
    const request = checkTxnStatusRequest("k", START, 0, EXPIRED, fields);
    const step = txn.process<"checkTxnStatus">({ request });
    const told = step.ok && step.value.type === "write" && step.value.released;
    assert.equal(told, [{ startTs: START, commitTs: 0n, key: encode("k"), pessimistic }]);
  }
});

test("a commit that is found is told to the status cache", () => {
  const txn = prewritten();
  const request = checkTxnStatusRequest("k", START, 0, at(101));
  const known = () => {
    const step = txn.process<"checkTxnStatus">({ request });
    return step.ok && step.value.type === "write" && step.value.knownStatus;
  };
  assert.equal(known(), []);
  txn.mustCommit("k", START, at(110));
  assert.equal(known(), [{ startTs: START, commitTs: at(110) }]);
});

test.run();
