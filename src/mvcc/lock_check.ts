/**
 * Whether a lock blocks a read, for stored locks and for locks in memory.
 * Source: tikv components/txn_types/src/lock.rs Lock::check_ts_conflict.
 */
import { EMPTY_BYTES, equalBytes } from "../base/index.js";
import { keyToRaw, LOCK_TYPE, type Lock, TS_MAX } from "../codec/index.js";

/**
 * "si": locks that may commit at or below the read's timestamp block it. "rc": locks are not
 * looked at. "rcCheckTs": as rc, but every sign of a newer write ends the read.
 */
export type IsolationLevel = "si" | "rc" | "rcCheckTs";

/** From where a client reads. */
export interface ReadPoint {
  readonly ts: bigint;
  readonly isolation: IsolationLevel;
  /** Transactions that are rolled back, or committed after `ts`: their locks are passed. */
  readonly bypassLocks: readonly bigint[];
  /** Transactions that are committed at or below `ts`: their locks are read as data. */
  readonly accessLocks: readonly bigint[];
  readonly isReplicaRead: boolean;
}

/** What a client is told instead of a value; each is a TxnError of txn/errors.ts. */
export type ReadError =
  | {
      readonly kind: "keyIsLocked";
      /** `key` is a user key. */
      readonly lock: { readonly key: Uint8Array; readonly lock: Lock };
    }
  | {
      readonly kind: "writeConflict";
      readonly startTs: bigint;
      readonly conflictStartTs: bigint;
      readonly conflictCommitTs: bigint;
      /** User key. */
      readonly key: Uint8Array;
      readonly primary: Uint8Array;
      readonly reason: "rcCheckTs";
    }
  /** User key. */
  | { readonly kind: "defaultNotFound"; readonly key: Uint8Array };

export type LockCheck = "pass" | "readFromLock" | ReadError;

/** Judges the lock of an encoded key. Rules are tried in TiKV's order; the first that fits wins. */
export function checkTsConflict(key: Uint8Array, lock: Lock, point: ReadPoint): LockCheck {
  const conflict = lockConflict(key, lock, point);
  if (conflict === undefined) return "pass";
  return point.accessLocks.includes(lock.startTs) ? "readFromLock" : conflict;
}

/**
 * As `checkTsConflict` for locks in memory: those are not committed yet, so access locks do not
 * count. Returns what blocks the read, undefined = nothing.
 */
export function lockConflict(
  key: Uint8Array,
  lock: Lock,
  point: Omit<ReadPoint, "accessLocks">,
): ReadError | undefined {
  if (point.isolation === "rc") return undefined;
  if (point.isolation === "rcCheckTs") return rcCheckTsConflict(key, lock, point);
  const { ts } = point;
  if (lock.startTs > ts) return undefined;
  if (lock.type !== LOCK_TYPE.put && lock.type !== LOCK_TYPE.delete) return undefined;
  if (lock.minCommitTs > ts) return undefined;
  if (point.bypassLocks.includes(lock.startTs)) return undefined;
  const userKey = keyToRaw(key);
  // "Newest" asks for what is committed when the primary is read; the leader alone knows that.
  const newestOfPrimary =
    ts === TS_MAX && !point.isReplicaRead && equalBytes(userKey, lock.primary);
  if (newestOfPrimary && !lock.useAsyncCommit && !lock.useOnePc) return undefined;
  return { kind: "keyIsLocked", lock: { key: userKey, lock } };
}

function rcCheckTsConflict(
  key: Uint8Array,
  lock: Lock,
  { ts, bypassLocks }: Omit<ReadPoint, "accessLocks">,
): ReadError | undefined {
  if (lock.type !== LOCK_TYPE.put && lock.type !== LOCK_TYPE.delete) return undefined;
  if (bypassLocks.includes(lock.startTs)) return undefined;
  return rcConflict(key, ts, { startTs: lock.startTs, commitTs: 0n, primary: lock.primary });
}

/** Returns the error of an rcCheckTs read at `ts` that met the write of another transaction. */
export function rcConflict(
  key: Uint8Array,
  ts: bigint,
  other: { startTs: bigint; commitTs: bigint; primary?: Uint8Array },
): ReadError {
  return {
    kind: "writeConflict",
    startTs: ts,
    conflictStartTs: other.startTs,
    conflictCommitTs: other.commitTs,
    key: keyToRaw(key),
    primary: other.primary ?? EMPTY_BYTES,
    reason: "rcCheckTs",
  };
}
