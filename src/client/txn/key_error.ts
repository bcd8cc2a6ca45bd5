/** kvrpcpb.KeyError → what a transaction throws, or the lock that stands in the way. */
import type { ErrorCode } from "../../base/index.js";
import { kvrpcpb, toBigInt } from "../../pb/index.js";
import { ClientError } from "../errors.js";
import type { KeyMode } from "../key_mode.js";
import {
  AssertionFailedError,
  DeadlockError,
  KeyExistsError,
  TxnAbortedError,
  TxnNotFoundError,
  WriteConflictError,
} from "./errors.js";
import { type LockView, lockView } from "./lock_view.js";

const CONFLICTS: Readonly<Record<number, string>> = {
  [kvrpcpb.WriteConflict.Reason.Optimistic]: "written since this transaction began",
  [kvrpcpb.WriteConflict.Reason.PessimisticRetry]: "written since the lock was asked for",
  [kvrpcpb.WriteConflict.Reason.RcCheckTs]: "written since the read began",
  [kvrpcpb.WriteConflict.Reason.LazyUniquenessCheck]: "written since this transaction began",
  [kvrpcpb.WriteConflict.Reason.NotLockedKeyConflict]: "written, and not locked before",
};

/** Texts of `abort` that say that the transaction is over. Source: tikv mvcc/mod.rs. */
const ABORTED = /PessimisticLock(NotFound|RolledBack)|pessimistic lock .*not found|rolled ?back/i;

/** Returns the locks of `errors` if all of them are locks; throws the first that is none. */
export function locksOf(
  errors: readonly kvrpcpb.KeyError[],
  startTs: bigint,
  mode: KeyMode,
): LockView[] {
  const other = errors.find(({ locked }) => locked === null);
  if (other !== undefined) throw errorOf(other, startTs, mode);
  return errors.map(({ locked }) => lockView(locked as kvrpcpb.LockInfo));
}

/** Returns what to throw for a key error; the keys in it are the caller's. */
export function errorOf(error: kvrpcpb.KeyError, startTs: bigint, mode: KeyMode): ClientError {
  const { alreadyExist, assertionFailed, conflict, deadlock } = error;
  if (conflict?.reason === kvrpcpb.WriteConflict.Reason.SelfRolledBack) {
    return new TxnAbortedError(startTs, "others have rolled it back");
  }
  if (conflict !== null) {
    const reason = CONFLICTS[conflict.reason] ?? "written by others";
    return new WriteConflictError(
      mode.fromWire(conflict.key),
      toBigInt(conflict.conflictTs),
      toBigInt(conflict.conflictCommitTs),
      reason,
    );
  }
  if (alreadyExist !== null) return new KeyExistsError(mode.fromWire(alreadyExist.key));
  if (deadlock !== null) {
    const chain = deadlock.waitChain.map(({ key, txn, waitForTxn }) => ({
      txn: toBigInt(txn),
      waitForTxn: toBigInt(waitForTxn),
      key: mode.fromWire(key),
    }));
    return new DeadlockError(mode.fromWire(deadlock.lockKey), toBigInt(deadlock.lockTs), chain);
  }
  if (assertionFailed !== null) {
    const { assertion, existingCommitTs, key } = assertionFailed;
    const asserted = kvrpcpb.Assertion[assertion] ?? String(assertion);
    return new AssertionFailedError(mode.fromWire(key), asserted, toBigInt(existingCommitTs));
  }
  if (error.txnNotFound !== null) return new TxnNotFoundError(startTs);
  if (error.txnLockNotFound !== null || error.retryable !== "") {
    return new TxnAbortedError(startTs, error.retryable || "its lock is gone");
  }
  if (ABORTED.test(error.abort)) return new TxnAbortedError(startTs, error.abort);
  return other(error, startTs);
}

function other(error: kvrpcpb.KeyError, startTs: bigint): ClientError {
  const field = Object.keys(error).find((name) => error[name as keyof typeof error] !== null);
  const text = error.abort || field || "an empty key error";
  const code: ErrorCode = error.abort === "" ? "RUTILE:Client:Protocol" : "RUTILE:Client:Refused";
  return new ClientError(code, `transaction ${startTs}: ${text}`);
}
