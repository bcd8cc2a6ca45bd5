/**
 * Step B of a prewrite: nothing was committed above what the transaction has seen, and an insert
 * finds no value. Source: tikv src/storage/txn/actions/{prewrite,check_data_constraint}.rs.
 */
import { err, ok, type Result } from "../../base/index.js";
import { keyToRaw, TS_MAX, WRITE_TYPE } from "../../codec/index.js";
import { isFenceValid, type MvccReader, type Version } from "../../mvcc/index.js";
import type { TxnError, WriteConflictReason } from "../errors.js";
import { LAST_CHANGE_NONE, nextLastChange } from "./last_change.js";
import { isPessimistic, lockNotFound, type PrewriteKey, shouldNotExist } from "./prewrite_state.js";

/** Whether step B may be left out for this key. */
export function skipsConstraintCheck({ props, mutation }: PrewriteKey): boolean {
  if (!isPessimistic(props)) return props.skipConstraintCheck;
  switch (mutation.pessimisticAction) {
    case "doPessimisticCheck":
      return true;
    // A key without a lock of its own: a late duplicate of a committed prewrite must be noticed.
    case "skipPessimisticCheck":
      return !props.isRetryRequest;
    case "doConstraintCheck":
      return false;
  }
}

/** Returns the newest record that counts, or what forbids the prewrite. Notes the last change. */
export function checkNewerVersion(
  reader: MvccReader,
  key: PrewriteKey,
): Result<Version | undefined, TxnError> {
  const { mutation, props } = key;
  let newest = true;
  for (let seekTs = TS_MAX; ; ) {
    const found = reader.seekWrite(mutation.key, seekTs);
    if (found === undefined) {
      if (newest) key.lastChange = LAST_CHANGE_NONE;
      return ok(undefined);
    }
    const { commitTs, write } = found;
    const isRollback = write.type === WRITE_TYPE.rollback;
    if (commitTs === props.startTs && (isRollback || write.hasOverlappedRollback)) {
      return writeConflict(key, found, "selfRolledBack");
    }
    if (newest) key.lastChange = nextLastChange(reader, mutation.key, found, props.startTs);
    newest = false;
    const reason = conflictReason(key);
    if (reason !== undefined && commitTs > props.startTs) return writeConflict(key, found, reason);
    if (isPessimistic(props) && commitTs > props.forUpdateTs) {
      if (!isRollback) return lockNotFound(key, "nonLockKeyConflict");
      // Rollbacks come on keys that the transaction locks elsewhere; they say nothing of data.
      seekTs = commitTs - 1n;
      continue;
    }
    if (!shouldNotExist(mutation)) return ok(found);
    const constraint = checkDataConstraint(reader, mutation.key, found, props.startTs);
    return constraint.ok ? ok(found) : constraint;
  }
}

/** Returns why a newer version is a conflict; undefined when it is judged by for_update_ts. */
function conflictReason({ props, mutation }: PrewriteKey): WriteConflictReason | undefined {
  if (!isPessimistic(props)) return "optimistic";
  return mutation.pessimisticAction === "doConstraintCheck" ? "lazyUniquenessCheck" : undefined;
}

function writeConflict(
  { props, mutation }: PrewriteKey,
  { commitTs, write }: Version,
  reason: WriteConflictReason,
): { readonly ok: false; readonly error: TxnError } {
  return err({
    kind: "writeConflict",
    startTs: props.startTs,
    conflictStartTs: write.startTs,
    conflictCommitTs: commitTs,
    key: keyToRaw(mutation.key),
    primary: props.primary,
    reason,
  });
}

/**
 * Judges that a key must have no value, by its newest record. A fenced one was the newest version
 * when it was rewritten and has been deleted since, whatever the time of the fence.
 */
export function checkDataConstraint(
  reader: MvccReader,
  key: Uint8Array,
  { commitTs, write }: Version,
  startTs: bigint,
): Result<void, TxnError> {
  if (write.type === WRITE_TYPE.delete || !isFenceValid(write, TS_MAX)) return ok(undefined);
  const exists =
    write.type === WRITE_TYPE.put ||
    (commitTs > 0n && reader.getWrite(key, commitTs - 1n, startTs) !== undefined);
  return exists ? err({ kind: "alreadyExist", key: keyToRaw(key) }) : ok(undefined);
}
