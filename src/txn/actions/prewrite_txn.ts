/**
 * What one prewrite request has collected so far: changes, memory locks, and the locks of a 1PC
 * commit, which become write records in the end, or plain locks after a fall-back.
 */
import { assert, err, ok, type Result, U64_MAX } from "../../base/index.js";
import { LOCK_TYPE, type Lock, newWrite, WRITE_TYPE, type WriteType } from "../../codec/index.js";
import { MvccTxn, type ReleasedLock } from "../../mvcc/index.js";
import type { ConcurrencyManager, LockGuard } from "../concurrency_manager.js";
import type { TxnError } from "../errors.js";
import type { PrewriteProps } from "./prewrite_state.js";

interface OnePcLock {
  readonly key: Uint8Array;
  readonly lock: Lock;
  /** A pessimistic lock of the transaction is on the key. */
  readonly overwrites: boolean;
}

/** Returns the type of the write record that a lock becomes when it is committed. */
export function writeTypeOf(lock: Lock): WriteType {
  switch (lock.type) {
    case LOCK_TYPE.put:
      return WRITE_TYPE.put;
    case LOCK_TYPE.delete:
      return WRITE_TYPE.delete;
    case LOCK_TYPE.lock:
      return WRITE_TYPE.lock;
    default:
      assert(false, "only prewritten locks are committed");
  }
}

/** Keys are encoded. Whoever drops it without taking the guards calls `clear`. */
export class PrewriteTxn {
  readonly mvcc: MvccTxn;
  private held: LockGuard[] = [];
  private onePcLocks: OnePcLock[] = [];

  constructor(
    startTs: bigint,
    readonly concurrencyManager: ConcurrencyManager,
  ) {
    this.mvcc = new MvccTxn(startTs);
  }

  /** Guards of the memory locks that readers see until the write is applied. */
  get guards(): readonly LockGuard[] {
    return this.held;
  }

  /**
   * Computes min_commit_ts, at least `least`, and shows the lock to readers: first the key's handle,
   * then max_ts, then the lock. A reader that came before has raised max_ts; one that comes after
   * meets the lock. Returns the lock, or commitTsTooLarge, and then nothing is held.
   */
  holdInMemory(
    key: Uint8Array,
    least: bigint,
    { startTs, forUpdateTs, maxCommitTs }: PrewriteProps,
    lockAt: (minCommitTs: bigint) => Lock,
  ): Result<Lock, TxnError> {
    const guard = this.concurrencyManager.lockKey(key);
    const { maxTs } = this.concurrencyManager;
    let above = maxTs > startTs ? maxTs : startTs;
    if (forUpdateTs > above) above = forUpdateTs;
    const minCommitTs = least > above ? least : above + 1n;
    if (minCommitTs > (maxCommitTs === 0n ? U64_MAX : maxCommitTs)) {
      guard.release();
      return err({ kind: "commitTsTooLarge", startTs, minCommitTs, maxCommitTs });
    }
    const lock = lockAt(minCommitTs);
    guard.publish(lock);
    this.held.push(guard);
    return ok(lock);
  }

  putOnePcLock(key: Uint8Array, lock: Lock, overwrites: boolean): void {
    this.onePcLocks.push({ key, lock, overwrites });
  }

  /** Back to two phases: 1PC locks are written as locks, and memory locks are not needed. */
  fallBack(): void {
    for (const { key, lock } of this.onePcLocks) this.mvcc.putLock(key, lock);
    this.onePcLocks = [];
    this.releaseGuards();
  }

  /** Writes the commit records of a 1PC. Returns the pessimistic locks that are gone with it. */
  commitOnePc(commitTs: bigint): ReleasedLock[] {
    const released: ReleasedLock[] = [];
    for (const { key, lock, overwrites } of this.onePcLocks) {
      const { shortValue, startTs, lastChange, txnSource } = lock;
      const type = writeTypeOf(lock);
      // No rollback record can be here: every protected one has raised max_ts to its start_ts.
      const write = newWrite({ type, startTs, shortValue, lastChange, txnSource });
      this.mvcc.putWrite(key, commitTs, write);
      if (overwrites) released.push(this.mvcc.unlockKey(key, true, commitTs));
    }
    this.onePcLocks = [];
    return released;
  }

  /** Forgets everything; the request writes nothing. */
  clear(): void {
    this.mvcc.clear();
    this.onePcLocks = [];
    this.releaseGuards();
  }

  private releaseGuards(): void {
    for (const guard of this.held) guard.release();
    this.held = [];
  }
}
