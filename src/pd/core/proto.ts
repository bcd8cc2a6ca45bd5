/**
 * Stores and regions between their protobuf messages and the values of this folder. PURE. Used by
 * the gRPC service and by storage, whose records are PD's protobuf messages.
 * Byte fields of decoded messages are views into the frame; what is kept is copied here.
 */
import { fromBigInt, fromSignedBigInt, type metapb, type pdpb, toBigInt } from "../../pb/index.js";
import type { DownPeer, PeerMeta, PeerRole, RegionInfo, RegionMeta } from "./region_info.js";
import type { StoreMeta, StoreStats } from "./store_info.js";

const BYTES_PER_MIB = 1024n * 1024n;
/** A region that is not empty counts as 1 MiB at least. Source: pd EmptyRegionApproximateSize. */
const REGION_SIZE_MIN_MIB = 1n;

export function peerFromPb(peer: metapb.Peer): PeerMeta {
  return {
    id: toBigInt(peer.id),
    storeId: toBigInt(peer.storeId),
    role: peer.role as PeerRole,
    isWitness: peer.isWitness,
  };
}

export function peerToPb(peer: PeerMeta): metapb.IPeer {
  return {
    id: fromBigInt(peer.id),
    storeId: fromBigInt(peer.storeId),
    role: peer.role,
    isWitness: peer.isWitness,
  };
}

export function regionFromPb(region: metapb.Region): RegionMeta {
  const epoch = region.regionEpoch;
  return {
    id: toBigInt(region.id),
    startKey: region.startKey.slice(),
    endKey: region.endKey.slice(),
    confVer: epoch === null ? 0n : toBigInt(epoch.confVer),
    version: epoch === null ? 0n : toBigInt(epoch.version),
    peers: region.peers.map(peerFromPb),
    isInFlashback: region.isInFlashback,
    flashbackStartTs: toBigInt(region.flashbackStartTs),
  };
}

export function regionToPb(meta: RegionMeta): metapb.IRegion {
  return {
    id: fromBigInt(meta.id),
    startKey: meta.startKey,
    endKey: meta.endKey,
    regionEpoch: { confVer: fromBigInt(meta.confVer), version: fromBigInt(meta.version) },
    peers: meta.peers.map(peerToPb),
    isInFlashback: meta.isInFlashback,
    flashbackStartTs: fromBigInt(meta.flashbackStartTs),
  };
}

export function downPeerToPb(down: DownPeer): pdpb.IPeerStats {
  return { peer: peerToPb(down.peer), downSeconds: fromBigInt(down.seconds) };
}

export function bucketsToPb(region: RegionInfo): metapb.IBuckets | null {
  if (region.buckets === undefined) return null;
  return {
    regionId: fromBigInt(region.meta.id),
    version: fromBigInt(region.buckets.version),
    keys: [...region.buckets.keys],
  };
}

/**
 * Returns the region of a heartbeat, or undefined without region or leader.
 * Sizes become MiB, at least 1 for a region that is not empty.
 */
export function regionFromHeartbeat(request: pdpb.RegionHeartbeatRequest): RegionInfo | undefined {
  const { region, leader } = request;
  if (region === null || leader === null) return undefined;
  const bytes = toBigInt(request.approximateSize);
  const sizeMiB = bytes / BYTES_PER_MIB;
  return {
    meta: regionFromPb(region),
    leader: peerFromPb(leader),
    downPeers: request.downPeers.flatMap((down) =>
      down.peer === null
        ? []
        : [{ peer: peerFromPb(down.peer), seconds: toBigInt(down.downSeconds) }],
    ),
    pendingPeers: request.pendingPeers.map(peerFromPb),
    buckets:
      request.bucketMeta === null
        ? undefined
        : {
            version: toBigInt(request.bucketMeta.version),
            keys: request.bucketMeta.keys.map((key) => key.slice()),
          },
    stats: {
      term: toBigInt(request.term),
      approximateSizeMiB:
        bytes > 0n && sizeMiB < REGION_SIZE_MIN_MIB ? REGION_SIZE_MIN_MIB : sizeMiB,
      approximateKeys: toBigInt(request.approximateKeys),
      bytesWritten: toBigInt(request.bytesWritten),
      bytesRead: toBigInt(request.bytesRead),
      keysWritten: toBigInt(request.keysWritten),
      keysRead: toBigInt(request.keysRead),
    },
  };
}

export function storeFromPb(store: metapb.Store): StoreMeta {
  return {
    id: toBigInt(store.id),
    address: store.address,
    state: store.state,
    labels: store.labels.map(({ key, value }) => ({ key, value })),
    version: store.version,
    peerAddress: store.peerAddress,
    statusAddress: store.statusAddress,
    gitHash: store.gitHash,
    startTimestamp: toBigInt(store.startTimestamp),
    deployPath: store.deployPath,
    lastHeartbeat: toBigInt(store.lastHeartbeat),
    physicallyDestroyed: store.physicallyDestroyed,
    nodeState: store.nodeState,
  };
}

export function storeToPb(meta: StoreMeta): metapb.IStore {
  return {
    id: fromBigInt(meta.id),
    address: meta.address,
    state: meta.state,
    labels: meta.labels.map(({ key, value }) => ({ key, value })),
    version: meta.version,
    peerAddress: meta.peerAddress,
    statusAddress: meta.statusAddress,
    gitHash: meta.gitHash,
    startTimestamp: fromSignedBigInt(meta.startTimestamp),
    deployPath: meta.deployPath,
    lastHeartbeat: fromSignedBigInt(meta.lastHeartbeat),
    physicallyDestroyed: meta.physicallyDestroyed,
    nodeState: meta.nodeState,
  };
}

export function statsFromPb(stats: pdpb.StoreStats): StoreStats {
  return {
    capacity: toBigInt(stats.capacity),
    available: toBigInt(stats.available),
    usedSize: toBigInt(stats.usedSize),
    regionCount: stats.regionCount,
    sendingSnapCount: stats.sendingSnapCount,
    receivingSnapCount: stats.receivingSnapCount,
    applyingSnapCount: stats.applyingSnapCount,
    isBusy: stats.isBusy,
    slowScore: toBigInt(stats.slowScore),
    startTime: stats.startTime,
  };
}

export function statsToPb(storeId: bigint, stats: StoreStats): pdpb.IStoreStats {
  return {
    storeId: fromBigInt(storeId),
    capacity: fromBigInt(stats.capacity),
    available: fromBigInt(stats.available),
    usedSize: fromBigInt(stats.usedSize),
    regionCount: stats.regionCount,
    sendingSnapCount: stats.sendingSnapCount,
    receivingSnapCount: stats.receivingSnapCount,
    applyingSnapCount: stats.applyingSnapCount,
    isBusy: stats.isBusy,
    slowScore: fromBigInt(stats.slowScore),
    startTime: stats.startTime,
  };
}
