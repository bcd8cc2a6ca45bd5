/**
 * Errors of transactional commands as kvrpcpb.KeyError, which clients act on: a locked key is resolved,
 * a conflict begins the transaction anew, `abort` gives up. One field is set, but for a conflict and
 * a missing lock, which old clients know by the text alone. Region errors are error_map.ts's.
 * Source: tikv src/storage/errors.rs extract_key_error.
 */
import { LOCK_TYPE, type LockType } from "../codec/index.js";
import { fromBigInt, kvrpcpb } from "../pb/index.js";
import type { LockInfo, TxnError, TxnErrorOf } from "../txn/index.js";
import { waitForEntryToProto } from "./deadlock_messages.js";
import { txnErrorText } from "./txn_error_text.js";

const { Op, Assertion } = kvrpcpb;
const { Reason } = kvrpcpb.WriteConflict;

const REASONS = {
  optimistic: Reason.Optimistic,
  pessimisticRetry: Reason.PessimisticRetry,
  selfRolledBack: Reason.SelfRolledBack,
  rcCheckTs: Reason.RcCheckTs,
  lazyUniquenessCheck: Reason.LazyUniquenessCheck,
  notLockedKeyConflict: Reason.NotLockedKeyConflict,
} as const;

const ASSERTIONS = {
  none: Assertion.None,
  exist: Assertion.Exist,
  notExist: Assertion.NotExist,
} as const;

/** Returns the Op by which a lock's type is told. */
export function lockTypeToProto(type: LockType): number {
  switch (type) {
    case LOCK_TYPE.put:
      return Op.Put;
    case LOCK_TYPE.delete:
      return Op.Del;
    case LOCK_TYPE.lock:
      return Op.Lock;
    case LOCK_TYPE.pessimistic:
      return Op.PessimisticLock;
    default:
      return Op.SharedLock;
  }
}

/** Returns the kvrpcpb.LockInfo that says the same. */
export function lockInfoToProto(info: LockInfo): kvrpcpb.ILockInfo {
  const { key, lock, ttlOverride, sinceUpdateMs } = info;
  if (lock.type === LOCK_TYPE.shared) {
    // As TiKV tells it: nothing of its own but the locks that it is made of.
    const sharedLockInfos = (lock.sharedBy ?? []).map((one) => lockInfoToProto({ key, lock: one }));
    return { key, lockType: Op.SharedLock, sharedLockInfos };
  }
  return {
    primaryLock: lock.primary,
    lockVersion: fromBigInt(lock.startTs),
    key,
    lockTtl: fromBigInt(ttlOverride ?? lock.ttl),
    txnSize: fromBigInt(lock.txnSize),
    lockType: lockTypeToProto(lock.type),
    lockForUpdateTs: fromBigInt(lock.forUpdateTs),
    useAsyncCommit: lock.useAsyncCommit,
    minCommitTs: fromBigInt(lock.minCommitTs),
    secondaries: lock.secondaries,
    durationToLastUpdateMs: Math.trunc(sinceUpdateMs ?? 0),
  };
}

function conflictToProto(error: TxnErrorOf<"writeConflict">): kvrpcpb.IWriteConflict {
  return {
    startTs: fromBigInt(error.startTs),
    conflictTs: fromBigInt(error.conflictStartTs),
    conflictCommitTs: fromBigInt(error.conflictCommitTs),
    key: error.key,
    primary: error.primary,
    reason: REASONS[error.reason],
  };
}

function deadlockToProto(error: TxnErrorOf<"deadlock">): kvrpcpb.IDeadlock {
  return {
    lockTs: fromBigInt(error.lockTs),
    lockKey: error.lockKey,
    deadlockKeyHash: fromBigInt(error.deadlockKeyHash),
    waitChain: error.waitChain.map(waitForEntryToProto),
  };
}

function assertionToProto(error: TxnErrorOf<"assertionFailed">): kvrpcpb.IAssertionFailed {
  return {
    startTs: fromBigInt(error.startTs),
    key: error.key,
    assertion: ASSERTIONS[error.assertion],
    existingStartTs: fromBigInt(error.existingStartTs),
    existingCommitTs: fromBigInt(error.existingCommitTs),
  };
}

function expiredToProto(error: TxnErrorOf<"commitTsExpired">): kvrpcpb.ICommitTsExpired {
  return {
    startTs: fromBigInt(error.startTs),
    attemptedCommitTs: fromBigInt(error.commitTs),
    key: error.key,
    minCommitTs: fromBigInt(error.minCommitTs),
  };
}

/** Returns the kvrpcpb.KeyError that says the same; what has no field of its own is `abort`. */
export function keyErrorToProto(error: TxnError): kvrpcpb.IKeyError {
  switch (error.kind) {
    case "keyIsLocked":
      return { locked: lockInfoToProto(error.lock) };
    case "writeConflict":
      return { conflict: conflictToProto(error), retryable: txnErrorText(error) };
    case "alreadyExist":
      return { alreadyExist: { key: error.key } };
    case "txnLockNotFound":
      return { retryable: txnErrorText(error), txnLockNotFound: { key: error.key } };
    case "txnNotFound":
      return { txnNotFound: { startTs: fromBigInt(error.startTs), primaryKey: error.key } };
    case "deadlock":
      return { deadlock: deadlockToProto(error) };
    case "commitTsExpired":
      return { commitTsExpired: expiredToProto(error) };
    case "commitTsTooLarge":
      return { commitTsTooLarge: { commitTs: fromBigInt(error.minCommitTs) } };
    case "assertionFailed":
      return { assertionFailed: assertionToProto(error) };
    case "primaryMismatch":
      return { primaryMismatch: { lockInfo: lockInfoToProto(error.lock) } };
    default:
      return { abort: txnErrorText(error) };
  }
}
