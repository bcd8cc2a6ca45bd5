/** The public face of the Raft core. */
export { leavesJoint } from "./confchange.js";
export { MemoryStorage } from "./memory_storage.js";
export { RAFT_DEFAULTS, type RaftOptions, validateOptions } from "./options.js";
export { ProgressState } from "./progress.js";
export { jointCommitted } from "./quorum.js";
export type { StepError } from "./raft.js";
export { type Proposed, RawNode, type RawNodeDependencies, type Ready } from "./raw_node.js";
export type { ReadState } from "./read_only.js";
export type { ProgressStatus, RaftStatus } from "./status.js";
export type { EntriesResult, FetchContext, InitialState, Storage } from "./storage.js";
export type { Trace, TraceEvent } from "./trace.js";
export * from "./types.js";
export * from "./wire.js";
