/** The face for sister folders, wider than what is published. */
export { connectGcLocks, type GcLockService } from "./gc_connect.js";
export type { GcLocksResult } from "./gc_locks.js";
