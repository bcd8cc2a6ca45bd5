/** What stores say of transactions and locks, as the client takes it; work in the background. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { NULL_LOGGER, utf8 } from "../../../../src/base/index.js";
import { keyModeOf } from "../../../../src/client/key_mode.js";
import type { ClientTime } from "../../../../src/client/ports.js";
import { Background } from "../../../../src/client/txn/background.js";
import {
  type DeadlockError,
  isRetryable,
  KeyExistsError,
  TxnAbortedError,
  WriteConflictError,
} from "../../../../src/client/txn/errors.js";
import { errorOf, locksOf } from "../../../../src/client/txn/key_error.js";
import { remainingMs } from "../../../../src/client/txn/lock_view.js";
import {
  isFinal,
  StatusCache,
  statusOf,
  type TxnStatus,
} from "../../../../src/client/txn/txn_status.js";
import { composeTs, encodeBytes, keyspacePrefix, TS_MAX } from "../../../../src/codec/index.js";
import { kvrpcpb } from "../../../../src/pb/index.js";

const V1 = keyModeOf("V1", "txn", 0);
const { Action } = kvrpcpb;

function response(fields: kvrpcpb.ICheckTxnStatusResponse): kvrpcpb.CheckTxnStatusResponse {
  const { CheckTxnStatusResponse: codec } = kvrpcpb;
  return codec.decode(codec.encode(fields).finish());
}

function keyError(fields: kvrpcpb.IKeyError): kvrpcpb.KeyError {
  return kvrpcpb.KeyError.decode(kvrpcpb.KeyError.encode(fields).finish());
}

test("boundaries of transactional keys are memcomparable, in a keyspace or not", () => {
  const key = utf8("key");
  assert.equal(V1.toPd(key), encodeBytes(key));
  assert.equal(V1.fromPd(encodeBytes(key)), key);
  assert.equal(V1.toWire(key), key);
  const v2 = keyModeOf("V2", "txn", 7);
  const wire = v2.toWire(key);
  assert.equal(wire.subarray(0, 4), keyspacePrefix("txn", 7));
  assert.equal(v2.fromWire(wire), key);
  assert.equal(v2.fromPd(v2.toPd(wire)), wire);
  assert.equal(keyModeOf("V1", "raw", 0).toPd(key), key);
});

test("a lock lives for its TTL from start_ts", () => {
  const start = composeTs(1000n, 5n);
  assert.is(remainingMs(start, 3000n, composeTs(1500n, 0n)), 2500);
  assert.is(remainingMs(start, 3000n, composeTs(4000n, 0n)), 0);
  assert.ok(remainingMs(start, 0n, TS_MAX) < 0);
});

test("the status of a transaction, and whether it is final", () => {
  const start = composeTs(1000n, 0n);
  const now = composeTs(1400n, 0n);
  const rows: [kvrpcpb.ICheckTxnStatusResponse, string, boolean][] = [
    [{ commitVersion: 9 }, "committed", true],
    [{ action: Action.NoAction }, "rolledBack", true],
    [{ action: Action.TTLExpireRollback }, "rolledBack", true],
    [{ action: Action.LockNotExistRollback }, "rolledBack", true],
    [{ action: Action.TTLExpirePessimisticRollback }, "rolledBack", false],
    [{ action: Action.LockNotExistDoNothing }, "rolledBack", false],
    [{ lockTtl: 1000 }, "alive", false],
    [{ lockTtl: 1000, action: Action.MinCommitTSPushed }, "alive", false],
    [{ lockInfo: { useAsyncCommit: true } }, "alive", false],
  ];
  for (const [fields, kind, final] of rows) {
    const status = statusOf(response(fields), start, now);
    assert.equal([status.kind, isFinal(status)], [kind, final], JSON.stringify(fields));
  }
  const alive = statusOf(response({ lockTtl: 1000, action: Action.MinCommitTSPushed }), start, now);
  assert.equal(alive.kind === "alive" && [alive.remainingMs, alive.isPushed], [600, true]);
});

test("the cache of ended transactions forgets the oldest", () => {
  const cache = new StatusCache(2);
  const status: TxnStatus = { kind: "committed", commitTs: 9n };
  for (const ts of [1n, 2n, 3n]) cache.put(ts, status);
  assert.equal(
    [1n, 2n, 3n].map((ts) => cache.get(ts)?.kind),
    [undefined, "committed", "committed"],
  );
});

test("key errors become errors with the caller's keys", () => {
  const v2 = keyModeOf("V2", "txn", 7);
  const key = v2.toWire(utf8("k"));
  const rows: [kvrpcpb.IKeyError, string, boolean][] = [
    [{ conflict: { key, conflictTs: 3, conflictCommitTs: 4 } }, "KV:Storage:WriteConflict", true],
    [
      { conflict: { key, reason: kvrpcpb.WriteConflict.Reason.SelfRolledBack } },
      "RUTILE:Client:TxnAborted",
      true,
    ],
    [{ alreadyExist: { key } }, "KV:Storage:AlreadyExist", false],
    [{ deadlock: { lockKey: key, lockTs: 5 } }, "KV:Storage:Deadlock", true],
    [{ assertionFailed: { key } }, "KV:Storage:AssertionFailed", false],
    [{ txnNotFound: {} }, "KV:Storage:TxnNotFound", true],
    [{ retryable: "TxnLockNotFound" }, "RUTILE:Client:TxnAborted", true],
    [{ abort: "PessimisticLockNotFound(..)" }, "RUTILE:Client:TxnAborted", true],
    [{ abort: "TxnLock type not match" }, "RUTILE:Client:Refused", false],
    [{}, "RUTILE:Client:Protocol", false],
  ];
  for (const [fields, code, again] of rows) {
    const error = errorOf(keyError(fields), 1n, v2);
    assert.equal([error.code, isRetryable(error)], [code, again], JSON.stringify(fields));
    if (error instanceof WriteConflictError || error instanceof KeyExistsError) {
      assert.equal(error.key, utf8("k"));
    }
  }
  const edge = { txn: 8, waitForTxn: 9, key };
  const deadlock = errorOf(keyError({ deadlock: { lockKey: key, waitChain: [edge] } }), 1n, v2);
  assert.equal((deadlock as DeadlockError).chain, [{ txn: 8n, waitForTxn: 9n, key: utf8("k") }]);
});

test("one error that is no lock stands for all", () => {
  const lock = keyError({ locked: { key: utf8("a"), lockVersion: 7 } });
  assert.equal(
    locksOf([lock], 1n, V1).map(({ startTs }) => startTs),
    [7n],
  );
  const exists = keyError({ alreadyExist: { key: utf8("b") } });
  assert.throws(
    () => locksOf([lock, exists], 1n, V1),
    (error: unknown) => error instanceof KeyExistsError,
  );
  assert.is(isRetryable(new TxnAbortedError(1n, "x")), true);
  assert.is(isRetryable(new Error("x")), false);
});

/** Time that stands still until a test fires what sleeps. */
class StillTime implements ClientTime {
  readonly sleeping: (() => void)[] = [];
  nowMs = (): number => 0;
  random = (): number => 0.5;
  after = (): (() => void) => () => {};
  sleep = (_ms: number, signals: readonly AbortSignal[]): Promise<void> =>
    new Promise((resolve) => {
      this.sleeping.push(resolve);
      for (const signal of signals) signal.addEventListener("abort", () => resolve());
    });
}

function gate(): { readonly wait: () => Promise<void>; readonly open: () => void } {
  let open = (): void => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { wait: () => opened, open };
}

test("background work is bounded: one piece more is waited for", async () => {
  const background = new Background(1, new StillTime(), NULL_LOGGER);
  const [first, second] = [gate(), gate()];
  await background.run("first", first.wait);
  let isThrough = false;
  const waited = background.run("second", second.wait).then(() => {
    isThrough = true;
  });
  await Promise.resolve();
  assert.is(background.size, 1);
  first.open();
  await background.drain(1);
  assert.is(isThrough, false);
  second.open();
  await waited;
  assert.is(background.size, 0);
});

test("a drain ends when its time is over, and failures do not reach anybody", async () => {
  const time = new StillTime();
  const background = new Background(4, time, NULL_LOGGER);
  const slow = gate();
  await background.run("fails", () => Promise.reject(new Error("x")));
  await background.run("slow", slow.wait);
  const drained = background.drain(1000);
  time.sleeping[0]?.();
  assert.is(await drained, false);
  slow.open();
  assert.is(await background.drain(1000), true);
  const awhile = background.runAwhile("awhile", 5, gate().wait);
  time.sleeping.at(-1)?.();
  await awhile;
  assert.is(background.size, 1);
});

test.run();
