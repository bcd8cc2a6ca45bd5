export { type DiskUsage, realStatFs, type StatFs } from "./disk.js";
export { RAFTSTORE_DEFAULTS, type RaftstoreOptions } from "./options.js";
export type * from "./pd_port.js";
export { Peer } from "./peer.js";
export * from "./region.js";
export { regionMeta } from "./region_meta.js";
export {
  checkKeysInRegion,
  checkRequest,
  type PeerView,
  type RequestHeader,
} from "./request_check.js";
export {
  type BootstrapStep,
  openStore,
  Store,
  type StoreDeps,
  type StoreOptions,
} from "./store.js";
