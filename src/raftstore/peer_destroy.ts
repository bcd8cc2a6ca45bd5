/**
 * The end of a peer on this store: everything that waits is answered, the delegate stops, then one
 * synced batch writes the tombstone and removes log and states, then the data goes, in slices. The
 * apply state goes last: a start that finds it beside a tombstone deletes the data again.
 * Source: tikv raftstore/store/fsm/peer.rs destroy_peer.
 */
import {
  applyStateKey,
  raftLogRange,
  raftStateKey,
  regionStateKey,
  snapshotRaftStateKey,
} from "../codec/index.js";
import type { WriteBatch } from "../engine/index.js";
import { encodeRegionLocalState, PEER_STATE } from "./local_state.js";
import type { Peer } from "./peer.js";
import { answerAll, regionNotFound } from "./peer_answer.js";
import type { PeerContext } from "./peer_context.js";
import type { RegionInfo } from "./region.js";
import type { KeySpan } from "./snapshot/range_jobs.js";

const MAX_INDEX = 2n ** 63n;

/** Begins the end, or notes it while a snapshot's data is being put in place. */
export function startDestroy(peer: Peer, ctx: PeerContext): void {
  if (!peer.isActive) return;
  peer.removal ??= { redeliver: undefined };
  if (peer.incoming !== undefined) return;
  // The split's own peer takes this one's place soon: a tombstone would overwrite its state.
  if (ctx.meta.creates.isSplitting(peer.regionId)) return;
  peer.phase = "destroying";
  peer.publish();
  answerAll(peer, regionNotFound(peer.regionId));
  ctx.store.onViewChanged(peer);
  if (peer.storage.isInitialized) ctx.store.toApply(peer.regionId, { kind: "destroy" });
  else onApplyDestroyed(peer, ctx);
}

/** The delegate has stopped: nothing writes this region's data any more. */
export function onApplyDestroyed(peer: Peer, ctx: PeerContext): void {
  const { region, regionId, removal } = peer;
  const { meta, port, store } = ctx;
  const batch = port.engine.newWriteBatch();
  batch.put(
    "raft",
    regionStateKey(region.id),
    encodeRegionLocalState({ state: PEER_STATE.Tombstone, region: tombstoneOf(peer) }),
  );
  deleteLog(batch, region.id);
  meta.cleaning.add(regionId);
  ctx.logGc.forget(regionId);
  port.write(batch.bytes(), true, () => {
    if (meta.creates.isSplitting(regionId)) {
      // A split was applied behind the tombstone, and its state has replaced it.
      meta.cleaning.delete(regionId);
      return;
    }
    meta.removeSpans(regionId);
    meta.creates.releaseMessage(regionId, peer.peerNumber);
    store.closePeer(peer);
    const spans = peer.storage.isInitialized ? [region] : [];
    deleteData(ctx, region.id, spans, () => {
      meta.cleaning.delete(regionId);
      if (removal?.redeliver !== undefined) store.redeliver(removal.redeliver);
    });
  });
}

/** What a tombstone tells: the epoch, and that this peer was the last here. */
function tombstoneOf(peer: Peer): RegionInfo {
  const { region, self } = peer;
  const others = region.peers.filter(({ storeId }) => storeId !== self.storeId);
  return { ...region, peers: [...others, self] };
}

/** Deletes log, raft state and snapshot raft state. */
function deleteLog(batch: WriteBatch, regionId: bigint): void {
  const log = raftLogRange(regionId, 0n, MAX_INDEX);
  batch.deleteRange("raft", log.start, log.end);
  batch.delete("raft", raftStateKey(regionId));
  batch.delete("raft", snapshotRaftStateKey(regionId));
}

type DataContext = Pick<PeerContext, "port" | "snapshots">;

/** Deletes the data of a tombstone, then the record that says that there is some. */
function deleteData(
  ctx: DataContext,
  regionId: bigint,
  spans: readonly KeySpan[],
  done: () => void,
): void {
  const [span, ...rest] = spans;
  if (span !== undefined) {
    ctx.snapshots.destroyRange(span.startKey, span.endKey, () => {
      deleteData(ctx, regionId, rest, done);
    });
    return;
  }
  const batch = ctx.port.engine.newWriteBatch();
  batch.delete("raft", applyStateKey(regionId));
  ctx.port.write(batch.bytes(), false, done);
}

/**
 * Ends a destruction that a crash cut short, or that applying began by writing the tombstone of a
 * removed peer: log and states go, then the data in `spans`, which belongs to nobody else.
 */
export function finishDestroy(
  ctx: DataContext,
  regionId: bigint,
  spans: readonly KeySpan[],
  done: () => void,
): void {
  const batch = ctx.port.engine.newWriteBatch();
  deleteLog(batch, regionId);
  ctx.port.write(batch.bytes(), false, () => deleteData(ctx, regionId, spans, done));
}
