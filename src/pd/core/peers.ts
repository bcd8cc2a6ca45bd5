/**
 * Questions about the peers of a region: who votes, who is down, which step of a joint change it
 * is in. PURE. Roles are those of the conf-change protocol; a region in a joint state has incoming
 * and demoting voters. Source: pd pkg/core/peer.go, pkg/core/region.go.
 */
import type { PeerMeta, RegionInfo, RegionMeta } from "./region_info.js";

/** PERSISTED (metapb.PeerRole): do not renumber. */
export const PEER_ROLE = { voter: 0, learner: 1, incomingVoter: 2, demotingVoter: 3 } as const;

/** Names of roles in PD's HTTP API, by number. */
export const PEER_ROLE_NAMES = ["Voter", "Learner", "IncomingVoter", "DemotingVoter"] as const;

export function isLearner(peer: PeerMeta): boolean {
  return peer.role === PEER_ROLE.learner;
}

/** Returns whether the peer votes once the joint change it may be in is over. */
export function isVoterOrIncoming(peer: PeerMeta): boolean {
  return peer.role === PEER_ROLE.voter || peer.role === PEER_ROLE.incomingVoter;
}

/** Returns whether the peer does not vote once the joint change it may be in is over. */
export function isLearnerOrDemoting(peer: PeerMeta): boolean {
  return peer.role === PEER_ROLE.learner || peer.role === PEER_ROLE.demotingVoter;
}

/** Returns whether some peer is between two configurations. */
export function inJointState(peers: readonly PeerMeta[]): boolean {
  return peers.some(
    (peer) => peer.role === PEER_ROLE.incomingVoter || peer.role === PEER_ROLE.demotingVoter,
  );
}

/** Returns the peer of the region on a store, whatever its role. */
export function storePeer(meta: RegionMeta, storeId: bigint): PeerMeta | undefined {
  return meta.peers.find((peer) => peer.storeId === storeId);
}

/** Returns the peer on a store if it votes in the old or the new configuration. */
export function storeVoter(meta: RegionMeta, storeId: bigint): PeerMeta | undefined {
  const peer = storePeer(meta, storeId);
  return peer === undefined || isLearner(peer) ? undefined : peer;
}

/** Returns the peers that vote in the old or the new configuration. */
export function voters(meta: RegionMeta): PeerMeta[] {
  return meta.peers.filter((peer) => !isLearner(peer));
}

export function learners(meta: RegionMeta): PeerMeta[] {
  return meta.peers.filter(isLearner);
}

/** Returns the stores that hold a peer, in the order of the peers. */
export function storeIds(meta: RegionMeta): bigint[] {
  return meta.peers.map((peer) => peer.storeId);
}

/** Returns whether the leader reported that the peer lags behind (it waits for a snapshot). */
export function isPending(region: RegionInfo, peerId: bigint): boolean {
  return region.pendingPeers.some((peer) => peer.id === peerId);
}

/** Returns whether the leader reported that it does not hear of the peer. */
export function isDown(region: RegionInfo, peerId: bigint): boolean {
  return region.downPeers.some(({ peer }) => peer.id === peerId);
}

/** Returns whether no peer is down and no voter is pending. Source: pd filter.IsRegionHealthy. */
export function isHealthy(region: RegionInfo): boolean {
  return region.downPeers.length === 0 && region.pendingPeers.every(isLearner);
}
