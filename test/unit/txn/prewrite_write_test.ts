/** Step E of prewrite and the results of whole requests (semantics 2.2): locks, async commit, 1PC. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { U64_MAX, utf8 } from "../../../src/base/index.js";
import { keyAppendTs, LOCK_TYPE, TS_MAX, WRITE_TYPE } from "../../../src/codec/index.js";
import type { PrewriteRequest, PrewriteResult, WriteOutcome } from "../../../src/txn/index.js";
import { TxnMust } from "../../support/txn_must.js";
import {
  asyncCommit,
  checkNotExists,
  del,
  encode,
  insert,
  lockOnly,
  prewriteRequest,
  put,
} from "../../support/txn_requests.js";

const MUST_HOLD = { pessimisticAction: "doPessimisticCheck" } as const;
const ONE_PC = { tryOnePc: true } as const;

/** Returns what a prewrite wants written; nothing is, and its memory locks stay. */
function outcomeOf(txn: TxnMust, request: PrewriteRequest): WriteOutcome<PrewriteResult> {
  const outcome = txn.process<"prewrite">({ request });
  if (!outcome.ok) throw new Error(`a failure: ${outcome.error.kind}`);
  return outcome.value;
}

/** A store whose max_ts is raised by the first insert to 10. */
function withMaxTs(maxTs: bigint): TxnMust {
  const txn = new TxnMust();
  txn.concurrencyManager.updateMaxTs(maxTs);
  return txn;
}

test("write lock: all fields of the request", () => {
  const txn = new TxnMust();
  const fields = { lockTtlMs: 3000n, txnSize: 5n, minCommitTs: 12n, txnSource: 2n };
  txn.mustPrewrite([put("a", "v"), insert("b", "w"), del("c"), lockOnly("d")], "a", 10, fields);
  const types = ["a", "b", "c", "d"].map((key) => txn.mustLocked(key, 10).type);
  assert.equal(types, [LOCK_TYPE.put, LOCK_TYPE.put, LOCK_TYPE.delete, LOCK_TYPE.lock]);
  const lock = txn.mustLocked("b", 10);
  assert.equal(lock.primary, utf8("a"));
  assert.equal(lock.shortValue, utf8("w"));
  assert.is(lock.ttl, 3000n);
  assert.is(lock.txnSize, 5n);
  assert.is(lock.minCommitTs, 12n);
  assert.is(lock.txnSource, 2n);
  assert.is(lock.forUpdateTs, 0n);
  assert.is(lock.useAsyncCommit, false);
});

test("value <= 255 inline else default CF at start_ts", () => {
  for (const [length, inline] of [
    [0, true],
    [255, true],
    [256, false],
  ] as const) {
    const txn = new TxnMust();
    const value = "v".repeat(length);
    txn.mustPrewrite([put("k", value)], "k", 10);
    const stored = txn.engine.snapshot().get("default", keyAppendTs(encode("k"), 10n));
    assert.equal(txn.mustLocked("k", 10).shortValue, inline ? utf8(value) : undefined);
    assert.equal(stored, inline ? undefined : utf8(value));
    txn.mustCommit("k", 10, 20);
    txn.mustGet("k", 20, value);
  }
});

test("last_change: in Lock records only, from the newest record", () => {
  const txn = new TxnMust();
  txn.putWrite("a", 5n, { type: WRITE_TYPE.put, startTs: 4n, shortValue: utf8("x") });
  txn.mustPrewrite([lockOnly("a"), lockOnly("n"), put("p", "v")], "a", 10);
  assert.equal(txn.mustLocked("a", 10).lastChange, { ts: 5n, versions: 1n });
  assert.equal(txn.mustLocked("n", 10).lastChange, { ts: 0n, versions: 1n });
  assert.equal(txn.mustLocked("p", 10).lastChange, { ts: 0n, versions: 0n });
});

test("last_change: counts on from that of a Lock record, and walks where it is unknown", () => {
  const put5 = { type: WRITE_TYPE.put, startTs: 4n, shortValue: utf8("x") } as const;
  for (const [lastChange, expected] of [
    [
      { ts: 5n, versions: 3n },
      { ts: 5n, versions: 4n },
    ],
    [
      { ts: 0n, versions: 1n },
      { ts: 0n, versions: 1n },
    ],
    [{ ts: 0n, versions: 0n }, undefined],
  ] as const) {
    const txn = new TxnMust();
    txn.putWrite("k", 5n, put5);
    txn.putWrite("k", 7n, { type: WRITE_TYPE.lock, startTs: 6n, lastChange });
    txn.mustPrewrite([lockOnly("k")], "k", 10);
    const found = txn.mustLocked("k", 10).lastChange;
    if (expected !== undefined) assert.equal(found, expected);
    else assert.is(found.ts, 5n);
  }
});

test("last_change: unknown if constraints are not checked", () => {
  const txn = new TxnMust();
  txn.putWrite("k", 5n, { type: WRITE_TYPE.put, startTs: 4n, shortValue: utf8("x") });
  txn.mustPrewrite([lockOnly("k")], "k", 10, { skipConstraintCheck: true });
  assert.equal(txn.mustLocked("k", 10).lastChange, { ts: 0n, versions: 0n });
});

test("secondaries list only on the primary; other keys of an async txn get an empty list", () => {
  const txn = new TxnMust();
  txn.mustPrewrite([put("b", "2"), put("a", "1")], "a", 10, asyncCommit("b", "c"));
  assert.equal(txn.mustLocked("a", 10).secondaries, [utf8("b"), utf8("c")]);
  const other = txn.mustLocked("b", 10);
  assert.equal(other.secondaries, []);
  assert.is(other.useAsyncCommit, true);
});

test("min_commit_ts = max(max_ts, start_ts, for_update_ts) + 1, then max with the lock's", () => {
  for (const [maxTs, forUpdateTs, minCommitTs, expected] of [
    [40n, 0n, 0n, 41n],
    [5n, 0n, 0n, 11n],
    [5n, 30n, 0n, 31n],
    [40n, 30n, 0n, 41n],
    [40n, 30n, 50n, 50n],
  ] as const) {
    const txn = withMaxTs(maxTs);
    const fields = { ...asyncCommit(), forUpdateTs, minCommitTs };
    assert.is(txn.mustPrewrite([put("k", "v")], "k", 10, fields).minCommitTs, expected);
    assert.is(txn.mustLocked("k", 10).minCommitTs, expected);
  }
});

test("min_commit_ts of a pessimistic lock that was pushed counts", () => {
  const txn = new TxnMust();
  txn.putPessimisticLock("k", 10, 10, { minCommitTs: 70n });
  const fields = { ...asyncCommit(), forUpdateTs: 10n };
  const result = txn.mustPrewrite([put("k", "v", MUST_HOLD)], "k", 10, fields);
  assert.is(result.minCommitTs, 70n);
});

test("KeyIsLocked on some keys: collected, nothing at all is written", () => {
  const txn = new TxnMust();
  txn.mustPrewrite([put("b", "v")], "b", 5);
  txn.mustPrewrite([put("d", "v")], "d", 6);
  const mutations = ["a", "b", "c", "d"].map((key) => put(key, "w"));
  for (const fields of [{}, asyncCommit("b", "c", "d"), ONE_PC]) {
    const result = txn.mustPrewriteLocked([5, 6], mutations, "a", 10, fields);
    assert.is(result.onePcCommitTs, 0n);
  }
});

/** A transaction that was committed at 20 on "k", by 1PC or async commit or two phases. */
function committedBefore(fields: Partial<PrewriteRequest> = {}): TxnMust {
  const txn = new TxnMust();
  txn.mustPrewrite([put("k", "v")], "k", 10, fields);
  txn.mustCommit("k", 10, 20);
  return txn;
}

test("WriteConflict above start_ts, my own commit record: success, nothing written", () => {
  for (const [fields, minCommitTs, onePcCommitTs] of [
    [{}, 0n, 0n],
    [asyncCommit("other"), 20n, 0n],
    [ONE_PC, 0n, 20n],
  ] as const) {
    const txn = committedBefore();
    const before = txn.dump();
    const result = txn.mustPrewrite([put("a", "1"), put("k", "v")], "k", 10, fields);
    assert.equal(result, { locks: [], minCommitTs, onePcCommitTs });
    assert.is(txn.dump(), before);
    assert.is(txn.concurrencyManager.size, 0);
  }
});

test("PessimisticLockNotFound, my own commit record: success", () => {
  const txn = committedBefore({ forUpdateTs: 10n });
  const before = txn.dump();
  const fields = { forUpdateTs: 10n, ...asyncCommit() };
  const mutations = [put("k", "v", MUST_HOLD)];
  assert.is(txn.mustPrewrite(mutations, "k", 10, fields).minCommitTs, 20n);
  const retry = { ...fields, isRetryRequest: true };
  assert.is(txn.mustPrewrite([put("k", "v")], "k", 10, retry).minCommitTs, 20n);
  assert.is(txn.dump(), before);
});

test("KeyIsLocked by another, my own commit record: success", () => {
  const txn = committedBefore();
  txn.mustPrewrite([put("k", "w")], "k", 30);
  const result = txn.mustPrewrite([put("k", "v")], "k", 10, asyncCommit());
  assert.is(result.minCommitTs, 20n);
  txn.mustLocked("k", 30);
});

test("CommitTsTooLarge, my own commit record: success", () => {
  const txn = committedBefore();
  txn.concurrencyManager.updateMaxTs(100n);
  const fields = { ...asyncCommit(), skipConstraintCheck: true, maxCommitTs: 50n };
  assert.is(txn.mustPrewrite([put("k", "v")], "k", 10, fields).minCommitTs, 20n);
  txn.mustUnlocked("k");
});

test("my own rollback record is no success", () => {
  const txn = new TxnMust();
  txn.putWrite("k", 20n, { type: WRITE_TYPE.put, startTs: 15n, shortValue: utf8("x") });
  txn.putRollback("k", 10);
  const error = txn.mustPrewriteErr("writeConflict", [put("k", "v")], "k", 10);
  assert.is(error.reason, "optimistic");
});

test("CommitTsTooLarge: all keys fall back, async commit", () => {
  const txn = withMaxTs(5n);
  txn.putPessimisticLock("b", 10, 10, { minCommitTs: 70n });
  const mutations = [put("a", "1"), put("b", "2", MUST_HOLD), put("c", "3")];
  const fields = { ...asyncCommit("b", "c"), forUpdateTs: 10n, maxCommitTs: 50n };
  const result = txn.mustPrewrite(mutations, "a", 10, fields);
  assert.equal(result, { locks: [], minCommitTs: 0n, onePcCommitTs: 0n });
  for (const key of ["b", "c"]) {
    const lock = txn.mustLocked(key, 10);
    assert.is(lock.useAsyncCommit, false, key);
    assert.equal(lock.secondaries, [], key);
  }
  txn.mustLocked("a", 10);
  assert.is(txn.mustLocked("b", 10).minCommitTs, 70n);
  txn.mustCommit(["a", "b", "c"], 10, 80);
});

test("CommitTsTooLarge: all keys fall back, 1PC locks become normal locks", () => {
  const txn = withMaxTs(5n);
  txn.putPessimisticLock("b", 10, 10, { minCommitTs: 70n });
  const mutations = [put("a", "1"), put("b", "2", MUST_HOLD), put("c", "3")];
  const fields = { ...ONE_PC, forUpdateTs: 10n, maxCommitTs: 50n };
  const request = prewriteRequest(mutations, "a", 10, fields);
  const outcome = outcomeOf(txn, request);
  assert.equal(outcome.response, { locks: [], minCommitTs: 0n, onePcCommitTs: 0n });
  assert.equal(outcome.guards, [], "memory guards are dropped");
  assert.is(txn.concurrencyManager.size, 0, "memory guards are dropped");
  assert.is(outcome.policy, "onApplied");
  assert.ok(outcome.modifies.every(({ cf }) => cf === "lock"));
  txn.must<"prewrite">(request);
  for (const key of ["a", "b", "c"]) txn.mustLocked(key, 10);
});

test("CommitTsTooLarge: max_commit_ts is the last one that is allowed", () => {
  for (const [maxCommitTs, expected] of [
    [40n, 0n],
    [41n, 41n],
    [0n, 41n],
  ] as const) {
    const txn = withMaxTs(40n);
    const result = txn.mustPrewrite([put("k", "v")], "k", 10, { ...asyncCommit(), maxCommitTs });
    assert.is(result.minCommitTs, expected);
  }
});

test("CommitTsTooLarge: no timestamp is left above for_update_ts", () => {
  const txn = new TxnMust();
  const fields = { ...asyncCommit(), forUpdateTs: U64_MAX };
  assert.is(txn.mustPrewrite([put("k", "v")], "k", 10, fields).minCommitTs, 0n);
});

test("CommitTsTooLarge: a long value is written all the same", () => {
  const txn = withMaxTs(40n);
  const value = "v".repeat(300);
  txn.mustPrewrite([put("k", value)], "k", 10, { ...ONE_PC, maxCommitTs: 20n });
  txn.mustCommit("k", 10, 50);
  txn.mustGet("k", 50, value);
});

test("a duplicate with min_commit_ts 0 while async/1PC requested: fall back for all keys", () => {
  for (const fields of [asyncCommit("b", "c"), ONE_PC]) {
    const txn = new TxnMust();
    txn.mustPrewrite([put("b", "2")], "a", 10);
    const mutations = [put("a", "1"), put("b", "2"), put("c", "3")];
    const result = txn.mustPrewrite(mutations, "a", 10, fields);
    assert.equal(result, { locks: [], minCommitTs: 0n, onePcCommitTs: 0n });
    for (const key of ["a", "b", "c"]) txn.mustLocked(key, 10);
    assert.is(txn.mustLocked("c", 10).useAsyncCommit, false);
    txn.mustCommit(["a", "b", "c"], 10, 20);
  }
});

test("a duplicate of async commit while 1PC requested: fall back, the lock cannot be left behind", () => {
  const txn = new TxnMust();
  txn.mustPrewrite([put("a", "1")], "a", 10, asyncCommit());
  const result = txn.mustPrewrite([put("a", "1")], "a", 10, { ...ONE_PC, ...asyncCommit() });
  assert.equal(result, { locks: [], minCommitTs: 0n, onePcCommitTs: 0n });
  txn.mustLocked("a", 10);
});

test("all keys ok, 1PC: write records at final_min_commit_ts, no lock records", () => {
  const txn = withMaxTs(40n);
  const long = "l".repeat(300);
  const mutations = [put("a", "1"), put("b", long), del("c"), lockOnly("d")];
  const request = prewriteRequest(mutations, "a", 10, { ...ONE_PC, txnSource: 4n });
  const outcome = outcomeOf(txn, request);
  assert.is(outcome.policy, "onCommitted");
  assert.equal(outcome.knownStatus, [{ startTs: 10n, commitTs: 41n }]);
  assert.equal(outcome.released, []);
  assert.is(outcome.guards.length, 4);
  for (const guard of outcome.guards) guard.release();
  assert.is(txn.must<"prewrite">(request).onePcCommitTs, 41n);
  for (const [key, type] of [
    ["a", "put"],
    ["b", "put"],
    ["c", "delete"],
    ["d", "lock"],
  ] as const) {
    txn.mustUnlocked(key);
    assert.is(txn.mustWritten(key, 10, 41, type).txnSource, 4n);
  }
  txn.mustGet("b", 41, long);
  txn.mustGetNone("b", 40);
});

test("all keys ok, 1PC: the pessimistic lock is deleted if one existed", () => {
  const txn = new TxnMust();
  txn.putPessimisticLock("a", 10, 10);
  const mutations = [put("a", "1", MUST_HOLD), put("b", "2")];
  const request = prewriteRequest(mutations, "a", 10, { ...ONE_PC, forUpdateTs: 10n });
  const outcome = outcomeOf(txn, request);
  const released = { startTs: 10n, commitTs: 11n, key: encode("a"), pessimistic: true };
  assert.equal(outcome.released, [released]);
  for (const guard of outcome.guards) guard.release();
  txn.must<"prewrite">(request);
  txn.mustUnlocked("a");
  txn.mustWritten("a", 10, 11, "put");
});

test("all keys ok, 1PC with async commit: one_pc_commit_ts and min_commit_ts", () => {
  const txn = new TxnMust();
  const fields = { ...ONE_PC, ...asyncCommit() };
  const result = txn.mustPrewrite([put("a", "1")], "a", 10, fields);
  assert.equal(result, { locks: [], minCommitTs: 11n, onePcCommitTs: 11n });
});

test("all keys ok, async: reply min_commit_ts = max over keys", () => {
  const txn = new TxnMust();
  txn.putPessimisticLock("b", 10, 10, { minCommitTs: 70n });
  const mutations = [put("a", "1"), put("b", "2", MUST_HOLD), put("c", "3")];
  const fields = { ...asyncCommit("b", "c"), forUpdateTs: 10n };
  const request = prewriteRequest(mutations, "a", 10, fields);
  const outcome = outcomeOf(txn, request);
  assert.equal(outcome.response, { locks: [], minCommitTs: 70n, onePcCommitTs: 0n });
  assert.is(outcome.policy, "onCommitted");
  assert.equal(outcome.knownStatus, []);
  assert.equal(
    outcome.guards.map(({ key }) => key),
    ["a", "b", "c"].map(encode),
  );
});

test("two phases: no memory locks, the answer waits until it is applied", () => {
  const txn = new TxnMust();
  const outcome = outcomeOf(txn, prewriteRequest([put("a", "1")], "a", 10));
  assert.equal(outcome.guards, []);
  assert.is(outcome.policy, "onApplied");
});

test("memory locks are seen by readers until the write is applied", () => {
  for (const [key, fields] of [
    ["a", asyncCommit()],
    ["b", ONE_PC],
  ] as const) {
    const txn = new TxnMust();
    const outcome = outcomeOf(txn, prewriteRequest([put(key, "1")], key, 10, fields));
    txn.mustGetErr(key, 30);
    txn.mustGetErr(key, TS_MAX);
    txn.mustGetNone(key, 10);
    for (const guard of outcome.guards) guard.release();
    txn.mustGetNone(key, 30);
  }
});

test("max_ts is not synced: async commit and 1PC must wait, two phases go on", () => {
  const txn = new TxnMust();
  txn.maxTsSynced = false;
  for (const fields of [asyncCommit(), ONE_PC]) {
    const error = txn.mustPrewriteErr("maxTimestampNotSynced", [put("a", "1")], "a", 10, fields);
    assert.is(error.startTs, 10n);
  }
  txn.mustPrewrite([put("a", "1")], "a", 10);
});

test("requests that cannot be carried out are refused", () => {
  const txn = new TxnMust();
  for (const fields of [asyncCommit(), ONE_PC]) {
    txn.mustPrewriteErr("invalidRequest", [], "a", 10, fields);
    const twice = [put("a", "1"), checkNotExists("b"), put("a", "2")];
    txn.mustPrewriteErr("invalidRequest", twice, "a", 10, fields);
  }
  txn.mustPrewrite([], "a", 10);
});

test("a key that occurs twice in a prewrite of two phases: the last mutation wins", () => {
  const txn = new TxnMust();
  txn.mustPrewrite([put("a", "1"), put("b", "2"), put("a", "3")], "a", 10);
  txn.mustCommit(["a", "b"], 10, 20);
  txn.mustGet("a", 20, "3");
  txn.mustGet("b", 20, "2");
});

test("a failure half-way leaves no memory locks", () => {
  const txn = new TxnMust();
  txn.putWrite("b", 30n, { type: WRITE_TYPE.put, startTs: 25n, shortValue: utf8("x") });
  for (const fields of [asyncCommit("b"), ONE_PC]) {
    txn.mustPrewriteErr("writeConflict", [put("a", "1"), put("b", "2")], "a", 10, fields);
    assert.is(txn.concurrencyManager.size, 0);
  }
});

test.run();
