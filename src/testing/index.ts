export { Cluster, type ClusterStore, type LinkFilter, type RequestFilter } from "./cluster.js";
export { ControlServer } from "./control_server.js";
export type { Party } from "./network.js";
export { ClusterError, type ClusterOptions, type ConfigValue } from "./options.js";
export { REGION_ERROR_KINDS, type RegionErrorKind } from "./region_errors.js";
export { runTestUp } from "./up.js";
