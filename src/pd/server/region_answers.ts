/** Regions as the answers of pdpb.PD carry them. */
import { fromBigInt, type pdpb, toBigInt, u64MapKey } from "../../pb/index.js";
import {
  type BasicCluster,
  bucketsToPb,
  downPeerToPb,
  peerToPb,
  type RegionInfo,
  regionToPb,
} from "../core/index.js";

/** pdpb.RegionResponse and pdpb.Region, which have the same fields. */
export function regionAnswer(region: RegionInfo, needBuckets: boolean): pdpb.IRegion {
  return {
    region: regionToPb(region.meta),
    leader: region.leader === undefined ? null : peerToPb(region.leader),
    downPeers: region.downPeers.map(downPeerToPb),
    pendingPeers: region.pendingPeers.map(peerToPb),
    buckets: needBuckets ? bucketsToPb(region) : null,
  };
}

/** As `regionAnswer`, with an empty leader where none is known: what scans answer. */
export function scannedRegion(region: RegionInfo, needBuckets: boolean): pdpb.IRegion {
  const answer = regionAnswer(region, needBuckets);
  return { ...answer, leader: answer.leader ?? {} };
}

/**
 * Returns the answer to one QueryRegion request. The id maps are as long as the keys asked for, 0
 * where no region is; clients index them by position. Ids that are not found are left out.
 */
export function queryRegions(
  cluster: BasicCluster,
  request: pdpb.QueryRegionRequest,
): Omit<pdpb.IQueryRegionResponse, "header"> {
  const regionsById: Record<string, pdpb.IRegionResponse> = {};
  const note = (region: RegionInfo | undefined): bigint => {
    if (region === undefined) return 0n;
    regionsById[u64MapKey(region.meta.id)] ??= regionAnswer(region, request.needBuckets);
    return region.meta.id;
  };
  const keyIdMap = request.keys.map((key) => fromBigInt(note(cluster.tree.search(key))));
  const prevKeyIdMap = request.prevKeys.map((key) =>
    fromBigInt(note(cluster.tree.searchPrev(key))),
  );
  for (const id of request.ids) note(cluster.getRegion(toBigInt(id)));
  return { keyIdMap, prevKeyIdMap, regionsById };
}
