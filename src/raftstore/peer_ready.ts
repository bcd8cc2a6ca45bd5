/**
 * The Readies of a peer in a poll round: what goes out, what is written, what is applied; and what
 * follows when writes are durable. The order is stated in ready.ts and raft/raw_node.ts.
 * Source: tikv raftstore/store/peer.rs handle_raft_ready_append, on_persist_ready.
 */
import { assert } from "../base/index.js";
import { type Entry, type Ready, Role } from "../raft/index.js";
import type { Proposal } from "./messages.js";
import type { Peer } from "./peer.js";
import type { PeerContext } from "./peer_context.js";
import { dropReads, PROPOSAL_CONTEXT } from "./peer_propose.js";
import { sendMessages } from "./peer_send.js";
import { takePersisted, unpersistedOf } from "./ready.js";

/** Takes and carries out what Raft has ready; leaves it there while too many writes are under way. */
export function handleReady(peer: Peer, ctx: PeerContext): void {
  const { rawNode } = peer;
  while (peer.isActive && rawNode.hasReady()) {
    if (ctx.writer.isFull) {
      ctx.metrics.ready.pendingRegion++;
      ctx.writer.waitForRoom(peer.regionId);
      break;
    }
    handleOne(peer, ctx, rawNode.ready());
  }
  renewLease(peer);
  const changed = peer.publish();
  if (peer.noteServing() || changed) ctx.store.onViewChanged(peer);
}

function handleOne(peer: Peer, ctx: PeerContext, ready: Ready): void {
  if (ready.hardState !== null) peer.hardState = ready.hardState;
  if (ready.softState !== null) onRoleChanged(peer, ctx);
  peer.barrier.enterTerm(peer.rawNode.term);
  // Before the messages leave: a round that they begin counts from the start of this turn.
  renewLease(peer);
  sendMessages(peer, ctx, ready.messages);
  persist(peer, ctx, ready);
  if (ready.committed.length > 0) applyCommitted(peer, ctx, ready.committed);
  for (const { context, index } of ready.readStates) peer.reads.onConfirmed(context, index);
}

/** Who leads has changed: reads that were asked of the old leader are not answered any more. */
function onRoleChanged(peer: Peer, ctx: PeerContext): void {
  dropReads(peer);
  if (peer.rawNode.role === Role.Leader) peer.onElected();
  else dropGenerated(peer, ctx);
  peer.lease.expire();
  ctx.store.onRegionChanged(peer);
}

/** Gives the engine snapshots back that wait to be sent. */
function dropGenerated({ regionId, storage }: Peer, ctx: PeerContext): void {
  for (const { metadata } of storage.dropGenerated()) {
    const { index, term } = metadata;
    ctx.snapshots.release({ regionId, index, term });
  }
}

function persist(peer: Peer, ctx: PeerContext, ready: Ready): void {
  const part = unpersistedOf(ready, peer.hardState);
  if (part.write === undefined && peer.unpersisted.length === 0) {
    sendMessages(peer, ctx, part.messages);
    peer.rawNode.onPersisted(part.number);
    return;
  }
  peer.unpersisted.push(part);
  if (part.write === undefined) return;
  const { snapshot, entries } = part.write;
  if (entries.length > 0) ctx.metrics.ready.append++;
  if (snapshot !== null) ctx.metrics.ready.snapshot++;
  const row = peer.storage.writeRow(part.write, peer.incoming?.region);
  ctx.writer.addReady(row, peer.life, part.number);
}

/** Hands committed entries to the delegate, with the proposals that they decide. */
function applyCommitted(peer: Peer, ctx: PeerContext, entries: readonly Entry[]): void {
  const last = entries[entries.length - 1] as Entry;
  assert((entries[0] as Entry).index === peer.handedTo + 1, "entries are handed out in order");
  peer.handedTo = last.index;
  for (const { context, index } of entries) {
    if (((context[0] ?? 0) & PROPOSAL_CONTEXT.Split) !== 0) peer.splitIndex = index;
  }
  ctx.metrics.ready.commit++;
  const proposals = peer.proposals.takeUpTo(last.term, last.index);
  tellCommitted(proposals, entries);
  const task = {
    regionId: peer.regionId,
    entries,
    proposals,
    commitIndex: last.index,
    commitTerm: last.term,
  };
  ctx.store.toApply(peer.regionId, { kind: "apply", task });
}

/** Tells the proposals whose entries these are; others lost their place in the log. */
function tellCommitted(proposals: readonly Proposal[], entries: readonly Entry[]): void {
  const first = (entries[0] as Entry).index;
  for (const { index, term, onCommitted } of proposals) {
    if (onCommitted !== undefined && entries[index - first]?.term === term) onCommitted();
  }
}

/** Counts the rounds that left and came back; a lease is not renewed while it may not be used. */
function renewLease(peer: Peer): void {
  const { rawNode, lease } = peer;
  if (rawNode.role !== Role.Leader) return;
  lease.onRound(rawNode.round, peer.turnMs);
  lease.onConfirmed(rawNode.confirmedRound, !peer.isSplitting && !rawNode.leaseSuspect);
}

/** The writes of Readies up to `written` are durable: their answers go out, Raft is told. */
export function onPersisted(peer: Peer, ctx: PeerContext, written: number): void {
  const durable = takePersisted(peer.unpersisted, written);
  const last = durable[durable.length - 1];
  if (last === undefined) return;
  for (const { write, messages } of durable) {
    if (write !== undefined) {
      peer.storage.onPersisted(write.entries, write.snapshot);
      if (write.snapshot !== null) startApplyingSnapshot(peer, ctx);
    }
    sendMessages(peer, ctx, messages);
  }
  peer.rawNode.onPersisted(last.number);
}

/** A snapshot's states are durable: its data replaces what was there. */
function startApplyingSnapshot(peer: Peer, ctx: PeerContext): void {
  const { incoming, region: before } = peer;
  assert(incoming !== undefined, "a snapshot that is stored was taken");
  const { key, region } = incoming;
  const { startKey, endKey } = before;
  ctx.logGc.forget(peer.regionId);
  const replaced = peer.storage.isInitialized ? [{ startKey, endKey }] : [];
  peer.setRegion(region);
  ctx.store.onViewChanged(peer);
  ctx.snapshots.apply({ key, region, replaced }, (result) => {
    ctx.store.notify(peer.regionId, { kind: "snapshotApplied", result });
  });
}
