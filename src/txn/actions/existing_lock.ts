/**
 * Step A of a prewrite: the lock that is on the key already.
 * Source: tikv src/storage/txn/actions/prewrite.rs check_lock, amend_pessimistic_lock.
 */
import { err, ok, type Result } from "../../base/index.js";
import { keyToRaw, LOCK_TYPE, type Lock, TS_MAX } from "../../codec/index.js";
import type { MvccReader } from "../../mvcc/index.js";
import type { LockInfo, TxnError } from "../errors.js";
import { checkAssertion } from "./assertion.js";
import { LAST_CHANGE_NONE, nextLastChange } from "./last_change.js";
import { isPessimistic, lockNotFound, type PrewriteKey, shouldNotExist } from "./prewrite_state.js";

/**
 * none: no lock; pessimistic: mine, to be overwritten; amended: mine was lost and nothing has
 * happened since; duplicate: this key was prewritten before.
 */
export type LockStatus =
  | { readonly type: "none" | "pessimistic" | "amended" }
  /** 0n: not an async commit, or no longer. */
  | { readonly type: "duplicate"; readonly minCommitTs: bigint };

/** Judges the lock on the key; raises TTL and timestamps of `key` to those of my pessimistic lock. */
export function checkExistingLock(
  reader: MvccReader,
  key: PrewriteKey,
): Result<LockStatus, TxnError> {
  const { mutation, props } = key;
  const lock = reader.loadLock(mutation.key);
  const mustHold = isPessimistic(props) && mutation.pessimisticAction === "doPessimisticCheck";
  if (lock === undefined) return mustHold ? amend(reader, key) : ok({ type: "none" });
  if (lock.type === LOCK_TYPE.shared) return keyIsLocked(key, lock);
  if (lock.startTs !== props.startTs) {
    return mustHold ? lockNotFound(key, "lockTsMismatch") : keyIsLocked(key, lock);
  }
  key.lastChange = lock.lastChange;
  return lock.type === LOCK_TYPE.pessimistic ? overwrite(key, lock) : duplicate(key, lock);
}

function keyIsLocked(
  { mutation, props }: PrewriteKey,
  lock: Lock,
): { readonly ok: false; readonly error: TxnError } {
  const info: LockInfo = { key: keyToRaw(mutation.key), lock };
  // Rows are locked before; what is met here is an index, and its lock is resolved at once.
  const told = isPessimistic(props) ? { ...info, ttlOverride: 0n } : info;
  return err({ kind: "keyIsLocked", lock: told });
}

function overwrite(key: PrewriteKey, lock: Lock): Result<LockStatus, TxnError> {
  const { mutation, props } = key;
  if (!isPessimistic(props)) {
    const { startTs } = props;
    const userKey = keyToRaw(mutation.key);
    return err({ kind: "lockTypeNotMatch", startTs, key: userKey, pessimistic: true });
  }
  const expected = mutation.expectedForUpdateTs;
  if (expected !== 0n && lock.forUpdateTs !== expected) {
    return lockNotFound(key, "lockForUpdateTsMismatch");
  }
  key.lockTtlMs = larger(key.lockTtlMs, lock.ttl);
  key.minCommitTs = larger(key.minCommitTs, lock.minCommitTs);
  key.forUpdateTs = larger(key.forUpdateTs, lock.forUpdateTs);
  return ok({ type: "pessimistic" });
}

function duplicate({ mutation }: PrewriteKey, lock: Lock): Result<LockStatus, TxnError> {
  // Flushed locks (generation > 0) are met, never made: see README.
  if (lock.generation > 0n && shouldNotExist(mutation) && lock.type === LOCK_TYPE.put) {
    return err({ kind: "alreadyExist", key: keyToRaw(mutation.key) });
  }
  return ok({ type: "duplicate", minCommitTs: lock.useAsyncCommit ? lock.minCommitTs : 0n });
}

/**
 * A pessimistic lock can be lost: it is answered before it is durable. If nothing was written
 * since, the key is prewritten as if the lock were there. The lock's for_update_ts is not known;
 * it was start_ts or above, so start_ts is what newer writes are measured by.
 */
function amend(reader: MvccReader, key: PrewriteKey): Result<LockStatus, TxnError> {
  const { mutation, props } = key;
  const newest = reader.seekWrite(mutation.key, TS_MAX);
  if (newest === undefined) {
    key.lastChange = LAST_CHANGE_NONE;
  } else {
    if (newest.commitTs >= props.startTs) return lockNotFound(key, "lockMissingAmendFail");
    key.lastChange = nextLastChange(reader, mutation.key, newest, props.startTs);
  }
  const assertion = checkAssertion(reader, key, newest, true);
  return assertion.ok ? ok({ type: "amended" }) : assertion;
}

function larger(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}
