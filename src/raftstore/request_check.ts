/**
 * The checks of a request's context against the peers of this store, in TiKV's order. Pure.
 * Key ranges are checked after these, by the code that knows the keys.
 * Source: tikv raftstore/store/worker/read.rs and fsm/peer.rs pre_propose_raft_command.
 */
import { err, keyInRange, ok, type Result } from "../base/index.js";
import { checkRegionEpoch } from "./epoch.js";
import { keyNotInRegion, type PeerInfo, type RegionError, type RegionInfo } from "./region.js";

/** A replica on this store, as the checks see it. */
export interface PeerView {
  readonly region: RegionInfo;
  readonly peerId: bigint;
  readonly term: bigint;
  readonly isLeader: boolean;
  /** The leader as far as known; never this peer while it follows. */
  readonly leader: PeerInfo | undefined;
}

/** kvrpcpb.Context, the part that decides whether this store may serve; absent fields are 0. */
export interface RequestHeader {
  readonly regionId: bigint;
  readonly confVer: bigint;
  readonly version: bigint;
  readonly peerId: bigint;
  readonly storeId: bigint;
  readonly term: bigint;
}

/** Returns the refusal of a peer that does not lead; names the leader, if it knows one. */
export function notLeader({ region, leader }: PeerView): RegionError {
  const hint = leader === undefined ? "None" : `Some(id: ${leader.id} store_id: ${leader.storeId})`;
  const message = `peer is not leader for region ${region.id}, leader may ${hint}`;
  const base = { kind: "notLeader", message, regionId: region.id } as const;
  return leader === undefined ? base : { ...base, leader };
}

/** Who may serve: the leader alone, or any replica (replica read, stale read, read index). */
export type ServedBy = "leader" | "replica";

function storeNotMatch(requestStoreId: bigint, actualStoreId: bigint): RegionError {
  const message = `to store id ${requestStoreId}, mine ${actualStoreId}`;
  return { kind: "storeNotMatch", message, requestStoreId, actualStoreId };
}

/**
 * The checks before term and epoch: store, peer, leader, and that there is data. Returns the first
 * refusal.
 */
export function checkPeer(
  header: RequestHeader,
  storeId: bigint,
  peer: PeerView,
  by: ServedBy,
): RegionError | undefined {
  if (header.storeId !== storeId) return storeNotMatch(header.storeId, storeId);
  if (header.peerId !== peer.peerId) {
    return {
      kind: "mismatchPeerId",
      message: `mismatch peer id ${header.peerId} != ${peer.peerId}`,
      requestPeerId: header.peerId,
      storePeerId: peer.peerId,
    };
  }
  if (by === "leader" && !peer.isLeader) return notLeader(peer);
  if (peer.region.peers.length > 0) return undefined;
  const regionId = peer.region.id;
  return {
    kind: "regionNotInitialized",
    message: `region ${regionId} is not initialized`,
    regionId,
  };
}

/** Returns the peer that serves the request, or the first region error in TiKV's order. */
export function checkRequest<P extends PeerView>(
  header: RequestHeader,
  storeId: bigint,
  find: (regionId: bigint) => P | undefined,
  by: ServedBy = "leader",
): Result<P, RegionError> {
  if (header.storeId !== storeId) return err(storeNotMatch(header.storeId, storeId));
  const peer = find(header.regionId);
  if (peer === undefined) {
    return err({
      kind: "regionNotFound",
      message: `region ${header.regionId} not found`,
      regionId: header.regionId,
    });
  }
  const problem = checkPeer(header, storeId, peer, by);
  if (problem !== undefined) return err(problem);
  // One term behind may still be the same leader; two behind, leadership has moved away and back.
  if (header.term !== 0n && peer.term > header.term + 1n) {
    return err({ kind: "staleCommand", message: "stale command" });
  }
  const stale = checkRegionEpoch(header, peer.region);
  return stale === undefined ? ok(peer) : err(stale);
}

/** Checks that each key lies in `[start, end)` of the region. */
export function checkKeysInRegion(
  keys: readonly Uint8Array[],
  region: RegionInfo,
): RegionError | undefined {
  for (const key of keys) {
    if (!keyInRange(key, region.startKey, region.endKey)) return keyNotInRegion(key, region);
  }
  return undefined;
}
