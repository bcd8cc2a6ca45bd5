/** PD's HTTP API: regions that lack something, and figures over ranges of regions. */
import { EMPTY_BYTES } from "../../base/index.js";
import { inJointState, isLearner, isRemoving, type RegionInfo, voters } from "../core/index.js";
import type { RaftCluster } from "./cluster.js";
import { regionJson } from "./http_json.js";
import { bootstrapped, fail, ok, parseKey, type Routes } from "./http_route.js";
import type { Json } from "./json.js";

type Check = (region: RegionInfo, cluster: RaftCluster) => boolean;

/** PD's names of what may be wrong with a region. Source: pd pkg/statistics/region_collection.go. */
export const REGION_CHECKS: Readonly<Record<string, Check>> = {
  "miss-peer": ({ meta }, { config }) => voters(meta).length < config.maxReplicas,
  "extra-peer": ({ meta }, { config }) => voters(meta).length > config.maxReplicas,
  "down-peer": ({ downPeers }) => downPeers.length > 0,
  "pending-peer": ({ pendingPeers }) => pendingPeers.length > 0,
  "learner-peer": ({ meta }) => meta.peers.some(isLearner) || inJointState(meta.peers),
  "offline-peer": ({ meta }, { basic }) =>
    meta.peers.some(({ storeId }) => {
      const store = basic.getStore(storeId);
      return store !== undefined && isRemoving(store.meta);
    }),
  "empty-region": ({ stats }) => stats.approximateSizeMiB <= 1n,
};

/** Returns all regions in key order. */
export function allRegions({ basic }: RaftCluster): RegionInfo[] {
  return basic.scanRegions(EMPTY_BYTES, EMPTY_BYTES, 0) as RegionInfo[];
}

function countBy(ids: Iterable<bigint>): Json {
  const counts: Record<string, number> = {};
  for (const id of ids) counts[id.toString()] = (counts[id.toString()] ?? 0) + 1;
  return counts;
}

function figures(regions: readonly RegionInfo[]): Json {
  const sum = (of: (region: RegionInfo) => bigint): bigint =>
    regions.reduce((total, region) => total + of(region), 0n);
  const leaders = regions.flatMap(({ leader }) => (leader === undefined ? [] : [leader.storeId]));
  const peers = regions.flatMap(({ meta }) => meta.peers.map(({ storeId }) => storeId));
  return {
    count: regions.length,
    empty_count: regions.filter(({ stats }) => stats.approximateSizeMiB <= 1n).length,
    storage_size: sum(({ stats }) => stats.approximateSizeMiB),
    storage_keys: sum(({ stats }) => stats.approximateKeys),
    store_leader_count: countBy(leaders),
    store_peer_count: countBy(peers),
  };
}

export const REGION_ROUTES: Routes = bootstrapped({
  "GET regions/check/{}": ({ cluster }, { args: [name = ""] }) => {
    const check = Object.hasOwn(REGION_CHECKS, name) ? REGION_CHECKS[name] : undefined;
    if (check === undefined) return fail(404, `no such check of regions: ${name}`);
    const found = allRegions(cluster).filter((region) => check(region, cluster));
    return ok({ count: found.length, regions: found.map(regionJson) });
  },
  "GET stats/region": ({ cluster }, { query }) => {
    const format = query.get("format");
    const start = parseKey(query.get("start_key") ?? "", format);
    const end = parseKey(query.get("end_key") ?? "", format);
    if (start === undefined || end === undefined) return fail(400, "invalid key");
    return ok(figures(cluster.basic.scanRegions(start, end, 0) as RegionInfo[]));
  },
});
