export { apiVersionOf, STORAGE_DEFAULTS, type StorageOptions } from "./options.js";
export type { CheckLeaderPort, LeaderInfo } from "./resolved_ts/advance.js";
export { type RunningStore, type StartDeps, type StartOptions, startStore } from "./start.js";
export type { DeadlockHooks, OpenDeadlockTransport } from "./txn_deadlock.js";
export type * from "./txn_types.js";
export * from "./types.js";
