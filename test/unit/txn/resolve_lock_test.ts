/** Rows of ResolveLock (semantics 2.7), with keys ("lite") and over a region. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { type Result, utf8 } from "../../../src/base/index.js";
import { LOCK_TYPE, newLock } from "../../../src/codec/index.js";
import {
  type CommandState,
  commandOf,
  type ProcessOutcome,
  type ResolveLockRequest,
  type TxnError,
} from "../../../src/txn/index.js";
import { TxnMust } from "../../support/txn_must.js";
import { encode, put } from "../../support/txn_requests.js";

const name = (index: number): string => `k${String(index).padStart(5, "0")}`;

type Step = Result<ProcessOutcome<"resolveLock">, TxnError>;

function resolve(txns: Record<string, bigint>, keys: readonly string[] = []): ResolveLockRequest {
  const entries = Object.entries(txns).map(([start, commit]) => [BigInt(start), commit] as const);
  return { kind: "resolveLock", txns: new Map(entries), keys: keys.map(encode) };
}

test("lite, commit_ts > 0: commits each key", () => {
  const txn = new TxnMust();
  txn.mustPrewrite([put("a", "1"), put("b", "2"), put("c", "3")], "a", 10);
  txn.mustResolveLock(10, 20, ["a", "b"]);
  txn.mustGet("a", 20, "1");
  txn.mustGet("b", 20, "2");
  txn.mustLocked("c", 10);
});

test("lite, commit_ts = 0: unprotected cleanup of each key, locked or not", () => {
  const txn = new TxnMust();
  txn.mustPrewrite([put("a", "1")], "p", 10, { lockTtlMs: 1_000_000n });
  txn.mustResolveLock(10, 0, ["a", "b"]);
  txn.mustUnlocked("a");
  txn.mustHaveRollback("a", 10, false);
  txn.mustHaveRollback("b", 10, false);
});

test("lite: a missing lock is as in commit and cleanup", () => {
  const txn = new TxnMust();
  txn.mustErr("txnLockNotFound", resolve({ 10: 20n }, ["a"]));
  txn.mustPrewrite([put("a", "1")], "a", 10);
  txn.mustCommit("a", 10, 20);
  txn.mustErr("committed", resolve({ 10: 0n }, ["a"]));
  txn.mustResolveLock(10, 20, ["a"]);
});

test("full: commits and rolls back by the map, others stay", () => {
  const txn = new TxnMust();
  txn.mustPrewrite([put("a", "1"), put("e", "5")], "a", 10);
  txn.mustPrewrite([put("b", "2")], "b", 11);
  txn.mustPrewrite([put("c", "3")], "c", 12);
  txn.must<"resolveLock">(resolve({ 10: 20n, 11: 0n }));
  txn.mustGet("a", 20, "1");
  txn.mustGet("e", 20, "5");
  txn.mustUnlocked("b");
  txn.mustHaveRollback("b", 11, true);
  txn.mustLocked("c", 12);
});

test("full: the rollback of a secondary is not protected, and collapses the one below", () => {
  const txn = new TxnMust();
  txn.mustRollback("s", 5);
  txn.mustPrewrite([put("s", "1")], "p", 10);
  txn.mustResolveLock(10, 0);
  txn.mustHaveRollback("s", 10, false);
  txn.mustNotHaveWrite("s", 5);
});

test("lite: a commit is told to the status cache, a rollback is not", () => {
  const txn = new TxnMust();
  txn.mustPrewrite([put("a", "1")], "a", 10);
  for (const [commitTs, expected] of [
    [20n, [{ startTs: 10n, commitTs: 20n }]],
    [0n, []],
  ] as const) {
    const step = txn.process<"resolveLock">({ request: resolve({ 10: commitTs }, ["a"]) });
    assert.equal(step.ok && step.value.type === "write" && step.value.knownStatus, expected);
  }
});

test("full: nothing to resolve", () => {
  const txn = new TxnMust();
  txn.mustPrewrite([put("a", "1")], "a", 10);
  txn.mustResolveLock(11, 0);
  txn.mustLocked("a", 10);
});

test("commit_ts != 0 and <= start_ts: InvalidTxnTso, lite and full", () => {
  const txn = new TxnMust();
  txn.mustPrewrite([put("a", "1")], "a", 10);
  for (const commitTs of [9n, 10n]) {
    const expected = { kind: "invalidTxnTso", startTs: 10n, commitTs };
    assert.equal(txn.mustErr("invalidTxnTso", resolve({ 10: commitTs }, ["a"])), expected);
    assert.equal(txn.mustErr("invalidTxnTso", resolve({ 10: commitTs })), expected);
  }
  txn.mustLocked("a", 10);
});

test("a pessimistic lock of a committed transaction goes without a record", () => {
  const txn = new TxnMust();
  txn.mustAcquirePessimisticLock(["a", "b"], "a", 10, 10);
  txn.mustResolveLock(10, 20, ["a"]);
  txn.mustResolveLock(10, 20);
  assert.is(txn.dump(), "");
});

test("full: batches of 256; write size >= 32 KiB is written before the next batch", () => {
  const txn = new TxnMust();
  const mutations = Array.from({ length: 600 }, (_, index) => put(name(index), "x".repeat(200)));
  txn.mustPrewrite(mutations, name(0), 10);
  const command = commandOf("resolveLock");
  const request = resolve({ 10: 20n });
  const sizes: number[] = [];
  let state: CommandState<"resolveLock"> | undefined = { request };
  while (state !== undefined) {
    const scanned: ReturnType<NonNullable<typeof command.scan>> | undefined = command.scan?.(
      state,
      txn.context(),
    );
    if (scanned?.ok !== true || scanned.value === undefined) break;
    assert.ok((scanned.value.scannedKeys?.length ?? 0) <= 256, "a batch is 256 locks");
    const step: Step = txn.process<"resolveLock">(scanned.value);
    if (!step.ok) throw new Error(step.error.kind);
    const bytes = step.value.modifies.map(({ key, value }) => key.length + (value?.length ?? 0));
    sizes.push(bytes.reduce((sum, size) => sum + size, 0));
    txn.engine.apply(step.value.modifies);
    if (step.value.type === "continue") {
      assert.equal(step.value.knownStatus, [{ startTs: 10n, commitTs: 20n }]);
      state = step.value.next;
    } else state = undefined;
  }
  assert.ok(sizes.length > 3, `${sizes.length} steps`);
  const largestLock = 300;
  for (const size of sizes) assert.ok(size < 32 * 1024 + largestLock, `${size} bytes in a step`);
  for (const size of sizes.slice(0, -1)) assert.ok(size >= 32 * 1024, `${size} bytes in a step`);
  assert.is(txn.engine.entries("lock").length, 0);
  assert.is(txn.engine.entries("write").length, 600);
});

test("full: small locks go 256 at a time", () => {
  const txn = new TxnMust();
  const mutations = Array.from({ length: 300 }, (_, index) => put(name(index), ""));
  txn.mustPrewrite(mutations, name(0), 10);
  const command = commandOf("resolveLock");
  const scanned = command.scan?.({ request: resolve({ 10: 20n }) }, txn.context());
  if (scanned?.ok !== true || scanned.value === undefined) throw new Error("locks are found");
  const step = txn.process<"resolveLock">(scanned.value);
  if (!step.ok || step.value.type !== "continue") throw new Error("a second batch is left");
  assert.is(step.value.released.length, 256);
  assert.equal(step.value.next.resumeKey, encode(name(256)));
});

test("full: a lock that went between scan and write is passed, whoever has the key now", () => {
  const txn = new TxnMust();
  txn.mustPrewrite([put("a", "1"), put("b", "2"), put("c", "3")], "a", 10);
  const command = commandOf("resolveLock");
  const scanned = command.scan?.({ request: resolve({ 10: 20n }) }, txn.context());
  if (scanned?.ok !== true || scanned.value === undefined) throw new Error("locks are found");
  txn.mustResolveLock(10, 20, ["a", "b"]);
  txn.mustPrewrite([put("b", "9")], "b", 30);
  const step = txn.process<"resolveLock">(scanned.value);
  if (!step.ok || step.value.type !== "write") throw new Error("the one step succeeds");
  assert.equal(step.value.released, [
    { startTs: 10n, commitTs: 20n, key: encode("c"), pessimistic: false },
  ]);
  txn.mustLocked("b", 30);
});

test("full: a shared lock is not touched", () => {
  const txn = new TxnMust();
  const shared = { type: LOCK_TYPE.shared, primary: utf8("p"), startTs: 10n, ttl: 50n };
  txn.putLock("a", newLock(shared));
  txn.mustResolveLock(10, 20);
  assert.is(txn.engine.entries("lock").length, 1);
});

test.run();
