/**
 * Locks one key for a pessimistic transaction, and reads it if asked. Such a transaction reads the
 * newest committed version, at for_update_ts, whatever its start_ts.
 * Source: tikv src/storage/txn/actions/acquire_pessimistic_lock.rs.
 */
import { err, ok, type Result } from "../../base/index.js";
import {
  keyToRaw,
  type LastChange,
  LOCK_TYPE,
  type Lock,
  newLock,
  TS_MAX,
  WRITE_TYPE,
} from "../../codec/index.js";
import { isFenceValid, type MvccReader, type MvccTxn, type Version } from "../../mvcc/index.js";
import type { TxnError } from "../errors.js";
import type { AcquirePessimisticLockRequest, PessimisticLockKeyResult } from "../requests.js";
import { checkDataConstraint } from "./constraint.js";
import { LAST_CHANGE_NONE, nextLastChange } from "./last_change.js";

/** One key of a request. */
export interface LockedKey {
  /** Encoded. */
  readonly key: Uint8Array;
  readonly shouldNotExist: boolean;
}

type KeyResult = Result<PessimisticLockKeyResult, TxnError>;

/** Writes the lock of a key into `txn`, if it is to be had. `request` says for whom and how. */
export function acquirePessimisticLock(
  txn: MvccTxn,
  reader: MvccReader,
  request: AcquirePessimisticLockRequest,
  locked: LockedKey,
): KeyResult {
  const { key } = locked;
  const { startTs } = request;
  const lock = reader.loadLock(key);
  if (lock !== undefined) {
    const userKey = keyToRaw(key);
    if (lock.startTs !== startTs || lock.type === LOCK_TYPE.shared) {
      return err({ kind: "keyIsLocked", lock: { key: userKey, lock } });
    }
    if (lock.type === LOCK_TYPE.pessimistic) return lockAgain(txn, reader, request, locked, lock);
    return err({ kind: "lockTypeNotMatch", startTs, key: userKey, pessimistic: false });
  }
  const newest = reader.seekWrite(key, TS_MAX);
  if (newest === undefined) {
    const target = { forUpdateTs: request.forUpdateTs, lastChange: LAST_CHANGE_NONE };
    return lockNew(txn, request, key, target, undefined, undefined);
  }
  const conflict = newest.commitTs > request.forUpdateTs ? newest : undefined;
  if (conflict !== undefined && !request.allowLockWithConflict) {
    return conflictError(request, key, conflict);
  }
  if (isRolledBack(reader, key, newest, startTs)) {
    return err({ kind: "pessimisticLockRolledBack", startTs, key: keyToRaw(key) });
  }
  if (locked.shouldNotExist) {
    const checked = checkDataConstraint(reader, key, newest, startTs);
    // The client judged by an older version: it is to look again.
    if (!checked.ok)
      return conflict === undefined ? checked : conflictError(request, key, conflict);
  }
  const lastChange = nextLastChange(reader, key, newest, startTs);
  const forUpdateTs = conflict === undefined ? request.forUpdateTs : conflict.commitTs;
  const value = readNewest(reader, request, key, newest, conflict !== undefined);
  return lockNew(txn, request, key, { forUpdateTs, lastChange }, conflict, value);
}

/** A lock that this transaction holds already: only a newer for_update_ts changes it. */
function lockAgain(
  txn: MvccTxn,
  reader: MvccReader,
  request: AcquirePessimisticLockRequest,
  { key, shouldNotExist }: LockedKey,
  held: Lock,
): KeyResult {
  const isOlder = request.allowLockWithConflict && request.forUpdateTs < held.forUpdateTs;
  const forUpdateTs = isOlder ? held.forUpdateTs : request.forUpdateTs;
  const needsValue = request.returnValues || isOlder;
  let value: Uint8Array | undefined;
  if (needsValue || request.checkExistence || shouldNotExist) {
    const found = reader.getWrite(key, forUpdateTs);
    if (found !== undefined) {
      if (shouldNotExist && found.commitTs > request.forUpdateTs) {
        return conflictError(request, key, found);
      }
      if (shouldNotExist) return err({ kind: "alreadyExist", key: keyToRaw(key) });
      value = needsValue ? reader.loadData(key, found.write) : EXISTS;
    }
  }
  if (request.forUpdateTs > held.forUpdateTs) {
    const { lastChange, isLockedWithConflict } = held;
    txn.putLock(key, lockOf(request, { forUpdateTs, lastChange, isLockedWithConflict }));
  }
  return ok(resultOf(request, isOlder ? held.forUpdateTs : undefined, value));
}

function lockNew(
  txn: MvccTxn,
  request: AcquirePessimisticLockRequest,
  key: Uint8Array,
  target: { readonly forUpdateTs: bigint; readonly lastChange: LastChange },
  conflict: Version | undefined,
  value: Uint8Array | undefined,
): KeyResult {
  if (!request.lockOnlyIfExists || value !== undefined) {
    const isLockedWithConflict = conflict !== undefined;
    txn.putLock(key, lockOf(request, { ...target, isLockedWithConflict }));
  } else if (conflict !== undefined) {
    return conflictError(request, key, conflict);
  }
  return ok(resultOf(request, conflict?.commitTs, value));
}

/**
 * Whether the transaction was rolled back on this key. Its record is at start_ts; the newest one
 * may be above, as others commit while it waits.
 */
function isRolledBack(
  reader: MvccReader,
  key: Uint8Array,
  newest: Version,
  startTs: bigint,
): boolean {
  const found = newest.commitTs > startTs ? reader.seekWrite(key, startTs) : newest;
  if (found?.commitTs !== startTs) return false;
  return found.write.type === WRITE_TYPE.rollback || found.write.hasOverlappedRollback;
}

/** Stands for a value that nobody asked for. */
const EXISTS = new Uint8Array(0);

/** Returns the newest value, or EXISTS where its existence is all that is asked. */
function readNewest(
  reader: MvccReader,
  { returnValues, checkExistence }: AcquirePessimisticLockRequest,
  key: Uint8Array,
  { commitTs, write }: Version,
  isConflict: boolean,
): Uint8Array | undefined {
  const needsValue = returnValues || isConflict;
  if (!needsValue && !checkExistence) return undefined;
  const isData = write.type === WRITE_TYPE.put || write.type === WRITE_TYPE.delete;
  let data: Version["write"] | undefined;
  if (!isData) data = commitTs > 0n ? reader.getWrite(key, commitTs - 1n)?.write : undefined;
  else if (write.type === WRITE_TYPE.put && isFenceValid(write, TS_MAX)) data = write;
  if (data === undefined) return undefined;
  return needsValue ? reader.loadData(key, data) : EXISTS;
}

function lockOf(
  { primary, startTs, lockTtlMs, minCommitTs }: AcquirePessimisticLockRequest,
  fields: Pick<Lock, "forUpdateTs" | "lastChange" | "isLockedWithConflict">,
): Lock {
  const type = LOCK_TYPE.pessimistic;
  return newLock({ type, primary, startTs, ttl: lockTtlMs, minCommitTs, ...fields });
}

function resultOf(
  { returnValues, checkExistence }: AcquirePessimisticLockRequest,
  conflictTs: bigint | undefined,
  value: Uint8Array | undefined,
): PessimisticLockKeyResult {
  if (conflictTs !== undefined) return { type: "lockedWithConflict", value, conflictTs };
  if (returnValues) return { type: "value", value };
  if (checkExistence) return { type: "existence", exists: value !== undefined };
  return { type: "empty" };
}

function conflictError(
  { startTs, primary }: AcquirePessimisticLockRequest,
  key: Uint8Array,
  { commitTs, write }: Version,
): { readonly ok: false; readonly error: TxnError } {
  return err({
    kind: "writeConflict",
    startTs,
    conflictStartTs: write.startTs,
    conflictCommitTs: commitTs,
    key: keyToRaw(key),
    primary,
    reason: "pessimisticRetry",
  });
}
