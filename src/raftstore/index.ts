export type * from "./commands.js";
export { type DiskUsage, realStatFs, type StatFs } from "./disk.js";
export { type EnginePort, enginePort } from "./engine_port.js";
export { appliedIndexOf } from "./local_state.js";
export { MessageCodec } from "./message_codec.js";
export type { Frame, FrameLimits } from "./message_encode.js";
export { type DecodedFrame, decodeRaftMessage, encodeRaftMessage } from "./message_wire.js";
export type * from "./messages.js";
export {
  RAFTSTORE_DEFAULTS,
  type RaftstoreOptions,
  REPLICATION_DEFAULTS,
  type ReplicationOptions,
} from "./options.js";
export type * from "./pd_port.js";
export { Peer } from "./peer.js";
export type * from "./raft_message.js";
export type * from "./read_delegate.js";
export * from "./region.js";
export { regionMeta } from "./region_meta.js";
export {
  checkKeysInRegion,
  checkRequest,
  type PeerView,
  type RequestHeader,
  type ServedBy,
} from "./request_check.js";
export { MemorySnapDisk, MemorySnapFiles, type SnapFiles } from "./snapshot/files.js";
export { RegionSnapshots, type SnapshotDeps, type SnapshotOptions } from "./snapshot/manager.js";
export { bindSnapshotMetrics } from "./snapshot/metrics.js";
export { NodeSnapFiles } from "./snapshot/node_files.js";
export { gapsBetween, type KeySpan } from "./snapshot/range_jobs.js";
export type * from "./snapshot/types.js";
export { type BootstrapStep, type OpenDeps, openStore } from "./start.js";
export { Store, type StoreDeps, type StoreOptions, type TransportHooks } from "./store.js";
export type * from "./transport.js";
