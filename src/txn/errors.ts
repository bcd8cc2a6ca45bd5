/**
 * What a transactional command can answer instead of a result. Returned, never thrown; the mapping
 * to kvrpcpb.KeyError is server/key_error.ts. Keys in errors are user keys.
 * Source: tikv src/storage/mvcc/mod.rs, src/storage/txn/mod.rs, src/storage/errors.rs.
 */
import type { Lock } from "../codec/index.js";

/** A lock as clients are told about it. */
export interface LockInfo {
  /** User key. */
  readonly key: Uint8Array;
  readonly lock: Lock;
  /** Told instead of the lock's own: 0 to a pessimistic prewrite, which must not wait for it. */
  readonly ttlOverride?: bigint;
  /** Milliseconds since the lock was last seen to change; told when a wait for it timed out. */
  readonly sinceUpdateMs?: number;
}

export type WriteConflictReason =
  | "optimistic"
  | "pessimisticRetry"
  | "selfRolledBack"
  | "rcCheckTs"
  | "lazyUniquenessCheck"
  | "notLockedKeyConflict";

export type PessimisticLockNotFoundReason =
  | "lockTsMismatch"
  | "lockMissingAmendFail"
  | "lockForUpdateTsMismatch"
  | "nonLockKeyConflict"
  | "failpoint";

export type AssertionKind = "none" | "exist" | "notExist";

/** One edge of a deadlock: `txn` waits for `waitForTxn`, which holds `key`. */
export interface WaitForEntry {
  readonly txn: bigint;
  readonly waitForTxn: bigint;
  readonly keyHash: bigint;
  /** User key that the waiter wants. */
  readonly key: Uint8Array;
  readonly resourceGroupTag: Uint8Array;
}

export type TxnError =
  | { readonly kind: "keyIsLocked"; readonly lock: LockInfo }
  | {
      readonly kind: "writeConflict";
      readonly startTs: bigint;
      readonly conflictStartTs: bigint;
      readonly conflictCommitTs: bigint;
      readonly key: Uint8Array;
      readonly primary: Uint8Array;
      readonly reason: WriteConflictReason;
    }
  | { readonly kind: "alreadyExist"; readonly key: Uint8Array }
  | {
      readonly kind: "txnLockNotFound";
      readonly startTs: bigint;
      readonly commitTs: bigint;
      readonly key: Uint8Array;
    }
  | { readonly kind: "txnNotFound"; readonly startTs: bigint; readonly key: Uint8Array }
  | {
      readonly kind: "committed";
      readonly startTs: bigint;
      readonly commitTs: bigint;
      readonly key: Uint8Array;
    }
  | {
      readonly kind: "commitTsExpired";
      readonly startTs: bigint;
      readonly commitTs: bigint;
      readonly key: Uint8Array;
      readonly minCommitTs: bigint;
    }
  | {
      readonly kind: "commitTsTooLarge";
      readonly startTs: bigint;
      readonly minCommitTs: bigint;
      readonly maxCommitTs: bigint;
    }
  | {
      readonly kind: "pessimisticLockNotFound";
      readonly startTs: bigint;
      readonly key: Uint8Array;
      readonly reason: PessimisticLockNotFoundReason;
    }
  | {
      readonly kind: "pessimisticLockRolledBack";
      readonly startTs: bigint;
      readonly key: Uint8Array;
    }
  | {
      readonly kind: "lockTypeNotMatch";
      readonly startTs: bigint;
      readonly key: Uint8Array;
      /** Whether the lock that was found is a pessimistic one. */
      readonly pessimistic: boolean;
    }
  | {
      readonly kind: "assertionFailed";
      readonly startTs: bigint;
      readonly key: Uint8Array;
      readonly assertion: AssertionKind;
      readonly existingStartTs: bigint;
      readonly existingCommitTs: bigint;
    }
  | { readonly kind: "primaryMismatch"; readonly lock: LockInfo }
  | {
      readonly kind: "deadlock";
      readonly startTs: bigint;
      readonly lockTs: bigint;
      /** User key that could not be locked. */
      readonly lockKey: Uint8Array;
      readonly deadlockKeyHash: bigint;
      readonly waitChain: readonly WaitForEntry[];
    }
  | { readonly kind: "invalidTxnTso"; readonly startTs: bigint; readonly commitTs: bigint }
  | { readonly kind: "lockIfExistsFailed"; readonly startTs: bigint; readonly key: Uint8Array }
  | {
      readonly kind: "generationOutOfOrder";
      readonly generation: bigint;
      readonly key: Uint8Array;
      readonly lock: LockInfo;
    }
  /** Async commit or 1PC before max_ts covers its predecessors' reads; storage answers a region error. */
  | { readonly kind: "maxTimestampNotSynced"; readonly startTs: bigint }
  /** The store's own data is damaged: a record points to a value that is not there. */
  | { readonly kind: "defaultNotFound"; readonly key: Uint8Array }
  /** A request that no client should send; `message` says what is wrong with it. */
  | { readonly kind: "invalidRequest"; readonly message: string };

export type TxnErrorOf<K extends TxnError["kind"]> = Extract<TxnError, { kind: K }>;
