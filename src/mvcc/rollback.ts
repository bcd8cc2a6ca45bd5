/**
 * The records that a rollback writes and removes, shared by all commands that roll back.
 * Source: tikv src/storage/txn/actions/check_txn_status.rs, src/storage/mvcc/txn.rs.
 */
import { assert, equalBytes } from "../base/index.js";
import {
  isProtectedRollback,
  keyToRaw,
  LOCK_TYPE,
  type Lock,
  newRollback,
  WRITE_TYPE,
  type Write,
} from "../codec/index.js";
import type { MvccReader, OverlappedWrite } from "./reader.js";
import type { MvccTxn, ReleasedLock } from "./txn.js";

/**
 * Returns the record to write at `key{startTs}`, undefined = none. Where another commit has that
 * place, a protected rollback becomes a flag of it, with the fence, and an unprotected one is lost.
 */
export function makeRollback(
  startTs: bigint,
  isProtected: boolean,
  overlapped: OverlappedWrite | undefined,
): Write | undefined {
  if (overlapped === undefined) return newRollback(startTs, isProtected);
  const { write, gcFence } = overlapped;
  assert(startTs > write.startTs, "an overlapped commit is of a transaction that began earlier");
  return isProtected ? { ...write, hasOverlappedRollback: true, gcFence } : undefined;
}

/**
 * Removes the newest record up to the transaction's start_ts if it is an unprotected rollback:
 * the rollback that is about to be written stands for it. Keeps a key's rollbacks few.
 */
export function collapsePrevRollback(txn: MvccTxn, reader: MvccReader, key: Uint8Array): void {
  const found = reader.seekWrite(key, txn.startTs);
  if (found === undefined || found.write.type !== WRITE_TYPE.rollback) return;
  if (!isProtectedRollback(found.write)) txn.deleteWrite(key, found.commitTs);
}

/**
 * Notes a protected rollback in the lock of another transaction on the key, if that may commit at
 * this start_ts and so overwrite the rollback's record. Only async commit and 1PC choose a
 * commit_ts that equals the start_ts of another transaction.
 */
export function markRollbackOnMismatchingLock(
  txn: MvccTxn,
  key: Uint8Array,
  lock: Lock,
  isProtected: boolean,
): void {
  assert(lock.startTs !== txn.startTs, "the lock is of another transaction");
  if (!isProtected || !lock.useAsyncCommit || txn.startTs < lock.minCommitTs) return;
  txn.putLock(key, { ...lock, rollbackTs: [...lock.rollbackTs, txn.startTs] });
}

/** Returns whether the rollback of a lock of `key` must survive later rollbacks. */
export function isRollbackProtected(key: Uint8Array, lock: Lock): boolean {
  return lock.generation > 0n || equalBytes(keyToRaw(key), lock.primary);
}

/**
 * Rolls back the transaction's own lock: its long value, its lock, a rollback record.
 * Asserts that the transaction was not committed on this key.
 */
export function rollbackLock(
  txn: MvccTxn,
  reader: MvccReader,
  key: Uint8Array,
  lock: Lock,
  options: { readonly collapse: boolean },
): ReleasedLock {
  const pessimistic = lock.forUpdateTs !== 0n;
  const record = reader.getTxnCommitRecord(key, txn.startTs);
  if (record.type !== "none") {
    const committed = record.type === "singleRecord" && record.write.type !== WRITE_TYPE.rollback;
    assert(!committed, "a transaction that holds a lock is not committed on its key");
    return txn.unlockKey(key, pessimistic, 0n);
  }
  if (lock.type === LOCK_TYPE.put && lock.shortValue === undefined) {
    txn.deleteValue(key, lock.startTs);
  }
  const isProtected = isRollbackProtected(key, lock);
  const rollback = makeRollback(txn.startTs, isProtected, record.overlappedWrite);
  if (rollback !== undefined) txn.putWrite(key, txn.startTs, rollback);
  if (options.collapse) collapsePrevRollback(txn, reader, key);
  return txn.unlockKey(key, pessimistic, 0n);
}
