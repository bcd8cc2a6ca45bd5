/**
 * What became of a transaction on a key where its lock is not (or no longer) found, and the rollback
 * that keeps it from being prewritten there later.
 * Source: tikv src/storage/txn/actions/check_txn_status.rs.
 */
import { err, ok, type Result } from "../../base/index.js";
import { keyToRaw, type Lock, WRITE_TYPE } from "../../codec/index.js";
import {
  collapsePrevRollback,
  type MvccReader,
  type MvccTxn,
  makeRollback,
  markRollbackOnMismatchingLock,
  type OverlappedWrite,
} from "../../mvcc/index.js";
import type { TxnError } from "../errors.js";
import type { TxnStatus } from "../requests.js";

export type MissingLockAction = "rollback" | "protectedRollback" | "returnError";

/** What the write CF says; undecided ones come with the commit that has the place of a rollback. */
export type DeterminedStatus =
  | { readonly type: "committed"; readonly commitTs: bigint }
  | { readonly type: "rolledBack" }
  | { readonly type: "undecided"; readonly overlappedWrite: OverlappedWrite | undefined };

/** Reads the fate of the transaction of `txn` on a key; writes nothing. */
export function determinedStatus(
  reader: MvccReader,
  key: Uint8Array,
  startTs: bigint,
): DeterminedStatus {
  const record = reader.getTxnCommitRecord(key, startTs);
  switch (record.type) {
    case "singleRecord":
      if (record.write.type === WRITE_TYPE.rollback) return { type: "rolledBack" };
      return { type: "committed", commitTs: record.commitTs };
    case "overlappedRollback":
      return { type: "rolledBack" };
    case "none":
      return { type: "undecided", overlappedWrite: record.overlappedWrite };
  }
}

/** Returns a decided status as CheckTxnStatus tells it. */
export function txnStatusOf(
  status: Exclude<DeterminedStatus, { readonly type: "undecided" }>,
): TxnStatus {
  if (status.type === "rolledBack") return { type: "rolledBack", action: "noAction" };
  return { type: "committed", commitTs: status.commitTs, action: "noAction" };
}

/**
 * Returns the status of the transaction, and rolls it back if it is undecided and `action` says so.
 * `mismatchLock` is the lock of another transaction that was found instead.
 */
export function checkMissingLock(
  txn: MvccTxn,
  reader: MvccReader,
  key: Uint8Array,
  mismatchLock: Lock | undefined,
  action: MissingLockAction,
  resolvingPessimisticLock: boolean,
): Result<TxnStatus, TxnError> {
  const { startTs } = txn;
  const status = determinedStatus(reader, key, startTs);
  if (status.type !== "undecided") return ok(txnStatusOf(status));
  if (action === "returnError") return err({ kind: "txnNotFound", startTs, key: keyToRaw(key) });
  if (resolvingPessimisticLock) {
    return ok({ type: "lockNotExistDoNothing", action: "lockNotExistDoNothing" });
  }
  const isProtected = action === "protectedRollback";
  if (!isProtected) collapsePrevRollback(txn, reader, key);
  const { overlappedWrite } = status;
  if (mismatchLock !== undefined && overlappedWrite === undefined) {
    markRollbackOnMismatchingLock(txn, key, mismatchLock, isProtected);
  }
  const rollback = makeRollback(startTs, isProtected, overlappedWrite);
  if (rollback !== undefined) txn.putWrite(key, startTs, rollback);
  return ok({ type: "rolledBack", action: "lockNotExistRollback" });
}
