/** Rows of PessimisticRollback (semantics 2.7), with keys and over a region. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { keyInRange, utf8 } from "../../../src/base/index.js";
import { LOCK_TYPE, type Lock, newLock } from "../../../src/codec/index.js";
import type { KeyedLock, MemoryLocks } from "../../../src/mvcc/index.js";
import { commandOf, type PessimisticRollbackRequest } from "../../../src/txn/index.js";
import { TxnMust } from "../../support/txn_must.js";
import { encode, put } from "../../support/txn_requests.js";

const name = (index: number): string => `k${String(index).padStart(5, "0")}`;

test("deletes my pessimistic lock and writes nothing", () => {
  const txn = new TxnMust();
  txn.mustAcquirePessimisticLock("k", "k", 10, 15);
  txn.mustPessimisticRollback("k", 10, 15);
  assert.is(txn.dump(), "");
  txn.mustPessimisticRollback("k", 10, 15);
  assert.is(txn.dump(), "");
});

test("for_update_ts of the lock is greater: it stays", () => {
  const txn = new TxnMust();
  txn.mustAcquirePessimisticLock("k", "k", 10, 15);
  txn.mustPessimisticRollback("k", 10, 14);
  txn.mustPessimisticLocked("k", 10, 15);
  txn.mustPessimisticRollback("k", 10, 16);
  txn.mustUnlocked("k");
});

test("another's lock, and my prewrite lock: they stay", () => {
  const txn = new TxnMust();
  txn.mustAcquirePessimisticLock("a", "a", 20, 20);
  txn.mustPrewrite([put("b", "v")], "b", 10);
  txn.mustPessimisticRollback(["a", "b"], 10, 30);
  txn.mustPessimisticLocked("a", 20, 20);
  txn.mustLocked("b", 10);
});

test("no keys: all of mine in the region, batch after batch", () => {
  const txn = new TxnMust();
  const keys = Array.from({ length: 600 }, (_, index) => name(index));
  txn.mustAcquirePessimisticLock(keys, name(0), 10, 15);
  txn.mustPrewrite([put("l", "v")], "l", 10);
  txn.mustAcquirePessimisticLock("m", "m", 20, 20);
  txn.mustAcquirePessimisticLock("n", "n", 10, 30);
  txn.mustPessimisticRollback([], 10, 15);
  assert.is(txn.engine.entries("lock").length, 3);
  txn.mustLocked("l", 10);
  txn.mustPessimisticLocked("m", 20, 20);
  txn.mustPessimisticLocked("n", 10, 30);
});

test("no keys: a batch is 256 locks; the last one ends the command", () => {
  const txn = new TxnMust();
  const keys = Array.from({ length: 300 }, (_, index) => name(index));
  txn.mustAcquirePessimisticLock(keys, name(0), 10, 15);
  const request = rollbackAll(10n);
  const { scan } = commandOf("pessimisticRollback");
  const first = scan?.({ request }, txn.context());
  assert.ok(first?.ok);
  if (first?.ok !== true || first.value === undefined) return;
  assert.is(first.value.scannedKeys?.length, 256);
  assert.equal(first.value.resumeKey, encode(name(256)));
  const step = txn.process<"pessimisticRollback">(first.value);
  assert.ok(step.ok && step.value.type === "continue");
  if (!step.ok || step.value.type !== "continue") return;
  assert.is(step.value.released.length, 256);
  const [head] = step.value.released;
  assert.equal(head, { startTs: 10n, commitTs: 0n, key: encode(name(0)), pessimistic: true });
  txn.engine.apply(step.value.modifies);
  const second = scan?.(step.value.next, txn.context());
  if (second?.ok !== true || second.value === undefined) throw new Error("44 locks are left");
  assert.is(second.value.scannedKeys?.length, 44);
  const last = txn.process<"pessimisticRollback">(second.value);
  assert.ok(last.ok && last.value.type === "write");
});

test("no keys: many locks of others are passed in bounded steps", () => {
  const txn = new TxnMust();
  const others = Array.from({ length: 5000 }, (_, index) => name(index));
  txn.mustAcquirePessimisticLock(others, name(0), 20, 20);
  txn.mustAcquirePessimisticLock("z", "z", 10, 10);
  const first = commandOf("pessimisticRollback").scan?.(
    { request: rollbackAll(10n) },
    txn.context(),
  );
  if (first?.ok !== true) throw new Error("the scan succeeds");
  assert.equal(first.value?.scannedKeys, []);
  assert.equal(first.value?.resumeKey, encode(name(1024)));
  txn.mustPessimisticRollback([], 10, 10);
  txn.mustUnlocked("z");
  assert.is(txn.engine.entries("lock").length, 5000);
});

test("no keys: locks that are kept in memory are among them", () => {
  const txn = new TxnMust();
  txn.mustAcquirePessimisticLock(["a", "c"], "a", 10, 10);
  const held = [keyed("b", 10n), keyed("d", 20n)];
  const snapshot = Object.assign(txn.engine.snapshot(), { memoryLocks: memoryOf(held) });
  const context = { ...txn.context(), snapshot };
  const command = commandOf("pessimisticRollback");
  const scanned = command.scan?.({ request: rollbackAll(10n) }, context);
  if (scanned?.ok !== true || scanned.value === undefined) throw new Error("three locks are found");
  assert.equal(scanned.value.scannedKeys, ["a", "b", "c"].map(encode));
  const processed = command.processWrite(scanned.value, context);
  if (!processed.ok || processed.value.type !== "write") throw new Error("one step is enough");
  assert.equal(
    processed.value.modifies,
    ["a", "b", "c"].map((key) => ({ cf: "lock", key: encode(key), value: undefined })),
  );
});

function rollbackAll(startTs: bigint): PessimisticRollbackRequest {
  return { kind: "pessimisticRollback", keys: [], startTs, forUpdateTs: 100n };
}

function keyed(key: string, startTs: bigint): KeyedLock {
  const type = LOCK_TYPE.pessimistic;
  const fields = { type, primary: utf8(key), startTs, ttl: 0n, forUpdateTs: startTs };
  return { key: encode(key), lock: newLock(fields) };
}

function memoryOf(locks: readonly KeyedLock[]): MemoryLocks {
  return {
    get: (key): Lock | undefined => locks.find((one) => Buffer.compare(one.key, key) === 0)?.lock,
    range: (start, end) => locks.filter(({ key }) => keyInRange(key, start, end)),
  };
}

test.run();
