/** What a TxnClient and a transaction can be told. Sources of defaults: client-go, TiDB. */
import { CLIENT_DEFAULTS, type ClientOptions } from "../options.js";
import type { OperationOptions } from "../types.js";

/** How much of what a prewrite loads anyway is compared with what the transaction asserts. */
export type AssertionLevelName = "off" | "fast" | "strict";

/**
 * "snapshot": all reads see the state at start_ts. "readCommitted": each read sees the newest state
 * that was committed when it began.
 */
export type IsolationName = "snapshot" | "readCommitted";

export interface TxnClientOptions extends ClientOptions {
  /** Whether transactions are committed as soon as all keys are locked, when they are small. */
  readonly asyncCommit: boolean;
  /** Whether transactions of one region are committed by one request. */
  readonly onePc: boolean;
  readonly assertions: AssertionLevelName;
  /** Longest wait for a lock of a pessimistic transaction, ms; 0: no wait. */
  readonly lockWaitMs: number;
  /** How long the locks of a long transaction live without a heartbeat, ms. */
  readonly managedTtlMs: number;
  /** How long heartbeats keep a transaction alive, ms. */
  readonly lifetimeMaxMs: number;
  /** Most bytes of keys and values of one transaction. */
  readonly txnBytesMax: number;
  /** Most bytes of one key and its value. */
  readonly entryBytesMax: number;
  /** Most commits and rollbacks that are finished in the background; more are waited for. */
  readonly backgroundMax: number;
  /** Longest time that one of them may take, ms. */
  readonly backgroundTimeoutMs: number;
  /** How long close() waits for them, ms. */
  readonly closeTimeoutMs: number;
  /** Most ended transactions of others that are remembered. */
  readonly statusCacheMax: number;
}

const MIB = 1024 * 1024;

export const TXN_CLIENT_DEFAULTS: Omit<TxnClientOptions, "pdEndpoints"> = {
  ...CLIENT_DEFAULTS,
  retryBudgetMs: 40_000,
  asyncCommit: true,
  onePc: true,
  assertions: "fast",
  lockWaitMs: 10_000,
  managedTtlMs: 20_000,
  lifetimeMaxMs: 3_600_000,
  txnBytesMax: 100 * MIB,
  entryBytesMax: 6 * MIB,
  backgroundMax: 1024,
  backgroundTimeoutMs: 20_000,
  closeTimeoutMs: 10_000,
  statusCacheMax: 2048,
};

/** What one transaction may choose for itself; the client's options by default. */
export interface BeginOptions {
  /** Whether writes lock their keys at once. */
  readonly pessimistic?: boolean;
  readonly asyncCommit?: boolean;
  readonly onePc?: boolean;
  readonly isolation?: IsolationName;
  readonly assertions?: AssertionLevelName;
  readonly lockWaitMs?: number;
}

/** Options of TxnClient.transaction(). */
export interface TransactionOptions extends BeginOptions {
  /** How often the transaction is run again after a conflict; 16 by default. */
  readonly retry?: number;
  /** Ends the waits between two runs, and the commit. */
  readonly signal?: AbortSignal;
}

/** Options of lockKeys and getForUpdate. */
export interface LockOptions extends OperationOptions {
  /** Longest wait for each lock, ms; 0: no wait. */
  readonly lockWaitMs?: number;
}

/** Options of lockKeys. */
export interface LockKeysOptions extends LockOptions {
  /** Whether the newest values are wanted. */
  readonly returnValues?: boolean;
}

/** How often transaction() runs again by default. */
export const RETRIES_DEFAULT = 16;
/** Keys and values of one Prewrite, Commit, PessimisticLock request, bytes. */
export const TXN_BATCH_BYTES_MAX = 16 * 1024;
/** Keys of one BatchGet. */
export const TXN_BATCH_GET_KEYS_MAX = 1024;
/** An async commit has at most so many keys, with so many bytes: each lock of it is looked at. */
export const ASYNC_COMMIT_KEYS_MAX = 256;
export const ASYNC_COMMIT_KEY_BYTES_MAX = 4096;
/** How long an async commit's timestamp may lie ahead of the time it began, ms. */
export const SAFE_WINDOW_MS = 2000;
/** Locks of transactions with fewer keys than this are resolved one by one. */
export const BIG_TXN_KEYS = 16;
/**
 * How long the commit of an optimistic transaction waits for a pessimistic lock, ms. Whoever holds it
 * writes the key later most likely, and may be waiting for a lock of this very transaction, which no
 * deadlock detector sees.
 */
export const PESSIMISTIC_PATIENCE_MS = 1000;
/** How long a failed commit waits for its rollback, so that another run does not meet its locks, ms. */
export const UNDO_WAIT_MS = 500;
/** Locks of a small optimistic transaction live so long, ms. */
export const LOCK_TTL_MS = 3000;
