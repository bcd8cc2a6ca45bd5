export {
  AssertionFailedError,
  CommitUndeterminedError,
  type DeadlockEdge,
  DeadlockError,
  isRetryable,
  KeyExistsError,
  LockTimeoutError,
  TxnAbortedError,
  TxnNotFoundError,
  TxnTooLargeError,
  WriteConflictError,
} from "./errors.js";
export type {
  AssertionLevelName,
  BeginOptions,
  IsolationName,
  LockKeysOptions,
  LockOptions,
  TransactionOptions,
  TxnClientOptions,
} from "./options.js";
export type { Snapshot } from "./snapshot.js";
export type { Transaction, TxnState } from "./transaction.js";
export { TxnClient, type TxnClientConfig } from "./txn_client.js";
