/**
 * Locks keys for a pessimistic transaction: all of a request, or none and the one that blocks is
 * waited for. Source: tikv src/storage/txn/commands/acquire_pessimistic_lock.rs.
 */
import { err, ok, type Result } from "../../base/index.js";
import { keyToRaw, type Lock } from "../../codec/index.js";
import { type KeyedLock, type MvccReader, MvccTxn } from "../../mvcc/index.js";
import { acquirePessimisticLock } from "../actions/acquire_pessimistic_lock.js";
import type { ProcessOutcome, TxnCommand } from "../command.js";
import type { TxnError } from "../errors.js";
import type { AcquirePessimisticLockRequest, PessimisticLockKeyResult } from "../requests.js";
import { written } from "./outcome.js";
import { withReader } from "./with_reader.js";

const MULTIPLE_KEYS =
  "multiple keys in a single request with allowed_lock_with_conflict set is not allowed";

export const acquirePessimisticLockCommand: TxnCommand<"acquirePessimisticLock"> = {
  kind: "acquirePessimisticLock",
  tag: "acquire_pessimistic_lock",
  latchKeys: ({ request }) => request.keys.map(({ key }) => key),
  processWrite({ request }, context) {
    const { keys, startTs, forUpdateTs } = request;
    if (request.allowLockWithConflict && keys.length > 1) {
      return err({ kind: "invalidRequest", message: MULTIPLE_KEYS });
    }
    const first = keys[0];
    if (request.lockOnlyIfExists && !request.returnValues && first !== undefined) {
      return err({ kind: "lockIfExistsFailed", startTs, key: keyToRaw(first.key) });
    }
    // What is read at for_update_ts must not change below it.
    const reads = request.returnValues || request.checkExistence;
    if (reads || keys.some(({ shouldNotExist }) => shouldNotExist)) {
      context.concurrencyManager.updateMaxTs(forUpdateTs);
    }
    return withReader(context, (reader) => lockAll(reader, request));
  },
};

function lockAll(
  reader: MvccReader,
  request: AcquirePessimisticLockRequest,
): Result<ProcessOutcome<"acquirePessimisticLock">, TxnError> {
  const txn = new LockingTxn(request.startTs);
  const results: PessimisticLockKeyResult[] = [];
  for (const key of request.keys) {
    const result = acquirePessimisticLock(txn, reader, request, key);
    if (result.ok) {
      results.push(result.value);
    } else if (result.error.kind === "keyIsLocked" && request.waitTimeoutMs >= 0) {
      return ok({ type: "wait", lock: result.error.lock, key: key.key });
    } else if (result.error.kind === "keyIsLocked" && request.allowLockWithConflict) {
      results.push({ type: "failed", error: result.error });
    } else {
      return result;
    }
  }
  const { value: outcome } = written(txn, { results });
  const pessimisticLocks = txn.locks;
  return ok({ ...outcome, policy: "onProposed", frees: false, pessimisticLocks });
}

/** Locks are all that a pessimistic lock request writes; it keeps them beside their records. */
class LockingTxn extends MvccTxn {
  readonly locks: KeyedLock[] = [];

  override putLock(key: Uint8Array, lock: Lock): void {
    super.putLock(key, lock);
    this.locks.push({ key, lock });
  }
}
