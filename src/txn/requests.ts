/**
 * Transactional commands as data: what server/ decodes, storage/ schedules and commands/ carry out.
 * Keys are encoded user keys (codec keyFromRaw) except where "user key" is said: primaries and
 * secondaries are stored and told as user keys. Timestamps are u64; 0n = absent.
 * Source: kvrpcpb, tikv src/storage/txn/commands/*.rs.
 */
import type { Lock } from "../codec/index.js";
import type { AssertionKind, LockInfo, TxnError } from "./errors.js";

export type MutationOp = "put" | "delete" | "lock" | "insert" | "checkNotExists";
export type PessimisticAction = "skipPessimisticCheck" | "doPessimisticCheck" | "doConstraintCheck";
export type AssertionLevel = "off" | "fast" | "strict";

export interface Mutation {
  readonly op: MutationOp;
  readonly key: Uint8Array;
  /** Of put and insert; empty otherwise. */
  readonly value: Uint8Array;
  readonly assertion: AssertionKind;
  readonly pessimisticAction: PessimisticAction;
  /** The lock that the client believes to hold must have this one; 0n = not checked. */
  readonly expectedForUpdateTs: bigint;
}

export interface PrewriteRequest {
  readonly kind: "prewrite";
  readonly mutations: readonly Mutation[];
  /** User key. */
  readonly primary: Uint8Array;
  readonly startTs: bigint;
  readonly lockTtlMs: bigint;
  /** 0n: the transaction is optimistic. */
  readonly forUpdateTs: bigint;
  readonly txnSize: bigint;
  readonly minCommitTs: bigint;
  readonly maxCommitTs: bigint;
  readonly skipConstraintCheck: boolean;
  readonly isRetryRequest: boolean;
  /** User keys; undefined = not an async commit. Only the primary's lock lists them. */
  readonly secondaries: readonly Uint8Array[] | undefined;
  readonly useAsyncCommit: boolean;
  readonly tryOnePc: boolean;
  readonly assertionLevel: AssertionLevel;
  readonly txnSource: bigint;
}

export interface PrewriteResult {
  /** Keys that are locked by others; with any, nothing was written. */
  readonly locks: readonly LockInfo[];
  /** 0n: the client falls back to two phases. */
  readonly minCommitTs: bigint;
  readonly onePcCommitTs: bigint;
}

export interface CommitRequest {
  readonly kind: "commit";
  readonly keys: readonly Uint8Array[];
  readonly startTs: bigint;
  readonly commitTs: bigint;
}

export interface CommitResult {
  readonly commitTs: bigint;
}

/** Rolls keys back whatever their TTL; the rollback records are not protected. */
export interface BatchRollbackRequest {
  readonly kind: "batchRollback";
  readonly keys: readonly Uint8Array[];
  readonly startTs: bigint;
}

/** The old form of check_txn_status: rolls one key back if its TTL is over; 0n = whatever it is. */
export interface CleanupRequest {
  readonly kind: "cleanup";
  readonly key: Uint8Array;
  readonly startTs: bigint;
  readonly currentTs: bigint;
}

export interface CheckTxnStatusRequest {
  readonly kind: "checkTxnStatus";
  readonly primaryKey: Uint8Array;
  readonly lockTs: bigint;
  readonly callerStartTs: bigint;
  readonly currentTs: bigint;
  readonly rollbackIfNotExist: boolean;
  readonly forceSyncCommit: boolean;
  readonly resolvingPessimisticLock: boolean;
  readonly verifyIsPrimary: boolean;
}

export type TxnStatusAction =
  | "noAction"
  | "ttlExpireRollback"
  | "lockNotExistRollback"
  | "minCommitTsPushed"
  | "ttlExpirePessimisticRollback"
  | "lockNotExistDoNothing";

export type TxnStatus =
  | { readonly type: "rolledBack"; readonly action: TxnStatusAction }
  | { readonly type: "pessimisticRolledBack"; readonly action: TxnStatusAction }
  | { readonly type: "lockNotExistDoNothing"; readonly action: TxnStatusAction }
  | { readonly type: "committed"; readonly commitTs: bigint; readonly action: TxnStatusAction }
  | { readonly type: "uncommitted"; readonly lock: LockInfo; readonly action: TxnStatusAction };

export interface CheckSecondaryLocksRequest {
  readonly kind: "checkSecondaryLocks";
  readonly keys: readonly Uint8Array[];
  readonly startTs: bigint;
}

export type SecondaryLocksStatus =
  | { readonly type: "locked"; readonly locks: readonly LockInfo[] }
  | { readonly type: "committed"; readonly commitTs: bigint }
  | { readonly type: "rolledBack" };

export interface TxnHeartBeatRequest {
  readonly kind: "txnHeartBeat";
  readonly primaryKey: Uint8Array;
  readonly startTs: bigint;
  readonly adviseTtlMs: bigint;
  /** Raises the min_commit_ts of a flushed lock (generation > 0); 0n = as it is. */
  readonly minCommitTs: bigint;
}

export interface TxnHeartBeatResult {
  readonly lockTtlMs: bigint;
}

/** Without keys, all locks of the region whose transaction is in `txns`. */
export interface ResolveLockRequest {
  readonly kind: "resolveLock";
  /** startTs → commitTs; 0n = rolled back. */
  readonly txns: ReadonlyMap<bigint, bigint>;
  /** Empty = scan the region. Not empty: `txns` has one entry. */
  readonly keys: readonly Uint8Array[];
}

export interface AcquirePessimisticLockRequest {
  readonly kind: "acquirePessimisticLock";
  readonly keys: readonly {
    readonly key: Uint8Array;
    /** The assertion of an insert: no value may be there. */
    readonly shouldNotExist: boolean;
  }[];
  /** User key. */
  readonly primary: Uint8Array;
  readonly startTs: bigint;
  readonly lockTtlMs: bigint;
  readonly isFirstLock: boolean;
  readonly forUpdateTs: bigint;
  /** Milliseconds; 0 = the server's default, < 0 = do not wait. */
  readonly waitTimeoutMs: number;
  readonly returnValues: boolean;
  readonly checkExistence: boolean;
  readonly minCommitTs: bigint;
  readonly lockOnlyIfExists: boolean;
  /** Force lock: one key, locked even though a newer version was committed. */
  readonly allowLockWithConflict: boolean;
  /** A request that a waiter woken by this lock's release repeats. */
  readonly resourceGroupTag: Uint8Array;
}

export type PessimisticLockKeyResult =
  | { readonly type: "empty" }
  /** Only with returnValues; undefined = no value. */
  | { readonly type: "value"; readonly value: Uint8Array | undefined }
  | { readonly type: "existence"; readonly exists: boolean }
  | {
      readonly type: "lockedWithConflict";
      readonly value: Uint8Array | undefined;
      readonly conflictTs: bigint;
    }
  | { readonly type: "failed"; readonly error: TxnError };

/** One result per key, in the order of the request. */
export interface AcquirePessimisticLockResult {
  readonly results: readonly PessimisticLockKeyResult[];
}

export interface PessimisticRollbackRequest {
  readonly kind: "pessimisticRollback";
  /** Empty = scan the region for the transaction's locks. */
  readonly keys: readonly Uint8Array[];
  readonly startTs: bigint;
  readonly forUpdateTs: bigint;
}

export interface MvccGetByKeyRequest {
  readonly kind: "mvccGetByKey";
  readonly key: Uint8Array;
}
export interface MvccGetByStartTsRequest {
  readonly kind: "mvccGetByStartTs";
  readonly startTs: bigint;
}

/** Everything that is stored of one key, newest first. Values are user bytes. */
export interface MvccInfo {
  readonly lock: Lock | undefined;
  readonly writes: readonly {
    readonly commitTs: bigint;
    readonly write: import("../codec/index.js").Write;
  }[];
  readonly values: readonly { readonly startTs: bigint; readonly value: Uint8Array }[];
}

/** Commands that write, and what each answers. */
export interface TxnCommands {
  prewrite: [PrewriteRequest, PrewriteResult];
  commit: [CommitRequest, CommitResult];
  batchRollback: [BatchRollbackRequest, undefined];
  cleanup: [CleanupRequest, undefined];
  checkTxnStatus: [CheckTxnStatusRequest, TxnStatus];
  checkSecondaryLocks: [CheckSecondaryLocksRequest, SecondaryLocksStatus];
  txnHeartBeat: [TxnHeartBeatRequest, TxnHeartBeatResult];
  resolveLock: [ResolveLockRequest, undefined];
  acquirePessimisticLock: [AcquirePessimisticLockRequest, AcquirePessimisticLockResult];
  pessimisticRollback: [PessimisticRollbackRequest, undefined];
}
export type TxnCommandKind = keyof TxnCommands;
export type TxnRequest = TxnCommands[TxnCommandKind][0];
export type TxnResult = TxnCommands[TxnCommandKind][1];
export type ResultOf<K extends TxnCommandKind> = TxnCommands[K][1];
export type RequestOf<K extends TxnCommandKind> = TxnCommands[K][0];
