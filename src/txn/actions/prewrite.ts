/**
 * Prewrites one key: the lock that is there, constraints, the assertion, then the lock to write.
 * Source: tikv src/storage/txn/actions/prewrite.rs.
 */
import { err, ok, type Result } from "../../base/index.js";
import {
  LAST_CHANGE_UNKNOWN,
  LOCK_TYPE,
  type Lock,
  type LockType,
  SHORT_VALUE_MAX_BYTES,
} from "../../codec/index.js";
import type { MvccReader } from "../../mvcc/index.js";
import type { TxnError } from "../errors.js";
import type { Mutation } from "../requests.js";
import { checkAssertion } from "./assertion.js";
import { checkNewerVersion, skipsConstraintCheck } from "./constraint.js";
import { checkExistingLock, type LockStatus } from "./existing_lock.js";
import {
  isPessimistic,
  newPrewriteKey,
  type PrewriteKey,
  type PrewriteProps,
  shouldNotExist,
} from "./prewrite_state.js";
import type { PrewriteTxn } from "./prewrite_txn.js";

/**
 * Prewrites a mutation into `txn`. Returns the key's min_commit_ts; 0n = none is needed, or the key
 * was prewritten before without one. `secondaries` undefined = not an async commit.
 * After commitTsTooLarge the lock is in `txn` all the same, as one of two phases.
 */
export function prewriteKey(
  txn: PrewriteTxn,
  reader: MvccReader,
  props: PrewriteProps,
  mutation: Mutation,
  secondaries: readonly Uint8Array[] | undefined,
): Result<bigint, TxnError> {
  if (isPessimistic(props) && mutation.op === "checkNotExists") {
    const message = "cannot handle checkNotExists in pessimistic prewrite";
    return err({ kind: "invalidRequest", message });
  }
  // An insert reads the key, and no transaction may commit below what was read.
  if (shouldNotExist(mutation)) txn.concurrencyManager.updateMaxTs(props.startTs);
  const key = newPrewriteKey(props, mutation);
  const status = checkExistingLock(reader, key);
  if (!status.ok) return status;
  if (status.value.type === "duplicate") {
    // A key that is locked cannot be committed in one phase any more.
    return ok(props.commitKind === "onePc" ? 0n : status.value.minCommitTs);
  }
  const checked = checkVersions(reader, key, status.value);
  if (!checked.ok) return checked;
  if (mutation.op === "checkNotExists") return ok(minCommitTsOfCheck(props));
  return writeLock(txn, key, status.value, secondaries);
}

/** Steps B and C. */
function checkVersions(
  reader: MvccReader,
  key: PrewriteKey,
  status: LockStatus,
): Result<void, TxnError> {
  const loads = !skipsConstraintCheck(key);
  const previous = loads ? checkNewerVersion(reader, key) : ok(undefined);
  if (!previous.ok) return previous;
  if (status.type === "amended") return ok(undefined);
  return checkAssertion(reader, key, previous.value, loads);
}

/** A check writes nothing, so max_ts does not concern it. */
function minCommitTsOfCheck({ commitKind, minCommitTs, startTs }: PrewriteProps): bigint {
  if (commitKind === "twoPc") return 0n;
  return minCommitTs > startTs ? minCommitTs : startTs + 1n;
}

function writeLock(
  txn: PrewriteTxn,
  key: PrewriteKey,
  status: LockStatus,
  secondaries: readonly Uint8Array[] | undefined,
): Result<bigint, TxnError> {
  const { mutation, props } = key;
  const type = lockTypeOf(mutation);
  const isLong = type === LOCK_TYPE.put && mutation.value.length > SHORT_VALUE_MAX_BYTES;
  if (isLong) txn.mvcc.putValue(mutation.key, props.startTs, mutation.value);
  if (props.commitKind === "twoPc") {
    txn.mvcc.putLock(mutation.key, lockOf(key, type, isLong, key.minCommitTs, TWO_PHASES));
    return ok(0n);
  }
  const useOnePc = props.commitKind === "onePc";
  const kind = { useOnePc, useAsyncCommit: secondaries !== undefined, secondaries };
  const held = txn.holdInMemory(mutation.key, key.minCommitTs, props, (minCommitTs) =>
    lockOf(key, type, isLong, minCommitTs, kind),
  );
  if (!held.ok) {
    txn.mvcc.putLock(mutation.key, lockOf(key, type, isLong, key.minCommitTs, TWO_PHASES));
    return held;
  }
  if (useOnePc) txn.putOnePcLock(mutation.key, held.value, status.type === "pessimistic");
  else txn.mvcc.putLock(mutation.key, held.value);
  return ok(held.value.minCommitTs);
}

/** How a lock will be committed. */
interface LockKind {
  readonly useOnePc: boolean;
  readonly useAsyncCommit: boolean;
  readonly secondaries: readonly Uint8Array[] | undefined;
}

const TWO_PHASES: LockKind = { useOnePc: false, useAsyncCommit: false, secondaries: undefined };
const NOTHING: readonly never[] = [];

function lockOf(
  key: PrewriteKey,
  type: LockType,
  isLong: boolean,
  minCommitTs: bigint,
  { secondaries, useAsyncCommit, useOnePc }: LockKind,
): Lock {
  const { props, mutation } = key;
  return {
    type,
    primary: props.primary,
    startTs: props.startTs,
    ttl: key.lockTtlMs,
    shortValue: type === LOCK_TYPE.put && !isLong ? mutation.value : undefined,
    forUpdateTs: key.forUpdateTs,
    txnSize: props.txnSize,
    minCommitTs,
    useAsyncCommit,
    secondaries: secondaries ?? NOTHING,
    rollbackTs: NOTHING,
    lastChange: type === LOCK_TYPE.lock ? key.lastChange : LAST_CHANGE_UNKNOWN,
    txnSource: props.txnSource,
    isLockedWithConflict: false,
    generation: 0n,
    useOnePc,
  };
}

function lockTypeOf({ op }: Mutation): LockType {
  switch (op) {
    case "put":
    case "insert":
      return LOCK_TYPE.put;
    case "delete":
      return LOCK_TYPE.delete;
    default:
      return LOCK_TYPE.lock;
  }
}
