/**
 * Asks secondaries of an async commit whether they are prewritten: if all are, the transaction is
 * committed. One that is not is rolled back here, so that it never will be.
 * Source: tikv src/storage/txn/commands/check_secondary_locks.rs.
 */
import { keyToRaw, LOCK_TYPE, type Lock } from "../../codec/index.js";
import {
  collapsePrevRollback,
  type MvccReader,
  MvccTxn,
  makeRollback,
  markRollbackOnMismatchingLock,
  type ReleasedLock,
} from "../../mvcc/index.js";
import { type DeterminedStatus, determinedStatus } from "../actions/missing_lock.js";
import type { TxnCommand } from "../command.js";
import type { LockInfo } from "../errors.js";
import type { SecondaryLocksStatus } from "../requests.js";
import { written } from "./outcome.js";
import { withReader } from "./with_reader.js";

export const checkSecondaryLocksCommand: TxnCommand<"checkSecondaryLocks"> = {
  kind: "checkSecondaryLocks",
  tag: "check_secondary_locks",
  latchKeys: ({ request }) => request.keys,
  processWrite({ request: { keys, startTs } }, context) {
    // 1PC and async commit must not choose the place of a protected rollback.
    context.concurrencyManager.updateMaxTs(startTs);
    return withReader(context, (reader) => {
      const txn = new MvccTxn(startTs);
      const released: ReleasedLock[] = [];
      const locks: LockInfo[] = [];
      for (const key of keys) {
        const lock = reader.loadLock(key);
        if (lock !== undefined && isPrewritten(lock, startTs)) {
          locks.push({ key: keyToRaw(key), lock });
          continue;
        }
        const status = decide(txn, reader, key, lock, released);
        const known = status.type === "committed" ? [{ startTs, commitTs: status.commitTs }] : [];
        return written<SecondaryLocksStatus>(txn, status, released, known);
      }
      return written<SecondaryLocksStatus>(txn, { type: "locked", locks });
    });
  },
};

function isPrewritten({ type, startTs }: Lock, txnStartTs: bigint): boolean {
  const isOther = type === LOCK_TYPE.pessimistic || type === LOCK_TYPE.shared;
  return startTs === txnStartTs && !isOther;
}

/** `lock` is a pessimistic lock of the transaction, another transaction's, or none. */
function decide(
  txn: MvccTxn,
  reader: MvccReader,
  key: Uint8Array,
  lock: Lock | undefined,
  released: ReleasedLock[],
): Exclude<SecondaryLocksStatus, { readonly type: "locked" }> {
  const { startTs } = txn;
  const isOwn = lock?.startTs === startTs && lock.type === LOCK_TYPE.pessimistic;
  if (isOwn) released.push(txn.unlockKey(key, true, 0n));
  const status: DeterminedStatus = determinedStatus(reader, key, startTs);
  if (status.type !== "undecided") return status;
  if (lock !== undefined && !isOwn && lock.type !== LOCK_TYPE.shared) {
    markRollbackOnMismatchingLock(txn, key, lock, true);
  }
  const rollback = makeRollback(startTs, true, status.overlappedWrite);
  if (rollback !== undefined) {
    txn.putWrite(key, startTs, rollback);
    collapsePrevRollback(txn, reader, key);
  }
  return { type: "rolledBack" };
}
