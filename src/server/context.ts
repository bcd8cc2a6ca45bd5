/** kvrpcpb.Context to what storage checks, and the cluster id, which the server itself checks. */
import { isZero, type kvrpcpb, toBigInt } from "../pb/index.js";
import type { RequestContext } from "../storage/index.js";

const NO_CONTEXT: RequestContext = {
  regionId: 0n,
  confVer: 0n,
  version: 0n,
  peerId: 0n,
  storeId: 0n,
  term: 0n,
  apiVersion: 0,
  keyspaceId: 0,
  replicaRead: false,
  staleRead: false,
};

/** Returns the fields that storage checks; a missing message reads as zeros. */
export function requestContext(context: kvrpcpb.Context | null): RequestContext {
  if (context === null) return NO_CONTEXT;
  const { regionEpoch, peer } = context;
  return {
    regionId: toBigInt(context.regionId),
    confVer: regionEpoch === null ? 0n : toBigInt(regionEpoch.confVer),
    version: regionEpoch === null ? 0n : toBigInt(regionEpoch.version),
    peerId: peer === null ? 0n : toBigInt(peer.id),
    storeId: peer === null ? 0n : toBigInt(peer.storeId),
    term: toBigInt(context.term),
    apiVersion: context.apiVersion,
    keyspaceId: context.keyspaceId ?? 0,
    replicaRead: context.replicaRead,
    staleRead: context.staleRead,
  };
}

/** Returns whether the context names another cluster; 0 names none. */
export function isOtherCluster(context: kvrpcpb.Context | null, clusterId: bigint): boolean {
  if (context === null || isZero(context.clusterId)) return false;
  return toBigInt(context.clusterId) !== clusterId;
}
