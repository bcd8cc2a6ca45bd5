/**
 * Messages of other peers: who may speak to this one, what a stale speaker is told, and which
 * snapshots are taken. Source: tikv raftstore/store/fsm/peer.rs on_raft_message, check_snapshot.
 */
import { unreachable } from "../base/index.js";
import { type Message, MessageType, Role, type Snapshot } from "../raft/index.js";
import type { Peer } from "./peer.js";
import type { PeerContext } from "./peer_context.js";
import { startDestroy } from "./peer_destroy.js";
import { messageBase } from "./peer_send.js";
import {
  type EpochNumbers,
  EXTRA_MESSAGE,
  type RaftMessage,
  type RaftPeer,
} from "./raft_message.js";
import type { DropReason } from "./raft_metrics.js";
import { judgedContext } from "./read.js";
import type { RegionInfo } from "./region.js";
import type { SnapKey } from "./snapshot/types.js";

/** Returns the epoch of a region as messages carry it. */
export function epochNumbers(region: RegionInfo): EpochNumbers {
  return { confVer: Number(region.confVer), version: Number(region.version) };
}

/** Returns whether `epoch` is behind `other` in any field. */
export function isEpochBehind(epoch: EpochNumbers, other: EpochNumbers): boolean {
  return epoch.version < other.version || epoch.confVer < other.confVer;
}

/** Returns whether a message asks for a vote. */
export function asksVote(message: Message | undefined): boolean {
  const type = message?.type;
  return type === MessageType.RequestVote || type === MessageType.RequestPreVote;
}

function hasPeer(region: RegionInfo, { id }: RaftPeer): boolean {
  return region.peers.some((peer) => Number(peer.id) === id);
}

/** What is done with a message: see 3.6 of the semantics. */
export type Verdict =
  | { readonly kind: "step" }
  | { readonly kind: "drop"; readonly reason: DropReason }
  /** The sender is gone: tell it, if `tell`. */
  | { readonly kind: "staleSender"; readonly tell: boolean }
  /** This peer was removed. */
  | { readonly kind: "removed" }
  /** A newer peer of this store is meant: this one goes, the message comes again. */
  | { readonly kind: "replaced" };

/** Judges a message to the peer `own` of `region` on store `storeId`. Pure. */
export function judgeMessage(
  message: RaftMessage,
  own: { readonly storeId: number; readonly peerId: number; readonly region: RegionInfo },
): Verdict {
  const { toPeer, fromPeer, epoch, isTombstone } = message;
  if (toPeer.storeId !== own.storeId) return { kind: "drop", reason: "mismatch_store_id" };
  const ownEpoch = epochNumbers(own.region);
  if (isTombstone) {
    const goes = toPeer.id === own.peerId && isEpochBehind(ownEpoch, epoch);
    return goes ? { kind: "removed" } : { kind: "drop", reason: "stale_msg" };
  }
  if (isEpochBehind(epoch, ownEpoch) && !hasPeer(own.region, fromPeer)) {
    return { kind: "staleSender", tell: asksVote(message.message) };
  }
  if (toPeer.id < own.peerId) return { kind: "drop", reason: "stale_msg" };
  return toPeer.id > own.peerId ? { kind: "replaced" } : { kind: "step" };
}

/** Takes a message of another peer. */
export function onRaftMessage(peer: Peer, ctx: PeerContext, message: RaftMessage): void {
  if (!peer.isActive) {
    drop(ctx, "region_tombstone_peer");
    return;
  }
  const own = {
    storeId: Number(ctx.storeId),
    peerId: peer.peerNumber,
    region: peer.region,
  };
  const verdict = judgeMessage(message, own);
  switch (verdict.kind) {
    case "drop":
      drop(ctx, verdict.reason);
      return;
    case "staleSender":
      drop(ctx, "mismatch_region_epoch");
      if (verdict.tell) sendTombstone(peer, ctx, message.fromPeer);
      return;
    case "removed":
      remove(peer, ctx, undefined);
      return;
    case "replaced":
      remove(peer, ctx, message);
      return;
    case "step":
      peer.noteSpeaker(message.fromPeer);
      onTaken(peer, ctx, message);
      return;
    default:
      unreachable(verdict);
  }
}

function drop(ctx: PeerContext, reason: DropReason): void {
  ctx.metrics.dropped[reason]++;
}

/** The question of a follower's reads, with what this leader says about their check. */
function judged(question: Message, ctx: PeerContext): Message {
  const context = judgedContext(question.context, (check) => ctx.store.judgeRead(check));
  return { ...question, context };
}

/** Destroys the peer once what is handed out is applied: it may hold proposals of others. */
function remove(peer: Peer, ctx: PeerContext, redeliver: RaftMessage | undefined): void {
  peer.removal = { redeliver: redeliver ?? peer.removal?.redeliver };
  if (peer.isCaughtUp) startDestroy(peer, ctx);
}

/** Tells a peer that it was removed. */
export function sendTombstone(peer: Peer, ctx: PeerContext, toPeer: RaftPeer): void {
  ctx.transport.send({ ...messageBase(peer, toPeer), isTombstone: true });
}

function onTaken(peer: Peer, ctx: PeerContext, message: RaftMessage): void {
  if (message.extra !== EXTRA_MESSAGE.None) {
    onExtra(peer, ctx, message);
    return;
  }
  const raft = message.message;
  if (raft === undefined) return;
  if (raft.type === MessageType.Snapshot) {
    onSnapshotMessage(peer, ctx, message);
    return;
  }
  // A quorum may know the split already: what is behind it is another leader's.
  const leads = peer.rawNode.role === Role.Leader;
  if (raft.type === MessageType.ReadIndex && leads && peer.isSplitting) return;
  const asked = raft.type === MessageType.ReadIndex && leads;
  peer.rawNode.step(asked ? judged(raft, ctx) : raft);
  if (raft.from === peer.rawNode.leader) peer.leaderHeard = true;
  // PD waits for a new replica's data: the next beat may be a minute away.
  if (raft.type === MessageType.AppendResponse && peer.takeCaughtUp(raft.from)) {
    ctx.store.onRegionChanged(peer);
  }
}

function onExtra(peer: Peer, ctx: PeerContext, message: RaftMessage): void {
  if (message.extra === EXTRA_MESSAGE.CheckStalePeerResponse) {
    if (message.checkRegion !== undefined) peer.stale.onResponse(peer.region, message.checkRegion);
    return;
  }
  // Who has no data knows nothing of the region.
  if (!peer.storage.isInitialized) return;
  ctx.transport.send({
    ...messageBase(peer, message.fromPeer),
    extra: EXTRA_MESSAGE.CheckStalePeerResponse,
    checkRegion: peer.region,
  });
}

/** Steps a snapshot if its data is here and fits among the store's regions. */
function onSnapshotMessage(peer: Peer, ctx: PeerContext, message: RaftMessage): void {
  const raft = message.message as Message;
  const snapshot = raft.snapshot as Snapshot | null;
  if (snapshot === null) return;
  if (peer.incoming !== undefined) {
    drop(ctx, "applying_snap");
    return;
  }
  const { index, term } = snapshot.metadata;
  const key = { regionId: peer.regionId, term, index };
  if (index <= peer.rawNode.committed) {
    // Raft answers what it has; the file is of no use.
    peer.rawNode.step(raft);
    ctx.snapshots.release(key);
    return;
  }
  const region = ctx.snapshots.describe(snapshot.data)?.region;
  if (region === undefined || !ctx.snapshots.has(key)) {
    drop(ctx, "stale_msg");
    return;
  }
  if (!hasPeer(region, message.toPeer)) {
    ctx.snapshots.release(key);
    drop(ctx, "region_no_peer");
    return;
  }
  const overlapping = ctx.meta.overlapping(region, peer.regionId);
  if (overlapping.length > 0 || ctx.meta.creates.isSplitting(peer.regionId)) {
    ctx.logger.info("snapshot overlaps", { region_id: peer.regionId, regions: overlapping });
    ctx.snapshots.release(key);
    drop(ctx, "region_overlap");
    return;
  }
  if (!peer.isCaughtUp) {
    const before = peer.heldSnapshot;
    peer.heldSnapshot = message;
    if (before !== undefined) releaseOlder(ctx, before, key);
    return;
  }
  peer.incoming = { key, region };
  peer.rawNode.step(raft);
  if (!peer.rawNode.awaitsSnapshot) {
    peer.incoming = undefined;
    ctx.snapshots.release(key);
    return;
  }
  const { startKey, endKey } = peer.region;
  const before = peer.storage.isInitialized ? [{ startKey, endKey }] : [];
  ctx.meta.setSpans(peer.regionId, [...before, region]);
  ctx.store.onViewChanged(peer);
}

/** Forgets the data of a snapshot that a newer one replaces. */
function releaseOlder(ctx: PeerContext, { message, regionId }: RaftMessage, newer: SnapKey): void {
  const metadata = message?.snapshot?.metadata;
  if (metadata === undefined) return;
  const { index, term } = metadata;
  if (index !== newer.index || term !== newer.term)
    ctx.snapshots.release({ regionId, index, term });
}

/** Takes a snapshot message that waited for the delegate. */
export function retryHeldSnapshot(peer: Peer, ctx: PeerContext): void {
  const held = peer.heldSnapshot;
  if (held === undefined || !peer.isActive || !peer.isCaughtUp) return;
  peer.heldSnapshot = undefined;
  onSnapshotMessage(peer, ctx, held);
}
