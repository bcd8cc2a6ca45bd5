/** Rows of the decision table of AcquirePessimisticLock (semantics 2.3). */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { utf8 } from "../../../src/base/index.js";
import { newWrite, WRITE_TYPE } from "../../../src/codec/index.js";
import type { AcquirePessimisticLockRequest, TxnError } from "../../../src/txn/index.js";
import { TxnMust } from "../../support/txn_must.js";
import { acquireRequest, del, encode, lockOnly, put } from "../../support/txn_requests.js";

const VALUES = { returnValues: true };
const EXISTENCE = { checkExistence: true };
const FORCE = { allowLockWithConflict: true };

/** `key` has the value "v<commitTs>", written by a transaction that began one earlier. */
function withValue(key: string, ...commits: number[]): TxnMust {
  const txn = new TxnMust();
  for (const commitTs of commits) {
    txn.mustPrewrite([put(key, `v${commitTs}`)], key, commitTs - 1);
    txn.mustCommit(key, commitTs - 1, commitTs);
  }
  return txn;
}

function noDuplicates(key: string): Partial<AcquirePessimisticLockRequest> {
  return { keys: [{ key: encode(key), shouldNotExist: true }] };
}

test("lock_only_if_exists without return_values: LockIfExistsFailed", () => {
  const txn = withValue("k", 5);
  const error = txn.mustAcquirePessimisticLockErr("lockIfExistsFailed", "k", "k", 10, 10, {
    lockOnlyIfExists: true,
  });
  assert.equal(error, { kind: "lockIfExistsFailed", startTs: 10n, key: utf8("k") });
  txn.mustUnlocked("k");
});

test("lock_only_if_exists: locks a key that has a value, and no other", () => {
  const txn = withValue("k", 5);
  const only = { ...VALUES, lockOnlyIfExists: true };
  const results = txn.mustAcquirePessimisticLock(["k", "none"], "k", 10, 10, only);
  assert.equal(results, [
    { type: "value", value: utf8("v5") },
    { type: "value", value: undefined },
  ]);
  txn.mustPessimisticLocked("k", 10, 10);
  txn.mustUnlocked("none");
});

test("other txn's lock: KeyIsLocked, to be waited for; all earlier keys are discarded", () => {
  const txn = new TxnMust();
  txn.mustPrewrite([put("b", "1")], "b", 5);
  const outcome = txn.mustWaitForLock(5, ["a", "b", "c"], "a", 10, 10);
  assert.equal(outcome.lock.key, utf8("b"));
  assert.equal(outcome.key, encode("b"));
  txn.mustUnlocked("a");
  txn.mustUnlocked("c");
});

test("other txn's lock, wait_timeout < 0: KeyIsLocked at once", () => {
  const txn = new TxnMust();
  txn.mustAcquirePessimisticLock("b", "b", 5, 5);
  const error = txn.mustAcquirePessimisticLockErr("keyIsLocked", ["a", "b"], "a", 10, 10);
  assert.is(error.lock.lock.startTs, 5n);
  txn.mustUnlocked("a");
});

test("other txn's lock, wait_timeout < 0, force lock: the failure stands at the key", () => {
  const txn = new TxnMust();
  txn.mustAcquirePessimisticLock("k", "k", 5, 5);
  const [result] = txn.mustAcquirePessimisticLock("k", "k", 10, 10, FORCE);
  assert.is(result?.type, "failed");
  assert.is((result as { error: TxnError }).error.kind, "keyIsLocked");
  txn.mustPessimisticLocked("k", 5, 5);
});

test("my prewrite lock: LockTypeNotMatch", () => {
  const txn = new TxnMust();
  txn.mustPrewrite([put("k", "1")], "k", 10);
  const error = txn.mustAcquirePessimisticLockErr("lockTypeNotMatch", "k", "k", 10, 10);
  assert.is(error.pessimistic, false);
});

test("my pessimistic lock: idempotent, nothing is rewritten at the same or an older for_update_ts", () => {
  const txn = withValue("k", 5);
  txn.mustAcquirePessimisticLock("k", "k", 10, 12, { lockTtlMs: 7n });
  const before = txn.dump();
  for (const forUpdateTs of [12, 11]) {
    const fields = { lockTtlMs: 99n, ...VALUES };
    const results = txn.mustAcquirePessimisticLock("k", "k", 10, forUpdateTs, fields);
    assert.equal(results, [{ type: "value", value: utf8("v5") }], `at ${forUpdateTs}`);
  }
  assert.is(txn.dump(), before);
});

test("my pessimistic lock, greater for_update_ts: rewritten; last_change and conflict flag stay", () => {
  const txn = withValue("k", 5, 20);
  const [locked] = txn.mustAcquirePessimisticLock("k", "k", 10, 12, FORCE);
  assert.is(locked?.type, "lockedWithConflict");
  const { lastChange } = txn.mustPessimisticLocked("k", 10, 20);
  assert.equal(lastChange, { ts: 20n, versions: 1n });
  assert.equal(txn.mustAcquirePessimisticLock("k", "k", 10, 25), [{ type: "empty" }]);
  const lock = txn.mustPessimisticLocked("k", 10, 25);
  assert.ok(lock.isLockedWithConflict);
  assert.equal(lock.lastChange, lastChange);
});

test("my pessimistic lock, force lock, older for_update_ts: locked_with_conflict_ts = the lock's", () => {
  const txn = withValue("k", 5, 20);
  txn.mustAcquirePessimisticLock("k", "k", 10, 30);
  const results = txn.mustAcquirePessimisticLock("k", "k", 10, 12, FORCE);
  const value = utf8("v20");
  assert.equal(results, [{ type: "lockedWithConflict", value, conflictTs: 30n }]);
  txn.mustPessimisticLocked("k", 10, 30);
});

test("my pessimistic lock, force lock, the same for_update_ts: no conflict is told", () => {
  const txn = withValue("k", 5, 20);
  txn.mustAcquirePessimisticLock("k", "k", 10, 30);
  assert.equal(txn.mustAcquirePessimisticLock("k", "k", 10, 30, FORCE), [{ type: "empty" }]);
});

test("my pessimistic lock, should_not_exist: a value above the request's for_update_ts is a conflict", () => {
  const txn = withValue("k", 5, 20);
  txn.mustAcquirePessimisticLock("k", "k", 10, 30);
  const fields = { ...FORCE, ...noDuplicates("k") };
  txn.mustAcquirePessimisticLockErr("writeConflict", "k", "k", 10, 19, fields);
  txn.mustAcquirePessimisticLockErr("alreadyExist", "k", "k", 10, 20, fields);
});

test("my pessimistic lock, should_not_exist: the value is found again", () => {
  const txn = withValue("k", 5);
  txn.mustAcquirePessimisticLock("k", "k", 10, 12);
  txn.mustAcquirePessimisticLockErr("alreadyExist", "k", "k", 10, 12, noDuplicates("k"));
});

test("newest commit_ts > for_update_ts: WriteConflict(PessimisticRetry)", () => {
  const txn = withValue("k", 20);
  const error = txn.mustAcquirePessimisticLockErr("writeConflict", "k", "p", 10, 19);
  assert.equal(error, {
    kind: "writeConflict",
    startTs: 10n,
    conflictStartTs: 19n,
    conflictCommitTs: 20n,
    key: utf8("k"),
    primary: utf8("p"),
    reason: "pessimisticRetry",
  });
  txn.mustAcquirePessimisticLock("k", "p", 10, 20);
});

test("newest commit_ts > for_update_ts: a newer rollback is a conflict too", () => {
  const txn = new TxnMust();
  txn.mustRollback("k", 20);
  txn.mustAcquirePessimisticLockErr("writeConflict", "k", "k", 10, 15);
});

test("newest commit_ts > for_update_ts, force lock: locked at commit_ts, flag F, value returned", () => {
  const txn = withValue("k", 5, 20);
  const results = txn.mustAcquirePessimisticLock("k", "k", 10, 12, FORCE);
  const value = utf8("v20");
  assert.equal(results, [{ type: "lockedWithConflict", value, conflictTs: 20n }]);
  assert.ok(txn.mustPessimisticLocked("k", 10, 20).isLockedWithConflict);
});

test("force lock, no conflict: an ordinary lock", () => {
  const txn = withValue("k", 5);
  assert.equal(txn.mustAcquirePessimisticLock("k", "k", 10, 12, FORCE), [{ type: "empty" }]);
  assert.not.ok(txn.mustPessimisticLocked("k", 10, 12).isLockedWithConflict);
});

test("force lock with a conflict, lock_only_if_exists, no value: WriteConflict", () => {
  const txn = new TxnMust();
  txn.mustPrewrite([del("k")], "k", 15);
  txn.mustCommit("k", 15, 20);
  const fields = { ...FORCE, ...VALUES, lockOnlyIfExists: true };
  txn.mustAcquirePessimisticLockErr("writeConflict", "k", "k", 10, 12, fields);
  txn.mustUnlocked("k");
});

test("force lock of several keys: refused", () => {
  const txn = new TxnMust();
  txn.mustAcquirePessimisticLockErr("invalidRequest", ["a", "b"], "a", 10, 10, FORCE);
});

test("rollback of start_ts found, by its own record: PessimisticLockRolledBack", () => {
  const txn = new TxnMust();
  txn.mustRollback("k", 10);
  const error = txn.mustAcquirePessimisticLockErr("pessimisticLockRolledBack", "k", "k", 10, 10);
  assert.equal(error, { kind: "pessimisticLockRolledBack", startTs: 10n, key: utf8("k") });
});

test("rollback of start_ts found, by flag R of another's commit: PessimisticLockRolledBack", () => {
  const txn = new TxnMust();
  const fields = { type: WRITE_TYPE.put, startTs: 8n, shortValue: utf8("v") };
  const write = newWrite({ ...fields, hasOverlappedRollback: true });
  txn.putWrite("k", 10n, write);
  txn.mustAcquirePessimisticLockErr("pessimisticLockRolledBack", "k", "k", 10, 10);
});

test("a commit of another at start_ts without flag R is no rollback", () => {
  const txn = withValue("k", 10);
  txn.mustAcquirePessimisticLock("k", "k", 10, 10);
});

test("rollback of start_ts found below a newer commit: needs the second seek", () => {
  const txn = withValue("k", 20);
  txn.putRollback("k", 10);
  txn.mustAcquirePessimisticLockErr("pessimisticLockRolledBack", "k", "k", 10, 20);
  txn.mustAcquirePessimisticLockErr("pessimisticLockRolledBack", "k", "k", 10, 12, FORCE);
});

test("should_not_exist violated: AlreadyExist", () => {
  const txn = withValue("k", 5);
  const error = txn.mustAcquirePessimisticLockErr(
    "alreadyExist",
    "k",
    "k",
    10,
    12,
    noDuplicates("k"),
  );
  assert.equal(error.key, utf8("k"));
  txn.mustUnlocked("k");
});

test("should_not_exist violated and a conflict, force lock: WriteConflict", () => {
  const txn = withValue("k", 20);
  const fields = { ...FORCE, ...noDuplicates("k") };
  txn.mustAcquirePessimisticLockErr("writeConflict", "k", "k", 10, 12, fields);
});

test("should_not_exist holds: after a delete, and below a lock record", () => {
  const txn = withValue("k", 5);
  txn.mustPrewrite([del("k")], "k", 6);
  txn.mustCommit("k", 6, 7);
  txn.mustPrewrite([lockOnly("k")], "k", 8);
  txn.mustCommit("k", 8, 9);
  txn.mustAcquirePessimisticLock("k", "k", 10, 12, noDuplicates("k"));
  txn.mustPessimisticLocked("k", 10, 12);
});

for (const [what, fields, existing, missing] of [
  ["nothing asked", {}, { type: "empty" }, { type: "empty" }],
  [
    "return_values",
    VALUES,
    { type: "value", value: utf8("v5") },
    { type: "value", value: undefined },
  ],
  [
    "check_existence",
    EXISTENCE,
    { type: "existence", exists: true },
    { type: "existence", exists: false },
  ],
  [
    "both: the value says it",
    { ...VALUES, ...EXISTENCE },
    { type: "value", value: utf8("v5") },
    { type: "value", value: undefined },
  ],
] as const) {
  test(`else lock; the latest committed version is returned: ${what}`, () => {
    const txn = withValue("k", 5);
    txn.mustPrewrite([lockOnly("k")], "k", 6);
    txn.mustCommit("k", 6, 7);
    txn.mustRollback("k", 9);
    const results = txn.mustAcquirePessimisticLock(["k", "none"], "k", 10, 12, fields);
    assert.equal(results, [existing, missing]);
    txn.mustPessimisticLocked("k", 10, 12);
    txn.mustPessimisticLocked("none", 10, 12);
  });
}

test("a long value is returned, a deleted and a fenced one are not", () => {
  const txn = new TxnMust();
  const long = "x".repeat(300);
  txn.mustPrewrite([put("long", long), put("gone", "v")], "long", 4);
  txn.mustCommit(["long", "gone"], 4, 5);
  txn.mustPrewrite([del("gone")], "gone", 6);
  txn.mustCommit("gone", 6, 7);
  const fenced = newWrite({
    type: WRITE_TYPE.put,
    startTs: 4n,
    shortValue: utf8("old"),
    hasOverlappedRollback: true,
    gcFence: 8n,
  });
  txn.putWrite("fenced", 5n, fenced);
  const keys = ["long", "gone", "fenced"];
  const results = txn.mustAcquirePessimisticLock(keys, "long", 10, 12, VALUES);
  assert.equal(
    results.map((result) => (result as { value: Uint8Array | undefined }).value),
    [utf8(long), undefined, undefined],
  );
});

test("the lock holds what the request says", () => {
  const txn = withValue("k", 5);
  txn.mustAcquirePessimisticLock("k", "p", 10, 12, { lockTtlMs: 3000n, minCommitTs: 13n });
  const lock = txn.mustPessimisticLocked("k", 10, 12);
  assert.equal(lock.primary, utf8("p"));
  assert.is(lock.ttl, 3000n);
  assert.is(lock.minCommitTs, 13n);
  assert.equal(lock.lastChange, { ts: 5n, versions: 1n });
});

test("max_ts: raised to for_update_ts by whatever reads, and by nothing else", () => {
  for (const [fields, raised] of [
    [{}, false],
    [VALUES, true],
    [EXISTENCE, true],
    [noDuplicates("k"), true],
  ] as const) {
    const txn = new TxnMust();
    txn.mustAcquirePessimisticLock("k", "k", 10, 40, fields);
    assert.is(txn.concurrencyManager.maxTs, raised ? 40n : 1n, JSON.stringify(Object.keys(fields)));
  }
});

test("the outcome names the locks that may be kept in memory, and no other change", () => {
  const txn = withValue("a", 5);
  const request = acquireRequest(["a", "b"], "a", 10, 12, { lockTtlMs: 9n });
  const processed = txn.process<"acquirePessimisticLock">({ request });
  assert.ok(processed.ok);
  const outcome = processed.ok ? processed.value : undefined;
  assert.is(outcome?.type, "write");
  if (outcome?.type !== "write") return;
  assert.is(outcome.policy, "onProposed");
  assert.not.ok(outcome.frees, "not on a full disk");
  const locks = outcome.pessimisticLocks ?? [];
  assert.equal(
    locks.map(({ key, lock }) => [key, lock.startTs, lock.ttl]),
    [
      [encode("a"), 10n, 9n],
      [encode("b"), 10n, 9n],
    ],
  );
  assert.equal(
    outcome.modifies.map(({ cf, key }) => [cf, key]),
    locks.map(({ key }) => ["lock", key]),
  );
});

test.run();
