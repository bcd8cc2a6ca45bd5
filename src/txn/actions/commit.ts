/**
 * Commits one key: its lock becomes a record of the write CF.
 * Source: tikv src/storage/txn/actions/commit.rs.
 */
import { err, ok, type Result } from "../../base/index.js";
import { keyToRaw, LOCK_TYPE, newWrite } from "../../codec/index.js";
import type { MvccReader, MvccTxn, ReleasedLock } from "../../mvcc/index.js";
import type { TxnError } from "../errors.js";
import { committedTsOf } from "./committed_record.js";
import { writeTypeOf } from "./prewrite_txn.js";

/**
 * Commits an encoded key of `txn`. Returns the lock that is gone; undefined: it was committed
 * before. A pessimistic lock is removed without a record: it was left behind by a lost request.
 */
export function commitKey(
  txn: MvccTxn,
  reader: MvccReader,
  key: Uint8Array,
  commitTs: bigint,
): Result<ReleasedLock | undefined, TxnError> {
  const { startTs } = txn;
  const lock = reader.loadLock(key);
  if (lock === undefined || lock.type === LOCK_TYPE.shared || lock.startTs !== startTs) {
    if (committedTsOf(reader, key, startTs) !== undefined) return ok(undefined);
    return err({ kind: "txnLockNotFound", startTs, commitTs, key: keyToRaw(key) });
  }
  const { minCommitTs, shortValue, lastChange, txnSource } = lock;
  if (commitTs < minCommitTs) {
    return err({ kind: "commitTsExpired", startTs, commitTs, key: keyToRaw(key), minCommitTs });
  }
  const pessimistic = lock.forUpdateTs !== 0n;
  if (lock.type === LOCK_TYPE.pessimistic) return ok(txn.unlockKey(key, pessimistic, 0n));
  const hasOverlappedRollback = lock.rollbackTs.includes(commitTs);
  const type = writeTypeOf(lock);
  const fields = { type, startTs, shortValue, lastChange, txnSource, hasOverlappedRollback };
  txn.putWrite(key, commitTs, newWrite(fields));
  return ok(txn.unlockKey(key, pessimistic, commitTs));
}
