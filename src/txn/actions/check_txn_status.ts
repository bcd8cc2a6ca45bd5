/**
 * The fate of a transaction by the lock on its primary: alive, to be rolled back, or moved out of a
 * reader's way. Without a lock: missing_lock.ts.
 * Source: tikv src/storage/txn/actions/check_txn_status.rs.
 */
import { equalBytes, err, ok, type Result } from "../../base/index.js";
import { keyToRaw, LOCK_TYPE, type Lock, TS_MAX } from "../../codec/index.js";
import {
  type MvccReader,
  type MvccTxn,
  type ReleasedLock,
  rollbackLock,
} from "../../mvcc/index.js";
import type { TxnError } from "../errors.js";
import type { CheckTxnStatusRequest, TxnStatus } from "../requests.js";
import { isExpired } from "./cleanup.js";
import { checkMissingLock, determinedStatus, txnStatusOf } from "./missing_lock.js";

export interface CheckedTxn {
  readonly status: TxnStatus;
  readonly released: ReleasedLock | undefined;
}

/** Judges the transaction by its lock on the key of the request. */
export function checkLockExists(
  txn: MvccTxn,
  reader: MvccReader,
  request: CheckTxnStatusRequest,
  lock: Lock,
): Result<CheckedTxn, TxnError> {
  const { primaryKey: key } = request;
  if (request.verifyIsPrimary && !equalBytes(keyToRaw(key), lock.primary)) {
    return checkNotPrimary(txn, reader, request, lock);
  }
  // Only ResolveLock ends an async commit: it asks the secondaries first.
  if (lock.useAsyncCommit && !request.forceSyncCommit) {
    return ok({ status: uncommitted(key, lock, false), released: undefined });
  }
  if (lock.type === LOCK_TYPE.pessimistic) {
    const ended = endPessimistic(txn, reader, request, lock);
    if (ended !== undefined) return ok(ended);
  } else if (isExpired(lock, request.currentTs)) {
    const released = rollbackLock(txn, reader, key, lock, { collapse: true });
    return ok({ status: { type: "rolledBack", action: "ttlExpireRollback" }, released });
  }
  return ok({ status: pushMinCommitTs(txn, request, lock), released: undefined });
}

/**
 * The lock names another primary. A prewritten lock names the true one, so a pessimistic lock that
 * disagrees was left behind by a statement that was given up; otherwise the caller must look there.
 */
function checkNotPrimary(
  txn: MvccTxn,
  reader: MvccReader,
  { primaryKey: key, resolvingPessimisticLock, rollbackIfNotExist }: CheckTxnStatusRequest,
  lock: Lock,
): Result<CheckedTxn, TxnError> {
  if (resolvingPessimisticLock || lock.type !== LOCK_TYPE.pessimistic) {
    return err({ kind: "primaryMismatch", lock: { key: keyToRaw(key), lock } });
  }
  const action = rollbackIfNotExist ? "protectedRollback" : "returnError";
  const status = checkMissingLock(txn, reader, key, undefined, action, resolvingPessimisticLock);
  if (!status.ok) return status;
  return ok({ status: status.value, released: txn.unlockKey(key, true, 0n) });
}

/** Returns undefined while a pessimistic lock lives. */
function endPessimistic(
  txn: MvccTxn,
  reader: MvccReader,
  { primaryKey: key, currentTs, resolvingPessimisticLock }: CheckTxnStatusRequest,
  lock: Lock,
): CheckedTxn | undefined {
  if (lock.isLockedWithConflict) {
    // A force-lock request that was repeated late may have locked a key of an ended transaction.
    const determined = determinedStatus(reader, key, txn.startTs);
    if (determined.type !== "undecided") {
      return { status: txnStatusOf(determined), released: txn.unlockKey(key, true, 0n) };
    }
  }
  if (!isExpired(lock, currentTs)) return undefined;
  if (resolvingPessimisticLock) {
    // No record: the transaction may go on, and choose another primary.
    const released = txn.unlockKey(key, true, 0n);
    const action = "ttlExpirePessimisticRollback";
    return { status: { type: "pessimisticRolledBack", action }, released };
  }
  const released = rollbackLock(txn, reader, key, lock, { collapse: true });
  return { status: { type: "rolledBack", action: "ttlExpireRollback" }, released };
}

/** Lets the caller read past the locks of the transaction: it cannot commit below what is pushed. */
function pushMinCommitTs(
  txn: MvccTxn,
  { primaryKey: key, callerStartTs, currentTs }: CheckTxnStatusRequest,
  lock: Lock,
): TxnStatus {
  // A newest read waits for nobody's commit: it passes the lock without a push.
  if (callerStartTs === TS_MAX) return uncommitted(key, lock, true);
  let pushed = lock;
  // A lock without min_commit_ts is of a client that would not know what to do with one.
  if (lock.minCommitTs !== 0n && callerStartTs >= lock.minCommitTs) {
    const next = callerStartTs + 1n;
    pushed = { ...lock, minCommitTs: next < currentTs ? currentTs : next };
    txn.putLock(key, pushed);
  }
  return uncommitted(key, pushed, callerStartTs !== 0n && pushed.minCommitTs > callerStartTs);
}

function uncommitted(key: Uint8Array, lock: Lock, isPushed: boolean): TxnStatus {
  const action = isPushed ? "minCommitTsPushed" : "noAction";
  return { type: "uncommitted", lock: { key: keyToRaw(key), lock }, action };
}
