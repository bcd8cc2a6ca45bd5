/** Lock waits: order, wake-ups and their delay, deadlines, deadlocks, bounds (semantics 2.10). */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { fingerprint64, utf8 } from "../../../../src/base/index.js";
import {
  type DeadlockFound,
  LOCK_MANAGER_DEFAULTS,
  LockManager,
  type LockManagerOptions,
  type LockWait,
  lockWaitAnswer,
} from "../../../../src/txn/index.js";
import {
  NotingDetector,
  pessimisticLock,
  released,
  told,
  waitFor,
} from "../../../support/lock_waits.js";
import { encode } from "../../../support/txn_requests.js";

const FORCE = { allowLockWithConflict: true };

class Waits {
  readonly detector = new NotingDetector();
  readonly manager: LockManager;

  constructor(options: Partial<LockManagerOptions> = {}) {
    this.manager = new LockManager({ ...LOCK_MANAGER_DEFAULTS, ...options }, this.detector);
  }

  /** Waits without an effect. Returns the token. */
  wait(nowMs: number, wait: LockWait): number {
    const { token, effects } = this.manager.wait(nowMs, wait);
    assert.equal(effects, []);
    return token;
  }

  release(nowMs: number, key: string, startTs: number, commitTs: number): string[] {
    return told(this.manager.release(nowMs, [released(key, startTs, commitTs)]));
  }

  tick(nowMs: number): string[] {
    return told(this.manager.tick(nowMs));
  }

  /** Nothing is left behind, timers included once they are over. */
  mustBeEmpty(): void {
    assert.is(this.manager.size, 0);
    assert.is(this.manager.keys, 0);
    assert.equal(this.manager.waitForEntries(0), []);
    assert.equal(this.manager.tick(1e9), []);
    assert.is(this.manager.nextDeadlineMs, undefined);
  }
}

test("timeout: min(request, wait-for-lock-timeout), 0 = the latter -> the waiter's KeyIsLocked", () => {
  for (const [requested, expected] of [
    [0, 1000],
    [300, 300],
    [5000, 1000],
  ] as const) {
    const waits = new Waits();
    const token = waits.wait(50, waitFor("k", 10, 5, { waitTimeoutMs: requested }));
    assert.is(waits.manager.nextDeadlineMs, 50 + expected);
    assert.equal(waits.tick(50 + expected - 1), []);
    const effects = waits.manager.tick(50 + expected);
    const lock = { key: utf8("k"), lock: pessimisticLock("k", 5) };
    assert.equal(effects, [{ type: "answer", token, error: { kind: "keyIsLocked", lock } }]);
    assert.equal(waits.detector.notes, ["+10>5", "-10>5"]);
    waits.mustBeEmpty();
  }
});

test("release: the head gets WriteConflict(PessimisticRetry) of the transaction that let go", () => {
  const waits = new Waits();
  const token = waits.wait(0, waitFor("k", 10, 5));
  const effects = waits.manager.release(1, [released("k", 5, 20)]);
  const error = {
    kind: "writeConflict",
    startTs: 10n,
    conflictStartTs: 5n,
    conflictCommitTs: 20n,
    key: utf8("k"),
    primary: utf8("k"),
    reason: "pessimisticRetry",
  };
  assert.equal(effects, [{ type: "answer", token, error }]);
  waits.mustBeEmpty();
});

test("release: the smallest start_ts goes first, whenever it came; equal ones by arrival", () => {
  const waits = new Waits();
  const tokens = [30, 10, 20, 10].map((startTs) => waits.wait(0, waitFor("k", startTs, 5)));
  const [of30, first, of20, second] = tokens;
  assert.is(waits.manager.queueLength(encode("k")), 4);
  assert.is(waits.manager.queueLength(encode("other")), 0);
  assert.equal(waits.release(0, "k", 5, 40), [`${first} writeConflict`]);
  assert.equal(waits.release(0, "k", 5, 40), [`${second} writeConflict`]);
  assert.equal(waits.release(0, "k", 5, 40), [`${of20} writeConflict`]);
  assert.equal(waits.release(0, "k", 5, 40), [`${of30} writeConflict`]);
  waits.mustBeEmpty();
});

test("release: other keys stay asleep", () => {
  const waits = new Waits();
  waits.wait(0, waitFor("a", 10, 5));
  assert.equal(waits.release(0, "b", 5, 40), []);
  assert.is(waits.manager.size, 1);
});

test("the rest of the queue is woken wake-up-delay-duration later", () => {
  const waits = new Waits();
  const [a, b, c] = [10, 20, 30].map((startTs) => waits.wait(0, waitFor("k", startTs, 5)));
  assert.equal(waits.release(100, "k", 5, 40), [`${a} writeConflict`]);
  assert.is(waits.manager.nextDeadlineMs, 120);
  assert.equal(waits.tick(119), []);
  assert.equal(waits.tick(120), [`${b} writeConflict`, `${c} writeConflict`]);
  waits.mustBeEmpty();
});

test("the delayed wake-up tells of the latest release", () => {
  const waits = new Waits();
  for (const startTs of [10, 20, 30]) waits.wait(0, waitFor("k", startTs, 5));
  waits.release(100, "k", 5, 40);
  waits.release(110, "k", 50, 0);
  const [effect] = waits.manager.tick(130);
  const error = effect?.type === "answer" ? effect.error : undefined;
  assert.is(error?.kind === "writeConflict" && error.conflictStartTs, 50n);
  assert.is(error?.kind === "writeConflict" && error.conflictCommitTs, 0n);
});

test("a release during the delay puts the rest off", () => {
  const waits = new Waits();
  const tokens = [10, 20, 30].map((startTs) => waits.wait(0, waitFor("k", startTs, 5)));
  waits.release(100, "k", 5, 40);
  assert.equal(waits.release(115, "k", 6, 41), [`${tokens[1]} writeConflict`]);
  assert.equal(waits.tick(120), []);
  assert.equal(waits.tick(134), []);
  assert.equal(waits.tick(135), [`${tokens[2]} writeConflict`]);
});

test("who came after the release waits for the new lock: not woken with the rest", () => {
  const waits = new Waits();
  waits.wait(0, waitFor("k", 10, 5));
  const old = waits.wait(0, waitFor("k", 40, 5));
  waits.release(100, "k", 5, 45);
  const late = waits.wait(110, waitFor("k", 50, 46));
  assert.equal(waits.tick(120), [`${old} writeConflict`]);
  assert.equal(waits.release(200, "k", 46, 60), [`${late} writeConflict`]);
  waits.mustBeEmpty();
});

test("who came after the release and stands before the rest keeps the rest asleep", () => {
  const waits = new Waits();
  waits.wait(0, waitFor("k", 10, 5));
  const old = waits.wait(0, waitFor("k", 40, 5));
  waits.release(100, "k", 5, 45);
  const late = waits.wait(110, waitFor("k", 30, 46));
  assert.equal(waits.tick(120), []);
  assert.equal(waits.release(130, "k", 46, 60), [`${late} writeConflict`]);
  assert.equal(waits.tick(150), [`${old} writeConflict`]);
});

test("a resumable waiter is handed back with its deadline; nobody else is woken", () => {
  const waits = new Waits();
  const wait = waitFor("k", 10, 5, FORCE);
  const token = waits.wait(0, wait);
  waits.wait(0, waitFor("k", 20, 5));
  const effects = waits.manager.release(300, [released("k", 5, 40)]);
  assert.equal(effects, [{ type: "resume", token, request: wait.request, deadlineMs: 1000 }]);
  assert.equal(waits.tick(999), []);
  assert.is(waits.manager.size, 1);
});

test("a resumed request that meets a lock again gains no time", () => {
  const waits = new Waits();
  waits.wait(0, waitFor("k", 10, 5, FORCE));
  waits.release(900, "k", 5, 40);
  const again = waits.wait(900, waitFor("k", 10, 6, { ...FORCE, deadlineMs: 1000 }));
  assert.equal(waits.tick(1000), [`${again} keyIsLocked`]);
  const late = waits.manager.wait(1001, waitFor("k", 10, 6, { ...FORCE, deadlineMs: 1000 }));
  assert.equal(told(late.effects), [`${late.token} keyIsLocked`]);
  waits.mustBeEmpty();
});

test("the delayed wake-up stops at the first resumable waiter, which takes the lock", () => {
  const waits = new Waits();
  const tokens = [10, 20, 40].map((startTs) => waits.wait(0, waitFor("k", startTs, 5)));
  const force = waits.wait(0, waitFor("k", 30, 5, FORCE));
  waits.release(100, "k", 5, 45);
  assert.equal(waits.tick(120), [`${tokens[1]} writeConflict`, `${force} resume`]);
  assert.is(waits.manager.size, 1);
  assert.equal(waits.release(130, "k", 30, 50), [`${tokens[2]} writeConflict`]);
  waits.mustBeEmpty();
});

test("several locks released at once wake one waiter each, in order", () => {
  const waits = new Waits();
  const a = waits.wait(0, waitFor("a", 10, 5));
  const b = waits.wait(0, waitFor("b", 20, 5, FORCE));
  const effects = waits.manager.release(1, [released("a", 5, 40), released("b", 5, 40)]);
  assert.equal(told(effects), [`${a} writeConflict`, `${b} resume`]);
});

test("detection: an edge for each wait but the first lock of a transaction", () => {
  const waits = new Waits();
  waits.wait(0, waitFor("k", 10, 5, { isFirstLock: true }));
  assert.equal(waits.detector.notes, []);
  waits.wait(0, waitFor("k", 20, 5));
  assert.equal(waits.detector.notes, ["+20>5"]);
  waits.release(1, "k", 5, 40);
  assert.equal(waits.detector.notes, ["+20>5"], "nothing to take back");
  waits.tick(21);
  assert.equal(waits.detector.notes, ["+20>5", "-20>5"]);
});

test("another transaction takes the lock: force-lock requests are detected anew, others are not", () => {
  const waits = new Waits();
  waits.wait(0, waitFor("k", 20, 5, FORCE));
  waits.wait(0, waitFor("k", 30, 5));
  assert.equal(waits.manager.acquired(1, encode("k"), pessimisticLock("k", 7)), []);
  assert.equal(waits.detector.notes, ["+20>5", "+30>5", "-20>5", "+20>7"]);
  const holders = waits.manager.waitForEntries(1).map(({ waitForTxn }) => waitForTxn);
  assert.equal(holders, [7n, 7n]);
  waits.manager.acquired(2, encode("k"), pessimisticLock("k", 7));
  assert.is(waits.detector.notes.length, 4, "the same holder is no news");
  waits.tick(1000);
  assert.equal(waits.detector.notes.slice(4), ["-20>7", "-30>5"], "what was told is taken back");
});

test("a deadlock that is known at once is answered at once, and its edge not taken back", () => {
  const waits = new Waits();
  const edge = edgeOf("k", 10, 5);
  const back = { ...edgeOf("z", 5, 10), keyHash: 77n };
  waits.detector.found = { edge, deadlockKeyHash: 77n, waitChain: [back] };
  const { token, effects } = waits.manager.wait(0, waitFor("k", 10, 5));
  const error = {
    kind: "deadlock",
    startTs: 10n,
    lockTs: 5n,
    lockKey: utf8("k"),
    deadlockKeyHash: 77n,
    waitChain: [back, edge],
  };
  assert.equal(effects, [{ type: "answer", token, error }]);
  assert.equal(waits.detector.notes, ["+10>5"]);
  waits.mustBeEmpty();
});

test("a deadlock that is told later finds its wait by key hash and start_ts", () => {
  const waits = new Waits();
  const token = waits.wait(0, waitFor("k", 10, 5));
  const other = waits.wait(0, waitFor("other", 10, 5));
  assert.equal(told(waits.manager.onDeadlock(foundAt("k", 10, 5))), [`${token} deadlock`]);
  assert.equal(waits.manager.onDeadlock(foundAt("k", 10, 5)), [], "the wait is over");
  assert.equal(waits.manager.onDeadlock(foundAt("other", 10, 4)), [], "waits for another lock");
  assert.equal(waits.tick(1000), [`${other} keyIsLocked`]);
});

test("cancel: no answer, the edge is taken back, the queue goes on", () => {
  const waits = new Waits();
  const first = waits.wait(0, waitFor("k", 10, 5));
  const second = waits.wait(0, waitFor("k", 20, 5));
  waits.manager.cancel(1, first);
  waits.manager.cancel(1, first);
  assert.equal(waits.detector.notes, ["+10>5", "+20>5", "-10>5"]);
  assert.equal(waits.release(2, "k", 5, 40), [`${second} writeConflict`]);
  waits.mustBeEmpty();
});

test("too many waits: one more is answered KeyIsLocked at once", () => {
  const waits = new Waits({ waitersMax: 2 });
  waits.wait(0, waitFor("a", 10, 5));
  waits.wait(0, waitFor("b", 10, 5));
  const { token, effects } = waits.manager.wait(0, waitFor("c", 10, 5));
  assert.equal(told(effects), [`${token} keyIsLocked`]);
  assert.is(waits.manager.size, 2);
  assert.is(waits.detector.notes.length, 2);
});

test("options changed online hold from the next wait and wake-up on", () => {
  const waits = new Waits();
  const options = { ...LOCK_MANAGER_DEFAULTS, waitForLockTimeoutMs: 200, wakeUpDelayMs: 5 };
  const old = waits.wait(0, waitFor("k", 10, 5));
  waits.manager.setOptions(options);
  const token = waits.wait(0, waitFor("k", 20, 5));
  waits.wait(0, waitFor("k", 30, 5, { waitTimeoutMs: 150 }));
  assert.is(waits.manager.nextDeadlineMs, 150);
  assert.equal(waits.release(1, "k", 5, 40), [`${old} writeConflict`]);
  assert.is(waits.manager.nextDeadlineMs, 6);
  assert.is(waits.tick(6)[0], `${token} writeConflict`);
});

test("GetWaitForEntries: each wait with its key, hash, tag and duration", () => {
  const waits = new Waits();
  waits.wait(100, waitFor("k", 10, 5, { resourceGroupTag: utf8("tag") }));
  assert.equal(waits.manager.waitForEntries(130), [
    { ...edgeOf("k", 10, 5), resourceGroupTag: utf8("tag"), waitMs: 30 },
  ]);
});

test("thousands that fall due together are ended in bounded steps, nobody is left out", () => {
  for (const isReleased of [true, false]) {
    const waits = new Waits();
    const tokens = new Set<number>();
    for (let index = 0; index < 2000; index++) {
      tokens.add(waits.wait(0, waitFor("k", 10 + ((index * 7) % 2000), 5)));
    }
    const now = isReleased ? 120 : 1000;
    const expected = isReleased ? "writeConflict" : "keyIsLocked";
    const effects = isReleased ? [...waits.manager.release(100, [released("k", 5, 9999)])] : [];
    let steps = 0;
    while ((waits.manager.nextDeadlineMs ?? Infinity) <= now) {
      const step = waits.manager.tick(now);
      assert.ok(step.length <= 512, `${step.length} effects in a step`);
      effects.push(...step);
      steps++;
    }
    assert.is(steps, 4);
    for (const text of told(effects)) assert.match(text, expected);
    assert.is(effects.filter(({ token }) => tokens.delete(token)).length, 2000);
    waits.mustBeEmpty();
  }
});

test("ended waits leave no timers behind but a bounded number", () => {
  const waits = new Waits();
  for (let startTs = 10; startTs < 5000; startTs++) {
    waits.wait(0, waitFor("k", startTs, 5));
    waits.release(0, "k", 5, 40);
  }
  let ticks = 0;
  for (let due = waits.manager.nextDeadlineMs; due !== undefined; ticks++) {
    const before = due;
    waits.manager.tick(due);
    due = waits.manager.nextDeadlineMs;
    assert.ok(due === undefined || due > before, "a tick gets through what is due");
  }
  assert.ok(ticks <= 2, `${ticks} distinct deadlines`);
  waits.mustBeEmpty();
});

test("the answer of a force-lock request stands at its key, that of others is the whole reply", () => {
  const error = { kind: "pessimisticLockRolledBack", startTs: 1n, key: utf8("k") } as const;
  const { request } = waitFor("k", 10, 5);
  assert.equal(lockWaitAnswer(request, error), { ok: false, error });
  const forced = lockWaitAnswer({ ...request, ...FORCE }, error);
  assert.equal(forced, { ok: true, value: { results: [{ type: "failed", error }] } });
});

function edgeOf(key: string, txn: number, waitForTxn: number): DeadlockFound["edge"] {
  const userKey = utf8(key);
  return {
    txn: BigInt(txn),
    waitForTxn: BigInt(waitForTxn),
    keyHash: fingerprint64(userKey),
    key: userKey,
    resourceGroupTag: utf8(""),
  };
}

function foundAt(key: string, txn: number, waitForTxn: number): DeadlockFound {
  return { edge: edgeOf(key, txn, waitForTxn), deadlockKeyHash: 1n, waitChain: [] };
}

test.run();
