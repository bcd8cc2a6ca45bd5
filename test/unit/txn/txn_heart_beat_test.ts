/** Rows of TxnHeartBeat (semantics 2.7). */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { utf8 } from "../../../src/base/index.js";
import { LOCK_TYPE, newLock } from "../../../src/codec/index.js";
import type { TxnHeartBeatRequest } from "../../../src/txn/index.js";
import { TxnMust } from "../../support/txn_must.js";
import { asyncCommit, encode, put } from "../../support/txn_requests.js";

function beat(startTs: bigint): TxnHeartBeatRequest {
  const primaryKey = encode("k");
  return { kind: "txnHeartBeat", primaryKey, startTs, adviseTtlMs: 90n, minCommitTs: 0n };
}

test("my prewrite lock: ttl = max(ttl, advise), told and written", () => {
  const txn = new TxnMust();
  txn.mustPrewrite([put("k", "v")], "k", 10, { lockTtlMs: 50n });
  assert.is(txn.mustHeartBeat("k", 10, 90), 90n);
  assert.is(txn.mustLocked("k", 10).ttl, 90n);
  const before = txn.dump();
  assert.is(txn.mustHeartBeat("k", 10, 40), 90n);
  assert.is(txn.dump(), before, "a shorter life is not written");
});

test("my pessimistic lock: the same", () => {
  const txn = new TxnMust();
  txn.mustAcquirePessimisticLock("k", "k", 10, 10, { lockTtlMs: 50n });
  assert.is(txn.mustHeartBeat("k", 10, 90), 90n);
  assert.is(txn.mustPessimisticLocked("k", 10, 10).ttl, 90n);
});

test("generation > 0 and not async: min_commit_ts is raised, never lowered", () => {
  for (const [fields, raised] of [
    [{ generation: 1n }, 30n],
    [{ generation: 1n, useAsyncCommit: true }, 20n],
    [{ generation: 0n }, 20n],
  ] as const) {
    const txn = new TxnMust();
    const type = LOCK_TYPE.put;
    const base = { type, primary: utf8("k"), startTs: 10n, ttl: 50n, minCommitTs: 20n };
    const lock = newLock({ ...base, ...fields });
    txn.putLock("k", lock);
    txn.mustHeartBeat("k", 10, 0, 30);
    assert.is(txn.mustLocked("k", 10).minCommitTs, raised);
    txn.mustHeartBeat("k", 10, 0, 15);
    assert.is(txn.mustLocked("k", 10).minCommitTs, raised);
    assert.is(txn.mustLocked("k", 10).ttl, 50n);
  }
});

test("the rest of an async lock stays as it is", () => {
  const txn = new TxnMust();
  txn.mustPrewrite([put("k", "v")], "k", 10, asyncCommit("a", "b"));
  const before = txn.mustLocked("k", 10);
  txn.mustHeartBeat("k", 10, 90);
  assert.equal(txn.mustLocked("k", 10), { ...before, ttl: 90n });
});

test("anything else: TxnNotFound", () => {
  const txn = new TxnMust();
  const expected = { kind: "txnNotFound", startTs: 10n, key: utf8("k") };
  assert.equal(txn.mustErr("txnNotFound", beat(10n)), expected, "no lock");
  txn.mustPrewrite([put("k", "v")], "k", 20);
  assert.equal(txn.mustErr("txnNotFound", beat(10n)), expected, "another's lock");
  txn.mustCommit("k", 20, 30);
  txn.mustErr("txnNotFound", beat(20n));
  const shared = { type: LOCK_TYPE.shared, primary: utf8("p"), startTs: 40n, ttl: 50n };
  txn.putLock("k", newLock(shared));
  txn.mustErr("txnNotFound", beat(40n));
});

test.run();
