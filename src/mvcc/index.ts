export { SEEK_BOUND } from "./entry_cursor.js";
export { DefaultNotFoundError } from "./errors.js";
export type { Modify } from "./modify.js";
export {
  isFenceValid,
  type KeyedLock,
  MvccReader,
  type OverlappedWrite,
  type ScannedLocks,
  type SeekTsResult,
  type TxnCommitRecord,
  type Version,
} from "./reader.js";
export {
  collapsePrevRollback,
  isRollbackProtected,
  makeRollback,
  markRollbackOnMismatchingLock,
  rollbackLock,
} from "./rollback.js";
export type { CursorRange, MemoryLocks, MvccCf, MvccCursor, MvccSnapshot } from "./snapshot.js";
export { type CfStatistics, Statistics } from "./statistics.js";
export { MvccTxn, type ReleasedLock } from "./txn.js";
