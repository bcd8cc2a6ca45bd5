/**
 * Peers as FSMs of the raft batch system: each message goes to the function that handles it, then
 * the turn's commands are proposed and the Ready is taken. Message switches only.
 * Source: tikv raftstore/store/fsm/peer.rs PeerFsm, handle_msgs.
 */
import { unreachable } from "../../base/index.js";
import type { Fsm, Priority, Slot } from "../../batch/index.js";
import type { PeerMsg } from "../messages.js";
import type { Peer } from "../peer.js";
import { onApplied, onSnapshotApplied, registrationOf } from "../peer_applied.js";
import type { PeerContext } from "../peer_context.js";
import { onApplyDestroyed } from "../peer_destroy.js";
import { onRaftMessage, retryHeldSnapshot } from "../peer_message.js";
import { addWrite, answerReads, askReads, proposeAdmin, proposeWrites } from "../peer_propose.js";
import { handleReady, onPersisted } from "../peer_ready.js";
import { onOrder, onSplitChecked, onSplitWish } from "../peer_split.js";
import { onTick } from "../peer_tick.js";

/** One peer behind its mailbox. */
export class PeerFsm implements Fsm {
  readonly priority: Priority = "normal";
  stopped = false;

  constructor(readonly peer: Peer) {}
}

/** One peer's turn in a poll round. */
export function handlePeer(slot: Slot<PeerFsm, PeerMsg>, ctx: PeerContext): void {
  const { peer } = slot.fsm;
  peer.turnMs = ctx.clock.monotonicMs();
  for (let message = slot.receive(); message !== undefined; message = slot.receive()) {
    handleMessage(peer, ctx, message);
  }
  proposeWrites(peer, ctx);
  askReads(peer, ctx);
  handleReady(peer, ctx);
  answerReads(peer);
}

function handleMessage(peer: Peer, ctx: PeerContext, message: PeerMsg): void {
  const { rawNode, storage } = peer;
  switch (message.kind) {
    case "raftMessage":
      onRaftMessage(peer, ctx, message.message);
      return;
    case "write":
      addWrite(peer, ctx, message.command);
      return;
    case "read":
      peer.turnReads.push(message.command);
      return;
    case "admin":
      proposeAdmin(peer, ctx, message.request);
      return;
    case "splitWish":
      onSplitWish(peer, ctx, message.wish);
      return;
    case "order":
      onOrder(peer, ctx, message.order);
      return;
    case "tick":
      onTick(peer, ctx);
      return;
    case "persisted":
      if (message.life === peer.life && peer.isActive) onPersisted(peer, ctx, message.ready);
      return;
    case "applyRes":
      onApplied(peer, ctx, message.result);
      retryHeldSnapshot(peer, ctx);
      return;
    case "unreachable":
      rawNode.reportUnreachable(message.toPeerId);
      return;
    case "snapshotSent":
      rawNode.reportSnapshot(message.toPeerId, message.failed);
      return;
    case "snapshotGenerated":
      if (!peer.isActive || !storage.onGenerated(message.result)) return;
      rawNode.onEntriesFetched({ kind: "append", to: message.result.toPeerId });
      return;
    case "snapshotApplied":
      onSnapshotApplied(peer, ctx, message.result);
      return;
    case "start":
      onStart(peer, ctx, message.campaign);
      return;
    case "applyDestroyed":
      onApplyDestroyed(peer, ctx);
      return;
    case "splitCheckDone":
      onSplitChecked(peer, ctx, message.result);
      return;
    default:
      unreachable(message);
  }
}

function onStart(peer: Peer, ctx: PeerContext, campaign: boolean): void {
  if (peer.storage.isInitialized) {
    const registration = registrationOf(peer);
    ctx.store.toApply(peer.regionId, { kind: "registration", registration });
  }
  if (campaign || peer.rawNode.isSingleVoter) peer.rawNode.campaign();
  ctx.store.onViewChanged(peer);
}
