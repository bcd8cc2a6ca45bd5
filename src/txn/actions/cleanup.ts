/**
 * Rolls back one key of a transaction, whether it is locked or not: the one action behind Cleanup,
 * BatchRollback and ResolveLock. Source: tikv src/storage/txn/actions/cleanup.rs.
 */
import { err, ok, type Result } from "../../base/index.js";
import { keyToRaw, LOCK_TYPE, type Lock, tsPhysical } from "../../codec/index.js";
import {
  type MvccReader,
  type MvccTxn,
  type ReleasedLock,
  rollbackLock,
} from "../../mvcc/index.js";
import type { TxnError } from "../errors.js";
import { checkMissingLock } from "./missing_lock.js";

/** Returns whether the time of a lock is over at `currentTs`. */
export function isExpired({ startTs, ttl }: Lock, currentTs: bigint): boolean {
  return tsPhysical(startTs) + ttl < tsPhysical(currentTs);
}

/**
 * Rolls back the transaction of `txn` on an encoded key. Returns the lock that is gone, if there was
 * one. `currentTs` 0n = whatever its TTL. `protectRollback`: the record survives later rollbacks.
 */
export function cleanupKey(
  txn: MvccTxn,
  reader: MvccReader,
  key: Uint8Array,
  currentTs: bigint,
  protectRollback: boolean,
): Result<ReleasedLock | undefined, TxnError> {
  const { startTs } = txn;
  const lock = reader.loadLock(key);
  if (lock !== undefined && lock.startTs === startTs && lock.type !== LOCK_TYPE.shared) {
    if (currentTs !== 0n && !isExpired(lock, currentTs)) {
      return err({ kind: "keyIsLocked", lock: { key: keyToRaw(key), lock } });
    }
    return ok(rollbackLock(txn, reader, key, lock, { collapse: !protectRollback }));
  }
  const action = protectRollback ? "protectedRollback" : "rollback";
  const status = checkMissingLock(txn, reader, key, lock, action, false);
  if (!status.ok) return status;
  if (status.value.type !== "committed") return ok(undefined);
  const { commitTs } = status.value;
  return err({ kind: "committed", startTs, commitTs, key: keyToRaw(key) });
}
