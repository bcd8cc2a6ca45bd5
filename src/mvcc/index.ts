export { SEEK_BOUND } from "./entry_cursor.js";
export { DefaultNotFoundError } from "./errors.js";
export { readFirst } from "./first_reads.js";
export { type GcKey, type GcRequest, type GcSlice, type GcStats, gcSlice } from "./gc.js";
export type { PointSink } from "./kernel_call.js";
export { KernelPoints } from "./kernel_points.js";
export { openKernelScan } from "./kernel_scan.js";
export {
  checkTsConflict,
  type IsolationLevel,
  type LockCheck,
  lockConflict,
  type ReadError,
  type ReadPoint,
} from "./lock_check.js";
export { LockGlance } from "./lock_glance.js";
export type { Modify } from "./modify.js";
export { PointGetter } from "./point_getter.js";
export { PointList } from "./point_list.js";
export {
  type KeyedLock,
  MvccReader,
  type OverlappedWrite,
  type ScannedLocks,
  type SeekTsResult,
  type TxnCommitRecord,
} from "./reader.js";
export {
  collapsePrevRollback,
  isRollbackProtected,
  makeRollback,
  markRollbackOnMismatchingLock,
  rollbackLock,
} from "./rollback.js";
export { openVersionScan, Scanner, type ScannerOptions } from "./scanner.js";
export type {
  CursorRange,
  FirstRead,
  FirstReads,
  MemoryLocks,
  MvccCf,
  MvccCursor,
  MvccSnapshot,
} from "./snapshot.js";
export { type CfStatistics, Statistics } from "./statistics.js";
export { MvccTxn, type ReleasedLock } from "./txn.js";
export type {
  OpenVersionScan,
  ReadPair,
  ReadSource,
  ScanRange,
  VersionRow,
  VersionScan,
} from "./version_scan.js";
export { isFenceValid, type Version } from "./visible.js";
