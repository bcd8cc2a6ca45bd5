export type { ReleasedLock } from "../mvcc/index.js";
export type {
  CommandState,
  ContinueOutcome,
  ProcessContext,
  ProcessOutcome,
  ResponsePolicy,
  TxnCommand,
  WaitOutcome,
  WriteOutcome,
} from "./command.js";
export { raisedMaxTs } from "./commands/max_ts.js";
export { commandOf } from "./commands/table.js";
export { ConcurrencyManager, type LockGuard } from "./concurrency_manager.js";
export type {
  AssertionKind,
  LockInfo,
  PessimisticLockNotFoundReason,
  TxnError,
  TxnErrorOf,
  WaitForEntry,
  WriteConflictReason,
} from "./errors.js";
export * from "./latch.js";
export * from "./lock_manager/index.js";
export type * from "./requests.js";
