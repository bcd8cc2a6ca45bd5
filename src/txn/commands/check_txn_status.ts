/**
 * Asks a primary what became of its transaction, and may roll it back or push its min_commit_ts.
 * Source: tikv src/storage/txn/commands/check_txn_status.rs.
 */
import { err, ok, type Result } from "../../base/index.js";
import { keyToRaw, LOCK_TYPE } from "../../codec/index.js";
import { type MvccReader, MvccTxn } from "../../mvcc/index.js";
import { type CheckedTxn, checkLockExists } from "../actions/check_txn_status.js";
import { checkMissingLock } from "../actions/missing_lock.js";
import type { TxnCommand } from "../command.js";
import type { TxnError } from "../errors.js";
import type { CheckTxnStatusRequest } from "../requests.js";
import { written } from "./outcome.js";
import { withReader } from "./with_reader.js";

export const checkTxnStatusCommand: TxnCommand<"checkTxnStatus"> = {
  kind: "checkTxnStatus",
  tag: "check_txn_status",
  latchKeys: ({ request }) => [request.primaryKey],
  processWrite({ request }, context) {
    // 1PC and async commit must not choose a commit_ts that a rollback record has taken, nor one
    // below what the caller goes on to read.
    for (const ts of [request.lockTs, request.currentTs, request.callerStartTs]) {
      context.concurrencyManager.updateMaxTs(ts);
    }
    return withReader(context, (reader) => {
      const txn = new MvccTxn(request.lockTs);
      const checked = check(txn, reader, request);
      if (!checked.ok) return checked;
      const { status, released } = checked.value;
      const startTs = request.lockTs;
      const known = status.type === "committed" ? [{ startTs, commitTs: status.commitTs }] : [];
      return written(txn, status, [released], known);
    });
  },
};

function check(
  txn: MvccTxn,
  reader: MvccReader,
  request: CheckTxnStatusRequest,
): Result<CheckedTxn, TxnError> {
  const { primaryKey: key, rollbackIfNotExist, resolvingPessimisticLock } = request;
  const lock = reader.loadLock(key);
  if (lock?.type === LOCK_TYPE.shared) {
    return err({ kind: "primaryMismatch", lock: { key: keyToRaw(key), lock } });
  }
  if (lock?.startTs === request.lockTs) return checkLockExists(txn, reader, request, lock);
  const action = rollbackIfNotExist ? "protectedRollback" : "returnError";
  const status = checkMissingLock(txn, reader, key, lock, action, resolvingPessimisticLock);
  return status.ok ? ok({ status: status.value, released: undefined }) : status;
}
