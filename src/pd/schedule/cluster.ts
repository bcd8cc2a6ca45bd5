/**
 * The cluster as checkers and schedulers see it, and what they may ask of it. PURE: time, ids and
 * chance come from whoever drives; server/cluster.ts does, the simulator too.
 */
import type { Prng } from "../../base/index.js";
import type { BasicCluster, RegionInfo, StoreInfo } from "../core/index.js";
import type { ScheduleConfig } from "./config.js";

export interface ScheduleCluster {
  readonly basic: BasicCluster;
  readonly config: ScheduleConfig;
  readonly prng: Prng;
  /** Monotonic milliseconds; ages of stores and operators are counted on them. */
  nowMs(): number;
  /** Returns an id that nobody has; undefined while none is at hand (ask again later). */
  allocId(): bigint | undefined;
}

/** Returns the stores that hold the region's peers, those that are unknown left out. */
export function regionStores(cluster: ScheduleCluster, region: RegionInfo): StoreInfo[] {
  return region.meta.peers
    .map((peer) => cluster.basic.getStore(peer.storeId))
    .filter((store) => store !== undefined);
}
