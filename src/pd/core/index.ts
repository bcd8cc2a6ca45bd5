export {
  BasicCluster,
  type RangeHole,
  type RegionOutcome,
  type StoreLoad,
} from "./basic_cluster.js";
export * from "./proto.js";
export * from "./region_info.js";
export { RegionTree } from "./region_tree.js";
export * from "./store_info.js";
export * from "./store_rules.js";
