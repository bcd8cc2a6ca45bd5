/**
 * How a command runs: a pure function from a snapshot to what is to be written and answered. The
 * scheduler (storage/txn_scheduler.ts) holds the latches of `latchKeys` from before the snapshot
 * until the write is applied. Source: tikv src/storage/txn/commands/mod.rs.
 */
import type { Result } from "../base/index.js";
import type { KeyedLock, Modify, MvccSnapshot, ReleasedLock, Statistics } from "../mvcc/index.js";
import type { ConcurrencyManager, LockGuard } from "./concurrency_manager.js";
import type { LockInfo, TxnError } from "./errors.js";
import type { RequestOf, ResultOf, TxnCommandKind } from "./requests.js";

export interface ProcessContext {
  readonly snapshot: MvccSnapshot;
  readonly concurrencyManager: ConcurrencyManager;
  readonly statistics: Statistics;
  /** Whether the leader's max_ts covers its predecessors' reads; else async commit and 1PC must wait. */
  readonly maxTsSynced: boolean;
  /** The commit_ts of a transaction that this store has seen committed not long ago. */
  committedTs(startTs: bigint): bigint | undefined;
}

/** When the client is answered. */
export type ResponsePolicy = "onApplied" | "onCommitted" | "onProposed";

export interface WriteOutcome<R> {
  readonly type: "write";
  /** Empty: nothing is proposed and `response` is sent at once. */
  readonly modifies: readonly Modify[];
  readonly response: R;
  /** Held until the write is applied (or has failed), then dropped. */
  readonly guards: readonly LockGuard[];
  readonly released: readonly ReleasedLock[];
  readonly policy: ResponsePolicy;
  /** Transactions that this command saw decided; commitTs 0n = rolled back. */
  readonly knownStatus: readonly { readonly startTs: bigint; readonly commitTs: bigint }[];
  /** Deletes only: may go on while the disk is full. */
  readonly frees: boolean;
  /**
   * Of acquirePessimisticLock: the locks that `modifies` write, and nothing else is written. The
   * scheduler may keep them in memory instead.
   */
  readonly pessimisticLocks?: readonly KeyedLock[];
}

/** The lock that an acquirePessimisticLock waits for. Nothing was written. */
export interface WaitOutcome {
  readonly type: "wait";
  readonly lock: LockInfo;
  /** Encoded. */
  readonly key: Uint8Array;
}

/** A part of a long command is done: write it, then run `next` over a new snapshot. */
export interface ContinueOutcome<K extends TxnCommandKind> {
  readonly type: "continue";
  readonly modifies: readonly Modify[];
  readonly released: readonly ReleasedLock[];
  readonly knownStatus: WriteOutcome<undefined>["knownStatus"];
  readonly next: CommandState<K>;
}

export type ProcessOutcome<K extends TxnCommandKind> =
  | WriteOutcome<ResultOf<K>>
  | (K extends "acquirePessimisticLock" ? WaitOutcome : never)
  | (K extends "resolveLock" | "pessimisticRollback" ? ContinueOutcome<K> : never);

/** A request, and where a long one stands: the encoded key to go on from. */
export interface CommandState<K extends TxnCommandKind> {
  readonly request: RequestOf<K>;
  readonly resumeKey?: Uint8Array;
  /** Keys that the scan before the snapshot found; latched, then checked again. */
  readonly scannedKeys?: readonly Uint8Array[];
}

/** The rules of one kind of command; table.ts lists all. */
export interface TxnCommand<K extends TxnCommandKind> {
  readonly kind: K;
  /** Name in metrics and logs, TiKV's: "prewrite", "acquire_pessimistic_lock". */
  readonly tag: string;
  /** Encoded keys. */
  latchKeys(state: CommandState<K>): readonly Uint8Array[];
  /** Whether `processWrite` looks for the newest record of each of its keys. */
  seeksNewest?(request: RequestOf<K>): boolean;
  processWrite(
    state: CommandState<K>,
    context: ProcessContext,
  ): Result<ProcessOutcome<K>, TxnError>;
  /**
   * Commands without keys of their own read the region first, without latches: the locks that they
   * concern, at most a batch from `resumeKey`. Then `processWrite` runs under the latches of those keys.
   * undefined = nothing left.
   */
  scan?(
    state: CommandState<K>,
    context: Pick<ProcessContext, "snapshot" | "statistics" | "concurrencyManager">,
  ): Result<CommandState<K> | undefined, TxnError>;
}
