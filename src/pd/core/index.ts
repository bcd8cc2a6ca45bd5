export {
  BasicCluster,
  type RangeHole,
  type RegionOutcome,
} from "./basic_cluster.js";
export * from "./location.js";
export * from "./peers.js";
export * from "./proto.js";
export * from "./region_info.js";
export { RegionTree } from "./region_tree.js";
export * from "./score.js";
export * from "./store_info.js";
export { balanceSize, type RegionRole, type StoreLoad } from "./store_regions.js";
export * from "./store_rules.js";
