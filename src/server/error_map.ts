/**
 * The one place where errors of storage become protobuf. Not here: gRPC status codes
 * (grpc_status.ts). Texts are TiKV's and come with the error.
 */
import { unreachable } from "../base/index.js";
import { type errorpb, fromBigInt, type kvrpcpb, type metapb } from "../pb/index.js";
import type { PeerInfo, RegionError, RegionInfo } from "../storage/index.js";

function peerToProto(peer: PeerInfo): metapb.IPeer {
  return { id: fromBigInt(peer.id), storeId: fromBigInt(peer.storeId), role: peer.role };
}

/** Returns the metapb.Region that says the same. */
export function regionToProto(region: RegionInfo): metapb.IRegion {
  return {
    id: fromBigInt(region.id),
    startKey: region.startKey,
    endKey: region.endKey,
    regionEpoch: {
      confVer: fromBigInt(region.confVer),
      version: fromBigInt(region.version),
    },
    peers: region.peers.map(peerToProto),
  };
}

/** Returns the errorpb.Error that says the same. */
export function regionErrorToProto(error: RegionError): errorpb.IError {
  const { message } = error;
  switch (error.kind) {
    case "notLeader": {
      const regionId = fromBigInt(error.regionId);
      const leader = error.leader === undefined ? undefined : peerToProto(error.leader);
      return { message, notLeader: { regionId, leader } };
    }
    case "regionNotFound":
      return { message, regionNotFound: { regionId: fromBigInt(error.regionId) } };
    case "keyNotInRegion": {
      const { key, startKey, endKey } = error;
      const regionId = fromBigInt(error.regionId);
      return { message, keyNotInRegion: { key, regionId, startKey, endKey } };
    }
    case "epochNotMatch":
      return {
        message,
        epochNotMatch: { currentRegions: error.currentRegions.map(regionToProto) },
      };
    case "serverIsBusy": {
      const backoffMs = fromBigInt(BigInt(Math.trunc(error.backoffMs)));
      return { message, serverIsBusy: { reason: error.reason, backoffMs } };
    }
    case "staleCommand":
      return { message, staleCommand: {} };
    case "storeNotMatch": {
      const requestStoreId = fromBigInt(error.requestStoreId);
      const actualStoreId = fromBigInt(error.actualStoreId);
      return { message, storeNotMatch: { requestStoreId, actualStoreId } };
    }
    case "raftEntryTooLarge": {
      const entrySize = fromBigInt(BigInt(error.entrySize));
      return { message, raftEntryTooLarge: { regionId: fromBigInt(error.regionId), entrySize } };
    }
    case "mismatchPeerId": {
      const requestPeerId = fromBigInt(error.requestPeerId);
      const storePeerId = fromBigInt(error.storePeerId);
      return { message, mismatchPeerId: { requestPeerId, storePeerId } };
    }
    case "readIndexNotReady":
      return {
        message,
        readIndexNotReady: { reason: error.reason, regionId: fromBigInt(error.regionId) },
      };
    case "regionNotInitialized":
      return { message, regionNotInitialized: { regionId: fromBigInt(error.regionId) } };
    case "dataIsNotReady": {
      const regionId = fromBigInt(error.regionId);
      const peerId = fromBigInt(error.peerId);
      return { message, dataIsNotReady: { regionId, peerId, safeTs: fromBigInt(error.safeTs) } };
    }
    case "maxTimestampNotSynced":
      return { message, maxTimestampNotSynced: {} };
    case "diskFull":
      return {
        message,
        diskFull: { storeId: error.storeIds.map(fromBigInt), reason: error.reason },
      };
    case "other":
      return { message };
    default:
      return unreachable(error);
  }
}

/**
 * Returns the pair list by which responses without an error field (RawBatchGet, RawScan,
 * RawBatchScan) report a key error: one pair that holds it.
 */
export function errorPairs(message: string): kvrpcpb.IKvPair[] {
  return [{ error: { abort: message } }];
}
