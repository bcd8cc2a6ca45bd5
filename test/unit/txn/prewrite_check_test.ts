/** Steps B, C and D of the decision table of prewrite (semantics 2.2): constraints, assertions. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { utf8 } from "../../../src/base/index.js";
import { keyToRaw, WRITE_TYPE } from "../../../src/codec/index.js";
import type { Mutation } from "../../../src/txn/index.js";
import { TxnMust } from "../../support/txn_must.js";
import {
  asyncCommit,
  checkNotExists,
  del,
  insert,
  lockOnly,
  put,
} from "../../support/txn_requests.js";

const PUT = { type: WRITE_TYPE.put, shortValue: utf8("old") } as const;
const CHECK = { pessimisticAction: "doConstraintCheck" } as const;
const MUST_HOLD = { pessimisticAction: "doPessimisticCheck" } as const;

/** A store with a Put of transaction `startTs` at `commitTs`. */
function withPut(key: string, startTs: bigint, commitTs: bigint): TxnMust {
  const txn = new TxnMust();
  txn.putWrite(key, commitTs, { ...PUT, startTs });
  return txn;
}

test("commit_ts == start_ts and Rollback or flag R: WriteConflict(SelfRolledBack)", () => {
  const own = new TxnMust();
  own.putRollback("k", 10);
  const flagged = new TxnMust();
  flagged.putWrite("k", 10, { ...PUT, startTs: 5n, hasOverlappedRollback: true });
  for (const txn of [own, flagged]) {
    const optimistic = txn.mustPrewriteErr("writeConflict", [put("k", "v")], "p", 10);
    assert.is(optimistic.reason, "selfRolledBack");
    assert.is(optimistic.conflictCommitTs, 10n);
    assert.equal(optimistic.primary, utf8("p"));
    const mutations = [put("k", "v", CHECK)];
    const fields = { forUpdateTs: 20n };
    const pessimistic = txn.mustPrewriteErr("writeConflict", mutations, "p", 10, fields);
    assert.is(pessimistic.reason, "selfRolledBack");
  }
});

test("commit_ts == start_ts, another's commit: no conflict", () => {
  const txn = withPut("k", 5n, 10n);
  txn.mustPrewrite([put("k", "v")], "k", 10);
});

test("commit_ts > start_ts, optimistic: WriteConflict(Optimistic)", () => {
  const txn = withPut("k", 5n, 11n);
  const error = txn.mustPrewriteErr("writeConflict", [put("k", "v")], "p", 10);
  assert.equal(error, {
    kind: "writeConflict",
    startTs: 10n,
    conflictStartTs: 5n,
    conflictCommitTs: 11n,
    key: utf8("k"),
    primary: utf8("p"),
    reason: "optimistic",
  });
});

test("commit_ts > start_ts, optimistic: Rollback records newer than start_ts conflict too", () => {
  for (const isProtected of [false, true]) {
    const txn = new TxnMust();
    txn.putRollback("k", 11, isProtected);
    txn.mustPrewriteErr("writeConflict", [put("k", "v")], "k", 10);
  }
});

test("commit_ts > start_ts, pessimistic DoConstraintCheck: LazyUniquenessCheck", () => {
  const txn = withPut("k", 5n, 11n);
  const fields = { forUpdateTs: 20n };
  const error = txn.mustPrewriteErr("writeConflict", [put("k", "v", CHECK)], "k", 10, fields);
  assert.is(error.reason, "lazyUniquenessCheck");
});

test("commit_ts > for_update_ts, retry: Rollback type: skip it, look older", () => {
  const txn = withPut("k", 5n, 8n);
  txn.putRollback("k", 30);
  txn.putRollback("k", 25, true);
  const fields = { forUpdateTs: 20n, isRetryRequest: true };
  txn.mustPrewrite([put("k", "v")], "k", 10, fields);
  const below = withPut("k", 5n, 21n);
  below.putRollback("k", 30);
  below.mustPrewriteErr("pessimisticLockNotFound", [put("k", "v")], "k", 10, fields);
});

test("commit_ts > for_update_ts, retry: else PessimisticLockNotFound(NonLockKeyConflict)", () => {
  const fields = { forUpdateTs: 20n, isRetryRequest: true };
  const txn = withPut("k", 5n, 21n);
  const error = txn.mustPrewriteErr("pessimisticLockNotFound", [put("k", "v")], "k", 10, fields);
  assert.is(error.reason, "nonLockKeyConflict");
  const within = withPut("k", 5n, 20n);
  within.mustPrewrite([put("k", "v")], "k", 10, fields);
});

test("skipped: optimistic and skip_constraint_check", () => {
  const txn = withPut("k", 5n, 11n);
  txn.mustPrewrite([insert("k", "v")], "k", 10, { skipConstraintCheck: true });
});

test("skipped: pessimistic DoPessimisticCheck, even in a retry", () => {
  const txn = withPut("k", 5n, 21n);
  txn.putPessimisticLock("k", 10, 21);
  const fields = { forUpdateTs: 20n, isRetryRequest: true };
  txn.mustPrewrite([put("k", "v", MUST_HOLD)], "k", 10, fields);
});

test("skipped: pessimistic SkipPessimisticCheck, but not in a retry", () => {
  const txn = withPut("k", 5n, 21n);
  txn.mustPrewrite([put("k", "v")], "k", 10, { forUpdateTs: 20n });
});

test("not skipped: pessimistic, and the status cache says the txn already committed", () => {
  const txn = withPut("k", 5n, 21n);
  txn.committed.set(10n, 21n);
  const fields = { forUpdateTs: 20n };
  txn.mustPrewriteErr("pessimisticLockNotFound", [put("k", "v")], "k", 10, fields);
});

test("optimistic with > 12 mutations: an empty range skips all checks", () => {
  const keys = Array.from({ length: 13 }, (_, i) => `k${String.fromCharCode(97 + i)}`);
  const looksPerKey = (mutations: Mutation[]): boolean => {
    const txn = withPut("z", 1n, 2n);
    txn.mustPrewrite(mutations, "ka", 10);
    return txn.statistics.write.seek > 0;
  };
  const mutations = keys.map((key) => put(key, "v"));
  assert.is(looksPerKey(mutations), false, "13 keys, nothing in between");
  assert.is(looksPerKey(mutations.slice(1)), true, "12 keys are looked at one by one");
  const txn = withPut("kc", 5n, 11n);
  txn.mustPrewriteErr("writeConflict", [...mutations].reverse(), "ka", 10);
});

test("should_not_exist: Put: AlreadyExist", () => {
  const txn = withPut("k", 5n, 8n);
  const error = txn.mustPrewriteErr("alreadyExist", [insert("k", "v")], "k", 10);
  assert.equal(error.key, utf8("k"));
  txn.mustPrewriteErr("alreadyExist", [insert("k", "v", CHECK)], "k", 10, { forUpdateTs: 20n });
  txn.mustPrewriteErr("alreadyExist", [checkNotExists("k")], "k", 10);
});

test("should_not_exist: a fence of 0 keeps a Put, any other one takes it away", () => {
  for (const [gcFence, exists] of [
    [0n, true],
    [9n, false],
    [99n, false],
  ] as const) {
    const txn = new TxnMust();
    txn.putWrite("k", 8n, { ...PUT, startTs: 5n, hasOverlappedRollback: true, gcFence });
    if (exists) txn.mustPrewriteErr("alreadyExist", [insert("k", "v")], "k", 10);
    else txn.mustPrewrite([insert("k", "v")], "k", 10);
  }
});

test("should_not_exist: Delete: ok", () => {
  const txn = withPut("k", 5n, 6n);
  txn.putWrite("k", 8n, { type: WRITE_TYPE.delete, startTs: 7n });
  txn.mustPrewrite([insert("k", "v")], "k", 10);
});

test("should_not_exist: Lock/Rollback: look for an older Put below it", () => {
  for (const type of [WRITE_TYPE.lock, WRITE_TYPE.rollback]) {
    const above = withPut("k", 5n, 6n);
    above.putWrite("k", 8n, { type, startTs: 8n });
    above.mustPrewriteErr("alreadyExist", [insert("k", "v")], "k", 10);
    const deleted = withPut("k", 1n, 2n);
    deleted.putWrite("k", 6n, { type: WRITE_TYPE.delete, startTs: 5n });
    deleted.putWrite("k", 8n, { type, startTs: 8n });
    deleted.mustPrewrite([insert("k", "v")], "k", 10);
    const alone = new TxnMust();
    alone.putWrite("k", 8n, { type, startTs: 8n });
    alone.mustPrewrite([insert("k", "v")], "k", 10);
  }
});

test("insert and checkNotExists raise max_ts to start_ts, others do not", () => {
  for (const [mutation, raised] of [
    [insert("k", "v"), true],
    [checkNotExists("k"), true],
    [put("k", "v"), false],
    [del("k"), false],
    [lockOnly("k"), false],
  ] as const) {
    const txn = new TxnMust();
    txn.mustPrewrite([mutation], "k", 10);
    assert.is(txn.concurrencyManager.maxTs, raised ? 10n : 1n, mutation.op);
  }
});

test("assertion Exist vs none or Delete, NotExist vs Put: AssertionFailed", () => {
  const deleted = withPut("d", 5n, 6n);
  deleted.putWrite("d", 8n, { type: WRITE_TYPE.delete, startTs: 7n });
  const failures: readonly (readonly [TxnMust, Mutation, bigint, bigint])[] = [
    [new TxnMust(), put("n", "v", { assertion: "exist" }), 0n, 0n],
    [deleted, put("d", "v", { assertion: "exist" }), 7n, 8n],
    [withPut("k", 5n, 6n), put("k", "v", { assertion: "notExist" }), 5n, 6n],
  ];
  for (const assertionLevel of ["fast", "strict"] as const) {
    for (const [txn, mutation, existingStartTs, existingCommitTs] of failures) {
      const fields = { assertionLevel };
      const error = txn.mustPrewriteErr("assertionFailed", [mutation], "p", 10, fields);
      assert.equal(error, {
        kind: "assertionFailed",
        startTs: 10n,
        key: keyToRaw(mutation.key),
        assertion: mutation.assertion,
        existingStartTs,
        existingCommitTs,
      });
    }
  }
});

test("assertions that hold, and level Off, let the prewrite pass", () => {
  const holds = withPut("k", 5n, 6n);
  const mutations = [
    put("k", "v", { assertion: "exist" }),
    put("n", "v", { assertion: "notExist" }),
  ];
  holds.mustPrewrite(mutations, "k", 10, { assertionLevel: "strict" });
  const off = withPut("k", 5n, 6n);
  off.mustPrewrite([put("k", "v", { assertion: "notExist" })], "k", 10, { assertionLevel: "off" });
});

test("assertions look below Lock and Rollback records", () => {
  const txn = withPut("k", 5n, 6n);
  txn.putWrite("k", 8n, { type: WRITE_TYPE.lock, startTs: 7n });
  txn.putRollback("k", 9);
  const mutations = [put("k", "v", { assertion: "notExist" })];
  const fields = { assertionLevel: "fast" } as const;
  const error = txn.mustPrewriteErr("assertionFailed", mutations, "k", 10, fields);
  assert.is(error.existingCommitTs, 6n);
});

test("a version with a fence does not exist for assertions", () => {
  const txn = new TxnMust();
  txn.putWrite("k", 8n, { ...PUT, startTs: 5n, hasOverlappedRollback: true, gcFence: 9n });
  const fields = { assertionLevel: "fast" } as const;
  txn.mustPrewriteErr("assertionFailed", [put("k", "v", { assertion: "exist" })], "k", 10, fields);
  txn.mustPrewrite([put("k", "v", { assertion: "notExist" })], "k", 10, fields);
});

test("Fast checks only if the write is already loaded; Strict loads it", () => {
  const mutations = [put("k", "v", { assertion: "notExist", ...MUST_HOLD })];
  for (const [assertionLevel, fails] of [
    ["fast", false],
    ["strict", true],
  ] as const) {
    const txn = withPut("k", 5n, 6n);
    txn.putPessimisticLock("k", 10, 10);
    const fields = { assertionLevel, forUpdateTs: 10n };
    if (fails) txn.mustPrewriteErr("assertionFailed", mutations, "k", 10, fields);
    else txn.mustPrewrite(mutations, "k", 10, fields);
  }
});

test("on failure with checks skipped, step B runs first so that WriteConflict wins", () => {
  const txn = withPut("k", 5n, 12n);
  const mutations = [put("k", "v", { assertion: "notExist" })];
  const fields = { assertionLevel: "strict", skipConstraintCheck: true } as const;
  txn.mustPrewriteErr("writeConflict", mutations, "k", 10, fields);
  const rolledBack = new TxnMust();
  rolledBack.putRollback("k", 10);
  const exist = [put("k", "v", { assertion: "exist" })];
  const error = rolledBack.mustPrewriteErr("writeConflict", exist, "k", 10, fields);
  assert.is(error.reason, "selfRolledBack");
});

test("only the first assertion failure is kept, and any other error has priority", () => {
  const txn = withPut("z", 5n, 12n);
  const failing = ["a", "b"].map((key) => put(key, "v", { assertion: "exist" }));
  const fields = { assertionLevel: "fast" } as const;
  const error = txn.mustPrewriteErr("assertionFailed", failing, "a", 10, fields);
  assert.equal(error.key, utf8("a"));
  txn.mustPrewriteErr("writeConflict", [...failing, put("z", "v")], "a", 10, fields);
});

test("an assertion failure has priority over locks of others", () => {
  const txn = new TxnMust();
  txn.mustPrewrite([put("k", "v")], "k", 5);
  const mutations = [put("k", "w"), put("a", "v", { assertion: "exist" })];
  txn.mustPrewriteErr("assertionFailed", mutations, "a", 10, { assertionLevel: "fast" });
});

test("CheckNotExists: writes nothing, bumps max_ts; under async/1PC max(min_commit_ts, start_ts+1)", () => {
  for (const [fields, minCommitTs, onePcCommitTs] of [
    [{}, 0n, 0n],
    [asyncCommit(), 11n, 0n],
    [{ ...asyncCommit(), minCommitTs: 30n }, 30n, 0n],
    [{ tryOnePc: true }, 0n, 11n],
  ] as const) {
    const txn = new TxnMust();
    txn.concurrencyManager.updateMaxTs(100n);
    const result = txn.mustPrewrite([checkNotExists("k")], "k", 10, fields);
    assert.is(result.minCommitTs, minCommitTs);
    assert.is(result.onePcCommitTs, onePcCommitTs);
    assert.is(txn.dump(), "");
    assert.is(txn.concurrencyManager.size, 0);
  }
});

test("CheckNotExists: pessimistic: error", () => {
  const txn = new TxnMust();
  txn.mustPrewriteErr("invalidRequest", [checkNotExists("k")], "k", 10, { forUpdateTs: 10n });
});

test.run();
