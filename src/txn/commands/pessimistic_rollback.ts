/**
 * Gives back pessimistic locks, up to a for_update_ts: a statement was undone. No record is left,
 * the transaction goes on. Without keys: all of the transaction in the region.
 * Source: tikv src/storage/txn/commands/pessimistic_rollback{,_read_phase}.rs.
 */
import { ok } from "../../base/index.js";
import { LOCK_TYPE, type Lock } from "../../codec/index.js";
import { MvccTxn, type ReleasedLock } from "../../mvcc/index.js";
import type { ProcessOutcome, TxnCommand } from "../command.js";
import type { PessimisticRollbackRequest } from "../requests.js";
import { written } from "./outcome.js";
import { scanLockedKeys } from "./scan_locks.js";
import { withReader } from "./with_reader.js";

export const pessimisticRollbackCommand: TxnCommand<"pessimisticRollback"> = {
  kind: "pessimisticRollback",
  tag: "pessimistic_rollback",
  latchKeys: ({ request, scannedKeys }) => scannedKeys ?? request.keys,
  scan(state, context) {
    return scanLockedKeys(state, context, (lock) => isMeant(lock, state.request));
  },
  processWrite({ request, scannedKeys, resumeKey }, context) {
    return withReader<ProcessOutcome<"pessimisticRollback">>(context, (reader) => {
      const txn = new MvccTxn(request.startTs);
      const released: ReleasedLock[] = [];
      for (const key of scannedKeys ?? request.keys) {
        const lock = reader.loadLock(key);
        if (lock === undefined || !isMeant(lock, request)) continue;
        released.push(txn.unlockKey(key, true, 0n));
      }
      if (resumeKey === undefined) return written(txn, undefined, released);
      const { modifies } = txn;
      const next = { request, resumeKey };
      return ok({ type: "continue", modifies, released, knownStatus: [], next });
    });
  },
};

function isMeant(lock: Lock, { startTs, forUpdateTs }: PessimisticRollbackRequest): boolean {
  const isOwn = lock.startTs === startTs && lock.type === LOCK_TYPE.pessimistic;
  return isOwn && lock.forUpdateTs <= forUpdateTs;
}
