/**
 * Lock waits of one store: queues, deadlines, edges for the deadlock detector. Pure: time is an
 * argument (monotonic ms), and the driver calls `tick` at `nextDeadlineMs`. Driven by
 * storage/txn_lock_waits.ts. Source: tikv src/server/lock_manager/{mod,waiter_manager}.rs.
 *
 * A wait ends once, by the first of: the lock's release, its deadline, a deadlock, `cancel`. Its edge
 * is taken back when it ends, but for a deadlock, whose edge never got into the graph.
 */
import { assert, compareBytes, fingerprint64, MinHeap } from "../../base/index.js";
import { keyToRaw, type Lock } from "../../codec/index.js";
import type { ReleasedLock } from "../../mvcc/index.js";
import type { LockInfo, TxnError, WaitForEntry } from "../errors.js";
import type {
  DeadlockDetector,
  DeadlockFound,
  LockWait,
  LockWaitEffect,
  LockWaitToken,
} from "./lock_wait.js";
import { LockWaitQueues, type QueueEntry, type Woken } from "./wait_queue.js";

export interface LockManagerOptions {
  /** pessimistic-txn.wait-for-lock-timeout, ms: the default and the most that a wait may last. */
  readonly waitForLockTimeoutMs: number;
  /** pessimistic-txn.wake-up-delay-duration, ms. */
  readonly wakeUpDelayMs: number;
  /** Waits at a time; one more is answered KeyIsLocked at once, as if it did not want to wait. */
  readonly waitersMax: number;
}

export const LOCK_MANAGER_DEFAULTS: LockManagerOptions = {
  waitForLockTimeoutMs: 1000,
  wakeUpDelayMs: 20,
  waitersMax: 65_536,
};

interface Waiter extends QueueEntry {
  readonly token: LockWaitToken;
  readonly wait: LockWait;
  readonly sinceMs: number;
  readonly deadlineMs: number;
  readonly keyHash: bigint;
  /** User key. */
  readonly userKey: Uint8Array;
  /** Of the moment: a lock that another transaction took meanwhile replaces it. */
  lock: LockInfo;
  /** What the detector was told; not always of the lock of the moment. */
  edge: WaitForEntry | undefined;
}

/** Something that falls due: the deadline of a waiter, or a delayed wake-up of a queue. */
type Due =
  | { readonly atMs: number; readonly waiter: Waiter }
  | { readonly atMs: number; readonly queueId: string };

/** Whoever is to be woken at the moment of its deadline is woken. */
function compareDue(a: Due, b: Due): number {
  return a.atMs - b.atMs || ("waiter" in a ? 1 : 0) - ("waiter" in b ? 1 : 0);
}

/** Waits that one tick ends: some milliseconds of work, also when thousands fall due together. */
const TICK_EFFECTS_MAX = 512;

/** Lazily deleted entries of the heap that may pile up beside the live ones. */
const STALE_DUE_MAX = 64;

export class LockManager {
  private readonly waiters = new Map<LockWaitToken, Waiter>();
  /** By digest (key hash, start_ts): the newest wait of a transaction for a key. */
  private readonly digests = new Map<string, Waiter>();
  private readonly dues = new MinHeap<Due>(compareDue);
  private readonly queues: LockWaitQueues<Waiter>;
  private nextToken: LockWaitToken = 1;

  constructor(
    private options: LockManagerOptions,
    private readonly detector: DeadlockDetector,
  ) {
    this.queues = new LockWaitQueues(
      () => this.options.wakeUpDelayMs,
      (queueId, atMs) => this.dues.push({ atMs, queueId }),
    );
  }

  /** Number of waits. */
  get size(): number {
    return this.waiters.size;
  }

  /** Number of keys that are waited for. */
  get keys(): number {
    return this.queues.keys;
  }

  /** Number of waits for an encoded key. */
  queueLength(key: Uint8Array): number {
    return this.queues.lengthOf(key);
  }

  /** When `tick` has something to do; undefined = not before the next wait. May be early. */
  get nextDeadlineMs(): number | undefined {
    return this.dues.peek()?.atMs;
  }

  /** Takes effect with the next wait or wake-up. */
  setOptions(options: LockManagerOptions): void {
    this.options = options;
  }

  /**
   * Lets a request wait. Call it before the latches are released, or a wake-up may be lost. The
   * token may already be in `effects`: a deadlock, too many waits, a deadline that is over.
   */
  wait(
    nowMs: number,
    wait: LockWait,
  ): { readonly token: LockWaitToken; readonly effects: readonly LockWaitEffect[] } {
    const token = this.nextToken++;
    const deadlineMs = wait.deadlineMs ?? nowMs + this.timeoutMs(wait.request.waitTimeoutMs);
    const refused = this.waiters.size >= this.options.waitersMax || deadlineMs <= nowMs;
    if (refused) return { token, effects: [answer(token, lockedError(wait.lock))] };
    const waiter = this.add(nowMs, token, wait, deadlineMs);
    return { token, effects: this.detect(nowMs, waiter) };
  }

  /** Wakes who waits for the locks; one per lock now, the rest of a queue later. */
  release(nowMs: number, locks: readonly ReleasedLock[]): readonly LockWaitEffect[] {
    if (this.waiters.size === 0) return [];
    const effects: LockWaitEffect[] = [];
    for (const { key, startTs, commitTs } of locks) {
      const woken = this.queues.pop(nowMs, key, { startTs, commitTs });
      if (woken !== undefined) effects.push(this.wake(nowMs, woken));
    }
    return effects;
  }

  /**
   * A transaction got the lock on `key`: whoever waits there waits for this lock from now on. Only
   * force-lock requests are detected anew; others are woken soon and ask again.
   */
  acquired(nowMs: number, key: Uint8Array, lock: Lock): readonly LockWaitEffect[] {
    if (this.waiters.size === 0) return [];
    const effects: LockWaitEffect[] = [];
    for (const waiter of this.queues.entriesOf(key)) {
      const isSame = waiter.lock.lock.startTs === lock.startTs;
      waiter.lock = { key: waiter.userKey, lock };
      if (isSame || !waiter.resumable) continue;
      this.takeEdgeBack(nowMs, waiter);
      effects.push(...this.detect(nowMs, waiter));
    }
    return effects;
  }

  /** Answers the wait that closed a circle; none if it is over, or waits for another lock now. */
  onDeadlock({ edge, deadlockKeyHash, waitChain }: DeadlockFound): readonly LockWaitEffect[] {
    const waiter = this.digests.get(digest(edge.keyHash, edge.txn));
    if (waiter === undefined || waiter.lock.lock.startTs !== edge.waitForTxn) return [];
    this.queues.remove(waiter);
    this.drop(waiter);
    const error: TxnError = {
      kind: "deadlock",
      startTs: edge.txn,
      lockTs: edge.waitForTxn,
      lockKey: edge.key,
      deadlockKeyHash,
      waitChain: [...waitChain, edge],
    };
    return [answer(waiter.token, error)];
  }

  /** Ends a wait without an answer; one that is over already is nothing. */
  cancel(nowMs: number, token: LockWaitToken): void {
    const waiter = this.waiters.get(token);
    if (waiter !== undefined) this.end(nowMs, waiter);
  }

  /** Answers what is overdue, a bounded number: the rest is due at `nextDeadlineMs`, at once. */
  tick(nowMs: number): readonly LockWaitEffect[] {
    const effects: LockWaitEffect[] = [];
    for (let due = this.dues.peek(); due !== undefined; due = this.dues.peek()) {
      if (due.atMs > nowMs || effects.length >= TICK_EFFECTS_MAX) break;
      this.dues.pop();
      if ("queueId" in due) {
        const most = TICK_EFFECTS_MAX - effects.length;
        for (const woken of this.queues.delayed(nowMs, due.queueId, most)) {
          effects.push(this.wake(nowMs, woken));
        }
      } else if (this.waiters.get(due.waiter.token) === due.waiter) {
        this.end(nowMs, due.waiter);
        effects.push(answer(due.waiter.token, lockedError(due.waiter.lock)));
      }
    }
    return effects;
  }

  /** The waits, oldest first, and how long they last: what GetWaitForEntries answers. */
  waitForEntries(nowMs: number): readonly (WaitForEntry & { readonly waitMs: number })[] {
    const waiters = [...this.waiters.values()];
    return waiters.map((waiter) => ({ ...edgeOf(waiter), waitMs: nowMs - waiter.sinceMs }));
  }

  private timeoutMs(requestedMs: number): number {
    assert(requestedMs >= 0, "a request that does not wait is answered by its command");
    const most = this.options.waitForLockTimeoutMs;
    return requestedMs === 0 ? most : Math.min(requestedMs, most);
  }

  private add(nowMs: number, token: LockWaitToken, wait: LockWait, deadlineMs: number): Waiter {
    const userKey = keyToRaw(wait.key);
    assert(compareBytes(userKey, wait.lock.key) === 0, "a request waits for the lock of its key");
    const waiter: Waiter = {
      token,
      wait,
      sinceMs: nowMs,
      deadlineMs,
      key: wait.key,
      userKey,
      keyHash: fingerprint64(userKey),
      startTs: wait.request.startTs,
      resumable: wait.request.allowLockWithConflict,
      lock: wait.lock,
      edge: undefined,
    };
    this.waiters.set(token, waiter);
    this.digests.set(digest(waiter.keyHash, waiter.startTs), waiter);
    this.queues.push(waiter);
    const { dues } = this;
    dues.push({ atMs: deadlineMs, waiter });
    if (dues.size > STALE_DUE_MAX + 3 * this.waiters.size) {
      dues.retain((due) => "queueId" in due || this.waiters.has(due.waiter.token));
    }
    return waiter;
  }

  /** The first lock of a transaction closes no circle: nobody waits for it yet. */
  private detect(nowMs: number, waiter: Waiter): readonly LockWaitEffect[] {
    if (waiter.wait.request.isFirstLock) return [];
    waiter.edge = edgeOf(waiter);
    const found = this.detector.detect(nowMs, waiter.edge);
    return found === undefined ? [] : this.onDeadlock(found);
  }

  private takeEdgeBack(nowMs: number, waiter: Waiter): void {
    if (waiter.edge !== undefined) this.detector.cleanUpWaitFor(nowMs, waiter.edge);
    waiter.edge = undefined;
  }

  private wake(nowMs: number, { entry: waiter, reason }: Woken<Waiter>): LockWaitEffect {
    this.drop(waiter);
    this.takeEdgeBack(nowMs, waiter);
    const { token, wait, deadlineMs } = waiter;
    if (waiter.resumable) return { type: "resume", token, request: wait.request, deadlineMs };
    return answer(token, {
      kind: "writeConflict",
      startTs: waiter.startTs,
      conflictStartTs: reason.startTs,
      conflictCommitTs: reason.commitTs,
      key: waiter.userKey,
      primary: wait.request.primary,
      reason: "pessimisticRetry",
    });
  }

  /** Ends a wait that nothing woke. */
  private end(nowMs: number, waiter: Waiter): void {
    this.queues.remove(waiter);
    this.drop(waiter);
    this.takeEdgeBack(nowMs, waiter);
  }

  /** Forgets a waiter that is in no queue any more. */
  private drop(waiter: Waiter): void {
    const isLive = this.waiters.delete(waiter.token);
    assert(isLive, "a wait ends once");
    const id = digest(waiter.keyHash, waiter.startTs);
    if (this.digests.get(id) === waiter) this.digests.delete(id);
  }
}

const digest = (keyHash: bigint, startTs: bigint): string => `${keyHash}:${startTs}`;

const answer = (token: LockWaitToken, error: TxnError): LockWaitEffect => ({
  type: "answer",
  token,
  error,
});

const lockedError = (lock: LockInfo): TxnError => ({ kind: "keyIsLocked", lock });

function edgeOf({ startTs, lock, keyHash, userKey, wait }: Waiter): WaitForEntry {
  return {
    txn: startTs,
    waitForTxn: lock.lock.startTs,
    keyHash,
    key: userKey,
    resourceGroupTag: wait.request.resourceGroupTag,
  };
}
