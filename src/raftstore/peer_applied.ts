/**
 * What follows for a peer from what its delegate has applied: members, splits, a shorter log, reads
 * that waited; and from a snapshot whose data is in place.
 * Source: tikv raftstore/store/fsm/peer.rs on_apply_res, on_ready_result.
 */
import { assert, idToNumber, unreachable } from "../base/index.js";
import { confChangeOfEntry, Role } from "../raft/index.js";
import type { ApplyRegistration, ApplyRes, ExecResult } from "./messages.js";
import type { Peer } from "./peer.js";
import type { PeerContext } from "./peer_context.js";
import { startDestroy } from "./peer_destroy.js";
import { answerReads } from "./peer_propose.js";
import type { AppliedSnapshot } from "./snapshot/types.js";

/** Returns what a delegate starts from. */
export function registrationOf(peer: Peer): ApplyRegistration {
  const { storage } = peer;
  return {
    regionId: peer.regionId,
    peerId: peer.peerNumber,
    region: peer.region,
    applyState: storage.applyState,
    appliedTerm: storage.appliedTerm,
  };
}

/** Takes what the delegate has applied and written. */
export function onApplied(peer: Peer, ctx: PeerContext, result: ApplyRes): void {
  if (!peer.isActive || result.peerId !== peer.peerNumber) return;
  for (const exec of result.results) {
    onExecuted(peer, ctx, exec);
    if (!peer.isActive) return;
  }
  const { appliedIndex } = result.applyState;
  peer.storage.onApplied(result.applyState, result.appliedTerm);
  peer.rawNode.onApplied(appliedIndex);
  peer.barrier.onApplied(appliedIndex);
  peer.split.onApplied(result);
  peer.storage.log.trimCache(cacheLimit(peer, appliedIndex));
  renewFirstLease(peer);
  answerReads(peer);
  if (peer.removal !== undefined && peer.isCaughtUp) startDestroy(peer, ctx);
}

/** Entries up to here are in the engine and nobody is about to ask for them. */
function cacheLimit(peer: Peer, applied: number): number {
  if (peer.rawNode.role !== Role.Leader) return applied;
  return Math.min(applied, peer.rawNode.slowestActiveMatch());
}

/** The first entry of a leader's own term is applied: a round begins, whose answers are a lease. */
function renewFirstLease(peer: Peer): void {
  const { rawNode, storage } = peer;
  if (rawNode.role !== Role.Leader || storage.appliedTerm !== rawNode.term) return;
  if (peer.servedTerm === rawNode.term) return;
  peer.servedTerm = rawNode.term;
  rawNode.readIndex(peer.reads.unusedContext());
}

function onExecuted(peer: Peer, ctx: PeerContext, exec: ExecResult): void {
  switch (exec.kind) {
    case "changePeer":
      onPeersChanged(peer, ctx, exec);
      break;
    case "split":
      onSplit(peer, ctx, exec);
      break;
    case "compactLog":
      onLogCut(peer, ctx, exec);
      break;
    default:
      unreachable(exec);
  }
}

function onPeersChanged(
  peer: Peer,
  ctx: PeerContext,
  exec: Extract<ExecResult, { readonly kind: "changePeer" }>,
): void {
  if (!exec.changed) return;
  const change = confChangeOfEntry(exec.entry);
  assert(change !== undefined, "a membership entry holds a change");
  peer.rawNode.applyConfChange(change);
  peer.setRegion(exec.region);
  ctx.store.onViewChanged(peer);
  if (exec.region.peers.some(({ id }) => id === peer.peerId)) {
    ctx.store.onRegionChanged(peer);
  } else {
    ctx.logger.info("peer is removed", { region_id: peer.regionId, peer_id: peer.peerNumber });
    startDestroy(peer, ctx);
  }
}

function onSplit(
  peer: Peer,
  ctx: PeerContext,
  exec: Extract<ExecResult, { readonly kind: "split" }>,
): void {
  const { derived, regions, notCreated } = exec;
  peer.setRegion(derived);
  ctx.meta.setSpans(peer.regionId, [derived]);
  const leads = peer.rawNode.role === Role.Leader;
  for (const region of regions) {
    if (region === derived || notCreated.includes(idToNumber(region.id))) continue;
    ctx.store.createSplitPeer(region, leads);
  }
  peer.split.onSplit(regions.length);
  ctx.logger.info("region is split", { region_id: peer.regionId, regions: regions.length });
  ctx.store.onViewChanged(peer);
  if (leads) ctx.store.onSplit(peer, regions);
}

function onLogCut(
  peer: Peer,
  ctx: PeerContext,
  exec: Extract<ExecResult, { readonly kind: "compactLog" }>,
): void {
  const { log } = peer.storage;
  const { truncatedIndex, truncatedTerm } = exec;
  if (truncatedIndex < log.firstIndex) return;
  log.compact(truncatedIndex, truncatedTerm);
  ctx.logGc.gc(peer.regionId, truncatedIndex + 1);
}

/** The data of a snapshot is in place: the delegate starts anew from it. */
export function onSnapshotApplied(peer: Peer, ctx: PeerContext, { key }: AppliedSnapshot): void {
  const { incoming } = peer;
  assert(incoming?.key.index === key.index, "the snapshot that was taken is the one applied");
  peer.incoming = undefined;
  ctx.meta.setSpans(peer.regionId, [peer.region]);
  ctx.meta.creates.releaseMessage(peer.regionId, peer.peerNumber);
  ctx.snapshots.release(key);
  peer.handedTo = key.index;
  const registration = registrationOf(peer);
  ctx.store.toApply(peer.regionId, { kind: "registration", registration });
  peer.rawNode.onApplied(key.index);
  ctx.store.onViewChanged(peer);
  answerReads(peer);
  if (peer.removal !== undefined) startDestroy(peer, ctx);
}
