/**
 * What a peer does as time passes: Raft's tick, reads that are asked for again, and at longer
 * intervals the shortening of the log, looks at the region's size, and the question whether it is
 * still a member. Source: tikv raftstore/store/fsm/peer.rs on_tick.
 */
import { unreachable } from "../base/index.js";
import { Role } from "../raft/index.js";
import type { Peer } from "./peer.js";
import type { PeerContext } from "./peer_context.js";
import { startDestroy } from "./peer_destroy.js";
import { proposeAdmin, retryReads } from "./peer_propose.js";
import { messageBase, toRaftPeer } from "./peer_send.js";
import { EXTRA_MESSAGE } from "./raft_message.js";
import { PEER_ROLE } from "./region.js";
import { compactIndexOf } from "./workers/raftlog_gc.js";

/** One raft-base-tick-interval has passed. */
export function onTick(peer: Peer, ctx: PeerContext): void {
  peer.tickPending = false;
  if (!peer.isActive) return;
  peer.ticks++;
  peer.rawNode.tick();
  retryReads(peer);
  const { options } = ctx;
  if (isDue(peer, ctx, options.raftLogGcTickIntervalMs)) compactLog(peer, ctx);
  if (isDue(peer, ctx, options.splitRegionCheckTickIntervalMs)) checkSplit(peer, ctx);
  if (isDue(peer, ctx, options.peerStaleStateCheckIntervalMs)) checkStale(peer, ctx);
  if (peer.removal !== undefined && peer.isCaughtUp) startDestroy(peer, ctx);
}

/** Whether a period of `intervalMs`, in whole ticks, ends with this tick. */
function isDue(peer: Peer, { options }: PeerContext, intervalMs: number): boolean {
  if (intervalMs === 0) return false;
  const period = Math.max(1, Math.round(intervalMs / options.raftBaseTickIntervalMs));
  return (peer.ticks + peer.regionId) % period === 0;
}

function leads(peer: Peer): boolean {
  const { rawNode, storage } = peer;
  return rawNode.role === Role.Leader && storage.appliedTerm === rawNode.term;
}

function compactLog(peer: Peer, ctx: PeerContext): void {
  if (!leads(peer)) return;
  const { progress, firstIndex, lastIndex, persisted } = peer.rawNode.status();
  ctx.metrics.logLag.observe(lastIndex - Math.min(lastIndex, ...progress.map((one) => one.match)));
  const index = compactIndexOf(
    {
      firstIndex,
      lastIndex,
      appliedIndex: peer.applied,
      persistedIndex: persisted,
      matched: progress.map(({ match }) => match),
      sizeBytes: peer.logBytes,
      skippedTicks: peer.skippedGcTicks,
    },
    ctx.options,
  );
  if (index === undefined) {
    peer.skippedGcTicks++;
    return;
  }
  peer.skippedGcTicks = 0;
  const term = peer.rawNode.termAt(index);
  if (term === undefined) return;
  const { region, peerId, self } = peer;
  const { id: regionId, confVer, version } = region;
  const header = { regionId, confVer, version, peerId, storeId: self.storeId, term: 0n };
  const command = { kind: "compactLog", index, term } as const;
  proposeAdmin(peer, ctx, { header, command, done: () => {} });
}

function checkSplit(peer: Peer, ctx: PeerContext): void {
  if (leads(peer) && peer.split.onTick()) ctx.store.checkSplit(peer);
}

function checkStale(peer: Peer, ctx: PeerContext): void {
  const { rawNode, storage, self, region, stale } = peer;
  const state = stale.onTick(peer.turnMs, {
    isLeader: rawNode.role === Role.Leader,
    hasLeader: peer.leaderHeard,
    isInitialized: storage.isInitialized,
    isLearner: self.role === PEER_ROLE.Learner,
  });
  peer.leaderHeard = false;
  switch (state) {
    case "valid":
      break;
    case "toValidate":
      ctx.store.validate(peer);
      break;
    case "leaderMissing":
      for (const other of stale.recipients(region, self.id)) {
        const extra = EXTRA_MESSAGE.CheckStalePeer;
        ctx.transport.send({ ...messageBase(peer, toRaftPeer(other)), extra });
      }
      break;
    default:
      unreachable(state);
  }
}
