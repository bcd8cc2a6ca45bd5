/** The face for sister folders, wider than what is published. */
export { connectGcLocks, type GcLockService, gcLocksOver } from "./txn/gc_connect.js";
export type { GcLocksResult } from "./txn/gc_locks.js";
