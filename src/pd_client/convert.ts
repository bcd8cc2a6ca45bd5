/** pdpb and metapb messages ⇄ plain values. */
import {
  fromBigInt,
  type keyspacepb,
  metapb,
  type pdpb,
  toBigInt,
  toNumberSaturating,
} from "../pb/index.js";
import type {
  KeyspaceInfo,
  LocatedRegion,
  MemberInfo,
  PeerInfo,
  RegionInfo,
  RegionReport,
  StoreInfo,
  StoreRecord,
  StoreStateName,
  StoreStats,
} from "./types.js";

/** Returns a peer. */
export function peerInfo(peer: metapb.Peer): PeerInfo {
  const { role } = peer;
  // A role of a later version counts as a voter, which may answer.
  const known = role === 1 || role === 2 || role === 3 ? role : 0;
  return { id: toBigInt(peer.id), storeId: toBigInt(peer.storeId), role: known };
}

/** Returns metapb.Peer of a peer. */
export function peerMessage(peer: PeerInfo): metapb.IPeer {
  return { id: fromBigInt(peer.id), storeId: fromBigInt(peer.storeId), role: peer.role };
}

/** Returns a region; its keys are copies, so it may outlive the message. */
export function regionInfo(region: metapb.Region): RegionInfo {
  return {
    id: toBigInt(region.id),
    startKey: Uint8Array.from(region.startKey),
    endKey: Uint8Array.from(region.endKey),
    confVer: toBigInt(region.regionEpoch?.confVer ?? 0),
    version: toBigInt(region.regionEpoch?.version ?? 0),
    peers: region.peers.map(peerInfo),
  };
}

/** Returns a region with its leader; a leader with store id 0 means that there is none. */
export function locatedRegion(
  region: metapb.Region,
  leader: metapb.Peer | null,
  down: readonly pdpb.PeerStats[],
  pending: readonly metapb.Peer[],
): LocatedRegion {
  const peer = leader === null ? undefined : peerInfo(leader);
  return {
    ...regionInfo(region),
    leader: peer === undefined || peer.storeId === 0n ? undefined : peer,
    downPeerIds: down.map((stats) => toBigInt(stats.peer?.id ?? 0)),
    pendingPeerIds: pending.map((item) => toBigInt(item.id)),
  };
}

/** Returns metapb.Region of a region. */
export function regionMessage(region: RegionInfo): metapb.IRegion {
  return {
    id: fromBigInt(region.id),
    startKey: region.startKey,
    endKey: region.endKey,
    regionEpoch: { confVer: fromBigInt(region.confVer), version: fromBigInt(region.version) },
    peers: region.peers.map(peerMessage),
  };
}

/** Returns metapb.Store of a store. */
export function storeMessage(store: StoreInfo): metapb.IStore {
  return { ...store, id: fromBigInt(store.id), state: metapb.StoreState.Up };
}

const STATES: readonly StoreStateName[] = ["Up", "Offline", "Tombstone"];

/** Returns a store with PD's view of it. */
export function storeRecord(store: metapb.Store): StoreRecord {
  const state = STATES[store.state] ?? "Up";
  return {
    id: toBigInt(store.id),
    address: store.address,
    statusAddress: store.statusAddress,
    version: store.version,
    gitHash: store.gitHash,
    startTimestamp: toNumberSaturating(store.startTimestamp),
    deployPath: store.deployPath,
    labels: store.labels.map(({ key, value }) => ({ key, value })),
    state,
    removed: state === "Tombstone" || store.nodeState === metapb.NodeState.Removed,
    lastHeartbeat: toBigInt(store.lastHeartbeat),
  };
}

/** Returns pdpb.StoreStats of a store's figures. */
export function storeStatsMessage(stats: StoreStats): pdpb.IStoreStats {
  const { interval, ...figures } = stats;
  return {
    ...figures,
    storeId: fromBigInt(stats.storeId),
    interval: { startTimestamp: interval.start, endTimestamp: interval.end },
  };
}

/** Returns the heartbeat of a region, without its header. */
export function regionHeartbeatMessage(report: RegionReport): pdpb.IRegionHeartbeatRequest {
  const { downPeers = [], interval, leaderPeerId, pendingPeers = [], region, term } = report;
  const leader = region.peers.find((peer) => peer.id === leaderPeerId);
  return {
    region: regionMessage(region),
    leader: peerMessage(leader ?? { id: leaderPeerId, storeId: 0n, role: 0 }),
    term: fromBigInt(term),
    downPeers: downPeers.map(({ downSeconds, peer }) => ({ downSeconds, peer: peerMessage(peer) })),
    pendingPeers: pendingPeers.map(peerMessage),
    approximateSize: report.approximateSize,
    approximateKeys: report.approximateKeys,
    bytesWritten: report.bytesWritten,
    bytesRead: report.bytesRead,
    keysWritten: report.keysWritten,
    keysRead: report.keysRead,
    interval: { startTimestamp: interval.start, endTimestamp: interval.end },
  };
}

/** Returns a member; `leaderId` is the id of the one that leads. */
export function memberInfo(member: pdpb.Member, leaderId: bigint): MemberInfo {
  const id = toBigInt(member.memberId);
  return { id, name: member.name, clientUrls: member.clientUrls, isLeader: id === leaderId };
}

/** Returns a keyspace. */
export function keyspaceInfo(meta: keyspacepb.KeyspaceMeta): KeyspaceInfo {
  return { id: meta.id ?? 0, name: meta.name, enabled: meta.state === 0 };
}
