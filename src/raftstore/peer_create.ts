/**
 * Messages for regions without a peer here: which of them make one, which wait for a split, which
 * are answered. Source: tikv raftstore/store/fsm/store.rs check_msg, maybe_create_peer.
 */
import { EMPTY_BYTES } from "../base/index.js";
import { MessageType } from "../raft/index.js";
import {
  PEER_STATE,
  RAFT_INIT_LOG_INDEX,
  RAFT_INIT_LOG_TERM,
  type RegionLocalState,
} from "./local_state.js";
import { asksVote, epochNumbers, isEpochBehind } from "./peer_message.js";
import { mayCreatePeer } from "./peer_send.js";
import { EXTRA_MESSAGE, type RaftMessage } from "./raft_message.js";
import type { DropReason } from "./raft_metrics.js";
import type { RegionInfo } from "./region.js";
import type { StoreMeta } from "./store_meta.js";

export type CreateVerdict =
  | { readonly kind: "create" }
  /** A split will make the peer: the vote is kept for it. */
  | { readonly kind: "keep" }
  | { readonly kind: "drop"; readonly reason: DropReason }
  /** The sender was removed: it is told the region's epoch. */
  | { readonly kind: "tombstone"; readonly region: RegionInfo }
  /** The sender asks whether it is still a member: it is told the region. */
  | { readonly kind: "tellRegion"; readonly region: RegionInfo };

/**
 * Whether a message is among the first that a peer of a split region gets: a vote, or the first
 * append, of the first term.
 */
export function isFirstMessage({ message }: RaftMessage): boolean {
  if (message === undefined) return false;
  if (asksVote(message)) return true;
  return (
    message.type === MessageType.Append &&
    message.term === RAFT_INIT_LOG_TERM + 1 &&
    message.index === RAFT_INIT_LOG_INDEX
  );
}

/** Judges a message by what the engine holds of its region. Pure. */
export function judgeUnknown(
  message: RaftMessage,
  ownStoreId: number,
  state: RegionLocalState | undefined,
): CreateVerdict {
  const { toPeer, fromPeer, epoch } = message;
  if (toPeer.storeId !== ownStoreId) return { kind: "drop", reason: "mismatch_store_id" };
  if (message.isTombstone) return { kind: "drop", reason: "region_nonexistent" };
  if (state === undefined) return judgeFresh(message);
  if (state.state !== PEER_STATE.Tombstone) {
    // The peer of a split that is applied and not yet registered, or of a snapshot at the start.
    if (isFirstMessage(message)) return { kind: "keep" };
    return { kind: "drop", reason: "region_nonexistent" };
  }
  const { region } = state;
  const isMember = region.peers.some(({ id }) => Number(id) === fromPeer.id);
  if (isEpochBehind(epoch, epochNumbers(region))) {
    if (message.extra === EXTRA_MESSAGE.CheckStalePeer || (isMember && asksVote(message.message))) {
      if (isMember) return { kind: "tellRegion", region };
    }
    return isMember
      ? { kind: "drop", reason: "region_tombstone_peer" }
      : { kind: "tombstone", region };
  }
  const own = region.peers.find(({ storeId }) => Number(storeId) === ownStoreId);
  if (own !== undefined && toPeer.id <= Number(own.id)) {
    return { kind: "drop", reason: "region_tombstone_peer" };
  }
  return judgeFresh(message);
}

function judgeFresh({ message }: RaftMessage): CreateVerdict {
  if (message !== undefined && mayCreatePeer(message)) return { kind: "create" };
  return { kind: "drop", reason: "region_nonexistent" };
}

/** What stands in the way of making a peer. */
export type CreateObstacle = "cleaning" | "claimed" | "overlap";

/**
 * Claims a region for a peer that a message makes; undefined when it may be made. A region that
 * overlaps must first split or go.
 */
export function claimCreate(meta: StoreMeta, message: RaftMessage): CreateObstacle | undefined {
  const { regionId, toPeer, startKey, endKey } = message;
  if (meta.cleaning.has(regionId)) return "cleaning";
  if (meta.overlapping({ startKey, endKey }, regionId).length > 0) return "overlap";
  return meta.creates.claimForMessage(regionId, toPeer.id) ? undefined : "claimed";
}

/** Returns the region of a peer that a message makes: nothing is known but its id. */
export function uninitializedRegion(regionId: number): RegionInfo {
  const id = BigInt(regionId);
  return { id, startKey: EMPTY_BYTES, endKey: EMPTY_BYTES, confVer: 0n, version: 0n, peers: [] };
}
