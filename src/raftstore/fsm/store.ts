/**
 * The store as the control FSM of the raft batch system: messages for regions that have no peer
 * here, and what concerns all peers. Message switches only; the rules are in peer_create.ts.
 * Source: tikv raftstore/store/fsm/store.rs StoreFsmDelegate.
 */
import { EMPTY_BYTES, unreachable } from "../../base/index.js";
import type { Fsm, Priority, Slot } from "../../batch/index.js";
import { readRegionLocalState } from "../local_state.js";
import type { StoreMsg } from "../messages.js";
import type { PeerContext } from "../peer_context.js";
import { claimCreate, judgeUnknown } from "../peer_create.js";
import { asksVote, epochNumbers } from "../peer_message.js";
import { EXTRA_MESSAGE, type RaftMessage } from "../raft_message.js";
import type { RegionInfo } from "../region.js";

/** What the store FSM needs beside what peers need. */
export interface StoreActions {
  /** Hands a message to the peer of its region; false if there is none. */
  toPeer(message: RaftMessage): boolean;
  /** Makes a peer that knows nothing but its id, claimed before, and hands it the message. */
  createByMessage(message: RaftMessage): void;
  /** Tells all peers that nothing reaches a store. */
  onStoreUnreachable(storeId: number): void;
}

/** The one control FSM. */
export class StoreFsm implements Fsm {
  readonly priority: Priority = "normal";
  readonly stopped = false;
}

/** The store's turn in a poll round. */
export function handleStore(
  slot: Slot<StoreFsm, StoreMsg>,
  ctx: PeerContext,
  actions: StoreActions,
): void {
  for (let message = slot.receive(); message !== undefined; message = slot.receive()) {
    switch (message.kind) {
      case "raftMessage":
        onUnknown(message.message, ctx, actions);
        break;
      case "storeUnreachable":
        actions.onStoreUnreachable(message.storeId);
        break;
      default:
        unreachable(message);
    }
  }
}

function onUnknown(message: RaftMessage, ctx: PeerContext, actions: StoreActions): void {
  const { regionId } = message;
  // A peer may have come since the message was sent here.
  if (actions.toPeer(message)) return;
  const state = readRegionLocalState(ctx.port.engine, BigInt(regionId));
  const verdict = judgeUnknown(message, Number(ctx.storeId), state);
  switch (verdict.kind) {
    case "drop":
      ctx.metrics.dropped[verdict.reason]++;
      releaseData(message, ctx);
      break;
    case "keep":
      ctx.meta.keepVote(message);
      break;
    case "tombstone":
      ctx.transport.send({ ...answerTo(message, verdict.region), isTombstone: true });
      break;
    case "tellRegion":
      ctx.transport.send({
        ...answerTo(message, verdict.region),
        extra: EXTRA_MESSAGE.CheckStalePeerResponse,
        checkRegion: verdict.region,
      });
      break;
    case "create":
      onCreate(message, ctx, actions);
      break;
    default:
      unreachable(verdict);
  }
}

/** The data of a snapshot that no peer takes is of no use. */
function releaseData({ message, regionId }: RaftMessage, ctx: PeerContext): void {
  const metadata = message?.snapshot?.metadata;
  if (metadata === undefined || ctx.snapshots.isApplying(regionId)) return;
  ctx.snapshots.release({ regionId, term: metadata.term, index: metadata.index });
}

function onCreate(message: RaftMessage, ctx: PeerContext, actions: StoreActions): void {
  const obstacle = claimCreate(ctx.meta, message);
  if (obstacle === undefined) {
    actions.createByMessage(message);
  } else if (obstacle === "overlap") {
    ctx.metrics.dropped.region_overlap++;
    // Its split may be on the way: the vote is not asked for again for an election timeout.
    if (asksVote(message.message)) ctx.meta.keepVote(message);
  } else {
    ctx.metrics.dropped.region_nonexistent++;
  }
}

function answerTo(message: RaftMessage, region: RegionInfo): RaftMessage {
  return {
    regionId: message.regionId,
    fromPeer: message.toPeer,
    toPeer: message.fromPeer,
    epoch: epochNumbers(region),
    message: undefined,
    isTombstone: false,
    startKey: EMPTY_BYTES,
    endKey: EMPTY_BYTES,
    extra: EXTRA_MESSAGE.None,
    checkRegion: undefined,
  };
}
