/**
 * What the gRPC layer asks of storage for transactions. Keys are encoded user keys; see
 * txn/requests.ts. Every method checks API version and context in TiKV's order before it touches
 * data. Reads raise max_ts, then check memory locks, then take their snapshot.
 */
import type { Result } from "../base/index.js";
import type { PointList, PointSink, Statistics } from "../mvcc/index.js";
import type {
  DeadlockFound,
  DeadlockRequest,
  LockInfo,
  MvccInfo,
  RequestOf,
  ResultOf,
  TxnCommandKind,
  TxnError,
  WaitForEntry,
} from "../txn/index.js";
import type { RegionError, Reply, RequestContext } from "./types.js";

export type IsolationLevel = "si" | "rc" | "rcCheckTs";

/** kvrpcpb.Context, the part that transactions add. */
export interface TxnContext extends RequestContext {
  readonly isolation: IsolationLevel;
  /** Transactions whose locks a read passes: rolled back, or committed after the read. */
  readonly resolvedLocks: readonly bigint[];
  /** Transactions whose locks a read takes for committed: it reads the value of the lock. */
  readonly committedLocks: readonly bigint[];
  readonly fillCache: boolean;
  /** Milliseconds after which the request fails with "deadline is exceeded"; 0 = the default. */
  readonly maxExecutionMs: number;
}

/** A region error (routing) or what the command answers instead of a result. */
export type TxnStorageError =
  | { readonly type: "region"; readonly error: RegionError }
  | { readonly type: "txn"; readonly error: TxnError };
export type TxnReply<T> = Result<T, TxnStorageError>;

/** What a command cost; storage fills it in, server/ answers it as ExecDetailsV2. Times in ms. */
export interface ExecDetails {
  readonly statistics: Statistics;
  /** Waiting for latches, the pool, the log. */
  waitMs: number;
  /** Reading and deciding. */
  processMs: number;
  latchWaitMs: number;
  /** From the proposal until it is applied. */
  writeMs: number;
  /** Waiting for a lock in the lock manager. */
  lockWaitMs: number;
}

/** `value` undefined = not found. `commitTs` of the version that was read; 0n for a lock's value. */
export interface GetResult {
  readonly value: Uint8Array | undefined;
  readonly commitTs: bigint;
}

/** One key of a batch get or scan. Missing keys are left out. */
export type TxnPair =
  | { readonly key: Uint8Array; readonly value: Uint8Array; readonly commitTs: bigint }
  | { readonly key: Uint8Array; readonly error: TxnError };

/** `[startKey, endKey)` in encoded keys; with `reverse`, startKey is the exclusive upper bound. */
export interface TxnScanRequest {
  readonly startKey: Uint8Array;
  readonly endKey: Uint8Array;
  readonly version: bigint;
  /** u32; pairs with errors count. */
  readonly limit: number;
  readonly keyOnly: boolean;
  readonly reverse: boolean;
  /** Takes every nth key only, 0 or 1 = all. */
  readonly sampleStep: number;
}

export interface ScanLockRequest {
  readonly startKey: Uint8Array;
  readonly endKey: Uint8Array;
  readonly maxVersion: bigint;
  /** 0 = all. */
  readonly limit: number;
}

/** What a client tells all stores of a large transaction; 0n = not known. */
export interface TxnStatusNews {
  readonly startTs: bigint;
  readonly commitTs: bigint;
}

/** One transaction that waits for a lock here, and since when. */
export interface LockWait extends WaitForEntry {
  readonly waitMs: number;
}

/** Kinds of commands of which several may run together. */
export type GroupedKind = "prewrite" | "commit";

/** One of several commands that run together, and who is told how it ends: one of the two, once. */
export interface GroupedCommand<K extends GroupedKind> {
  readonly request: RequestOf<K>;
  readonly details: ExecDetails;
  readonly answer: (reply: TxnReply<ResultOf<K>>) => void;
  readonly fail: (error: unknown) => void;
}

export interface TxnStorage {
  get(
    ctx: TxnContext,
    key: Uint8Array,
    version: bigint,
    details: ExecDetails,
  ): TxnReply<GetResult> | Promise<TxnReply<GetResult>>;
  /**
   * Gets of one context, each at its own version, where all of them can be answered at once: `sink`
   * is told, and `details` are those of all together. False: they cannot, what `sink` was told does
   * not count; `get` answers, or says why not. Takes turns of the arena.
   */
  getMany?(ctx: TxnContext, list: PointList, details: ExecDetails, sink: PointSink): boolean;
  /** Missing keys are left out, as in TiKV; a key's own error stands in its pair. */
  batchGet(
    ctx: TxnContext,
    keys: readonly Uint8Array[],
    version: bigint,
    details: ExecDetails,
  ): TxnReply<readonly TxnPair[]> | Promise<TxnReply<readonly TxnPair[]>>;
  scan(
    ctx: TxnContext,
    request: TxnScanRequest,
    details: ExecDetails,
  ): Promise<TxnReply<readonly TxnPair[]>>;
  /** Locks in memory and stored with startTs <= maxVersion, in key order. */
  scanLock(
    ctx: TxnContext,
    request: ScanLockRequest,
    details: ExecDetails,
  ): Promise<TxnReply<readonly LockInfo[]>>;
  /** Runs a command under its latches. */
  run<K extends TxnCommandKind>(
    ctx: TxnContext,
    request: RequestOf<K>,
    details: ExecDetails,
  ): Promise<TxnReply<ResultOf<K>>>;
  /**
   * Runs commands of one context that arrived together, each as `run` would: those whose latches are
   * free share a snapshot and, region by region, their writes. Answers may come before it returns.
   */
  runTogether?<K extends GroupedKind>(
    ctx: TxnContext,
    commands: readonly GroupedCommand<K>[],
  ): void;
  /** Notes transactions that are committed; of others nothing is kept. */
  noteTxnStatus(news: readonly TxnStatusNews[]): void;
  mvccByKey(ctx: TxnContext, key: Uint8Array): Promise<TxnReply<MvccInfo>>;
  /** undefined: the transaction left nothing here. */
  mvccByStartTs(
    ctx: TxnContext,
    startTs: bigint,
  ): Promise<TxnReply<{ readonly key: Uint8Array; readonly info: MvccInfo } | undefined>>;
  /**
   * Deletes all versions in `[startKey, endKey)`, neither end open; `notifyOnly` replicates an empty
   * command.
   */
  deleteRange(
    ctx: TxnContext,
    startKey: Uint8Array,
    endKey: Uint8Array,
    notifyOnly: boolean,
  ): Promise<Reply<void>>;
  /** Timestamp up to which the replicas of `[startKey, endKey)` here answer stale reads. */
  safeTs(startKey: Uint8Array, endKey: Uint8Array): bigint;
  /** Everybody who waits for a lock of this store, for diagnosis. */
  lockWaits(): readonly LockWait[];
  /** Serves a request of another store's deadlock detector, if this store leads detection. */
  detect(request: DeadlockRequest): Result<DeadlockFound | undefined, "notLeader">;
}
