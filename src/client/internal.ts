/** The face for sister folders, wider than what is published. */
export { connectTxnAdmin, type TxnAdmin, txnAdminOver } from "./txn/admin.js";
export type { GcLocksResult } from "./txn/gc_locks.js";
export type { LockView } from "./txn/lock_view.js";
