/**
 * The words of lock waiting: who waits for what, and what becomes of it. Data only.
 * Source: tikv src/storage/lock_manager/mod.rs.
 */
import { err, ok, type Result } from "../../base/index.js";
import type { LockInfo, TxnError, WaitForEntry } from "../errors.js";
import type { AcquirePessimisticLockRequest, AcquirePessimisticLockResult } from "../requests.js";

/** A request that met a lock. */
export interface LockWait {
  readonly request: AcquirePessimisticLockRequest;
  /** Encoded; the one key of the request that is locked. */
  readonly key: Uint8Array;
  readonly lock: LockInfo;
  /** Of an earlier wait of this request, which its `resume` told: a woken request gains no time. */
  readonly deadlineMs?: number;
}

/** Names a wait from `LockManager.wait` until an effect carries it, or `cancel`. */
export type LockWaitToken = number;

/** What the driver has to do for a wait that is over. */
export type LockWaitEffect =
  /** Answers the request; `lockWaitAnswer` says in what form. */
  | { readonly type: "answer"; readonly token: LockWaitToken; readonly error: TxnError }
  /** Runs the request again under its latches; if it meets a lock, it waits again. */
  | {
      readonly type: "resume";
      readonly token: LockWaitToken;
      readonly request: AcquirePessimisticLockRequest;
      readonly deadlineMs: number;
    };

/** What the detector found: `edge` closed a circle. */
export interface DeadlockFound {
  readonly edge: WaitForEntry;
  /** Hash of the key that the transaction at the end of the chain holds or wants. */
  readonly deadlockKeyHash: bigint;
  /** From the transaction that `edge` waits for, back to the one that waits; `edge` is not in it. */
  readonly waitChain: readonly WaitForEntry[];
}

/** The lock manager's way to the detector, which is here or on another store. */
export interface DeadlockDetector {
  /** Adds an edge. A deadlock that is known at once is returned, else it is told later or never. */
  detect(nowMs: number, edge: WaitForEntry): DeadlockFound | undefined;
  /** Takes back one edge: the wait is over. */
  cleanUpWaitFor(nowMs: number, edge: WaitForEntry): void;
}

/**
 * Returns the reply to a request whose wait ended with `error`: errors of force-lock requests stand
 * at their key, those of others are the whole answer.
 */
export function lockWaitAnswer(
  request: AcquirePessimisticLockRequest,
  error: TxnError,
): Result<AcquirePessimisticLockResult, TxnError> {
  if (!request.allowLockWithConflict) return err(error);
  return ok({ results: [{ type: "failed", error }] });
}
