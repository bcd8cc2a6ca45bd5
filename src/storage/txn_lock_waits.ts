/**
 * Waiting for locks on this store: drives the lock manager (txn/lock_manager, pure) with timers, and
 * answers or repeats requests whose wait is over. Source: tikv src/server/lock_manager.
 */
import { assert, type Clock, type Timers } from "../base/index.js";
import type { KeyedLock } from "../mvcc/index.js";
import {
  type DeadlockFound,
  type LockManager,
  type LockWaitEffect,
  type LockWaitToken,
  lockWaitAnswer,
  type ReleasedLock,
  type TxnError,
} from "../txn/index.js";
import type { LockManagerMetrics } from "./lock_manager_metrics.js";
import { txnFailure } from "./txn_errors.js";
import type { BlockedRequest, LockWaits } from "./txn_task.js";
import type { LockWait } from "./txn_types.js";

export interface LockWaitDeps {
  readonly manager: LockManager;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly metrics: LockManagerMetrics;
  /** Runs a force-lock request again, with the deadline of its first wait. */
  readonly resume: (blocked: BlockedRequest, lockDeadlineMs: number) => void;
}

/** A request that waits, and since when. */
interface Waiting {
  readonly blocked: BlockedRequest;
  readonly sinceMs: number;
}

export class LockWaitDriver implements LockWaits {
  private readonly waiting = new Map<LockWaitToken, Waiting>();
  private cancelTimer: (() => void) | undefined;
  private timerMs: number | undefined;
  private closed = false;

  constructor(private readonly deps: LockWaitDeps) {}

  /** Requests that wait. */
  get size(): number {
    return this.waiting.size;
  }

  wait(blocked: BlockedRequest): void {
    if (this.closed) {
      this.answer(blocked, { kind: "keyIsLocked", lock: blocked.wait.lock });
      return;
    }
    const { clock, manager, metrics } = this.deps;
    const nowMs = clock.monotonicMs();
    const { request, wait, lockDeadlineMs: deadlineMs } = blocked;
    const { token, effects } = manager.wait(nowMs, {
      request,
      key: wait.key,
      lock: wait.lock,
      ...(deadlineMs !== undefined && { deadlineMs }),
    });
    this.waiting.set(token, { blocked, sinceMs: nowMs });
    metrics.onWait(manager.queueLength(wait.key));
    this.carryOut(nowMs, effects);
  }

  onReleased(locks: readonly ReleasedLock[]): void {
    if (this.waiting.size === 0 || locks.length === 0) return;
    const nowMs = this.deps.clock.monotonicMs();
    this.carryOut(nowMs, this.deps.manager.release(nowMs, locks));
  }

  onAcquired(locks: readonly KeyedLock[]): void {
    const { clock, manager } = this.deps;
    if (this.waiting.size === 0) return;
    const nowMs = clock.monotonicMs();
    for (const { key, lock } of locks) this.carryOut(nowMs, manager.acquired(nowMs, key, lock));
  }

  /** The detector found a deadlock for an edge of this store. */
  onDeadlock(found: DeadlockFound): void {
    this.carryOut(this.deps.clock.monotonicMs(), this.deps.manager.onDeadlock(found));
  }

  /** Everybody who waits here. */
  entries(): readonly LockWait[] {
    this.deps.metrics.dumps++;
    return this.deps.manager.waitForEntries(this.deps.clock.monotonicMs());
  }

  /** Answers everybody as if the time were over: the store stops. */
  close(): void {
    this.closed = true;
    this.cancelTimer?.();
    const nowMs = this.deps.clock.monotonicMs();
    for (const [token, { blocked }] of [...this.waiting]) {
      this.deps.manager.cancel(nowMs, token);
      const error = { kind: "keyIsLocked", lock: blocked.wait.lock } as const;
      this.carryOut(nowMs, [{ type: "answer", token, error }]);
    }
  }

  private carryOut(nowMs: number, effects: readonly LockWaitEffect[]): void {
    for (const effect of effects) {
      const waiting = this.waiting.get(effect.token);
      assert(waiting !== undefined, "a wait ends once");
      this.waiting.delete(effect.token);
      const { blocked, sinceMs } = waiting;
      blocked.details.lockWaitMs += nowMs - sinceMs;
      const isWoken = effect.type === "resume" || effect.error.kind === "writeConflict";
      this.deps.metrics.onWaitEnd(nowMs - sinceMs, isWoken);
      if (effect.type === "resume") {
        this.deps.resume(blocked, effect.deadlineMs);
        continue;
      }
      this.answer(blocked, effect.error);
    }
    this.arm();
  }

  private answer({ answer, ctx, request }: BlockedRequest, error: TxnError): void {
    const reply = lockWaitAnswer(request, error);
    answer(reply.ok ? reply : txnFailure(reply.error, ctx.regionId));
  }

  /** Sets the timer to when the lock manager has something to do. */
  private arm(): void {
    const { clock, manager, timers } = this.deps;
    const nextMs = this.closed ? undefined : manager.nextDeadlineMs;
    if (nextMs === undefined || (this.timerMs !== undefined && this.timerMs <= nextMs)) return;
    this.cancelTimer?.();
    this.timerMs = nextMs;
    this.cancelTimer = timers.after(Math.max(0, nextMs - clock.monotonicMs()), () => {
      this.timerMs = undefined;
      const nowMs = clock.monotonicMs();
      this.carryOut(nowMs, manager.tick(nowMs));
    });
  }
}
