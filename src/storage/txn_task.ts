/** What the scheduler works on and with: commands under way, requests that wait, its ports. */
import type { Kernels } from "../kernel/index.js";
import type { KeyedLock } from "../mvcc/index.js";
import type {
  ReleasedLock,
  RequestOf,
  ResultOf,
  TxnCommand,
  TxnCommandKind,
  WaitOutcome,
} from "../txn/index.js";
import type { WriteQuota } from "./flow_control.js";
import type { LeaderSnapshot, TxnDeps } from "./txn_deps.js";
import type { MemoryLockKeeper } from "./txn_lock_keeper.js";
import type { MaxTs } from "./txn_max_ts.js";
import type { ExecDetails, TxnContext, TxnReply } from "./txn_types.js";

export interface SchedulerDeps extends TxnDeps {
  readonly kernels: Kernels;
  /** Bytes of the writes under way, raw ones included. */
  readonly quota: WriteQuota;
  readonly commandOf: <K extends TxnCommandKind>(kind: K) => TxnCommand<K>;
  readonly maxTs: Pick<MaxTs, "isSynced" | "raise" | "tryRaise">;
  readonly lockWaits: LockWaits;
  readonly memoryLocks: MemoryLockKeeper;
}

/** A request that met a lock and may wait for it. */
export interface BlockedRequest {
  readonly ctx: TxnContext;
  readonly request: RequestOf<"acquirePessimisticLock">;
  readonly wait: WaitOutcome;
  /** Of an earlier wait of the request: being woken gains it no time. */
  readonly lockDeadlineMs: number | undefined;
  readonly details: ExecDetails;
  readonly answer: (reply: TxnReply<ResultOf<"acquirePessimisticLock">>) => void;
}

/** Who waits for locks, and is woken. */
export interface LockWaits {
  wait(blocked: BlockedRequest): void;
  onReleased(locks: readonly ReleasedLock[]): void;
  onAcquired(locks: readonly KeyedLock[]): void;
}

/** A command under way. */
export interface Task<K extends TxnCommandKind> {
  readonly ctx: TxnContext;
  readonly command: TxnCommand<K>;
  readonly request: RequestOf<K>;
  /** Those that the request names. */
  readonly keys: readonly Uint8Array[];
  readonly bytes: number;
  readonly startedMs: number;
  readonly deadlineMs: number;
  /** To where the command raises max_ts; 0n = it does not. */
  readonly raisedTs: bigint;
  readonly lockDeadlineMs: number | undefined;
  readonly details: ExecDetails;
  readonly resolve: (reply: TxnReply<ResultOf<K>>) => void;
  readonly reject: (error: unknown) => void;
}

/** What is held while a step of a command runs. */
export interface Step<K extends TxnCommandKind> {
  readonly task: Task<K>;
  readonly leader: LeaderSnapshot;
  /** Gives the latches back. */
  readonly release: () => void;
}
