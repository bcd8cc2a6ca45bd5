/**
 * The peers of one store: loaded from disk, made by splits and messages, closed. Their mailboxes are
 * the raft batch system's. Not here: which messages make a peer (peer_create.ts), their rounds.
 * Source: tikv raftstore/store/fsm/store.rs.
 */
import { assert, compareBytes, idToNumber } from "../base/index.js";
import type { Router } from "../batch/index.js";
import { PeerFsm } from "./fsm/peer.js";
import type { StoreFsm } from "./fsm/store.js";
import type { PeerMsg, StoreMsg } from "./messages.js";
import { Peer } from "./peer.js";
import type { PeerContext } from "./peer_context.js";
import { uninitializedRegion } from "./peer_create.js";
import { finishDestroy } from "./peer_destroy.js";
import { PeerStorage } from "./peer_storage.js";
import type { RaftMessage } from "./raft_message.js";
import type { PeerInfo, RegionInfo } from "./region.js";
import type { RegionSnapshots } from "./snapshot/manager.js";
import { gapsBetween, type KeySpan, spansOverlap } from "./snapshot/range_jobs.js";
import type { SnapshotTask } from "./snapshot/types.js";
import { isAlone, loadRegions } from "./store_loader.js";

export type RaftMailboxes = Router<number, PeerFsm, PeerMsg, StoreFsm, StoreMsg>;

/** Invariant: exactly the regions of `#fsms` have a mailbox. */
export class StorePeers {
  readonly #ctx: PeerContext;
  readonly #mailboxes: RaftMailboxes;
  readonly #snapshots: Pick<RegionSnapshots, "retain">;
  readonly #fsms = new Map<number, PeerFsm>();
  /** Initialised peers ordered by region id; undefined after a change. */
  #sorted: readonly Peer[] | undefined;
  #lives = 0;
  /** Regions that the start waits for, and whom it tells. */
  readonly #awaited = new Set<number>();
  #onServing: (() => void) | undefined;
  #stopped = false;

  constructor(
    ctx: PeerContext,
    mailboxes: RaftMailboxes,
    snapshots: Pick<RegionSnapshots, "retain">,
  ) {
    this.#ctx = ctx;
    this.#mailboxes = mailboxes;
    this.#snapshots = snapshots;
  }

  get(regionId: number): Peer | undefined {
    return this.#fsms.get(regionId)?.peer;
  }

  /** All peers, those without data too. */
  *all(): Iterable<Peer> {
    for (const { peer } of this.#fsms.values()) yield peer;
  }

  /** Peers with data, ordered by region id; another array after a change. */
  sorted(): readonly Peer[] {
    this.#sorted ??= [...this.all()]
      .filter((peer) => peer.storage.isInitialized && peer.isActive)
      .sort((a, b) => a.regionId - b.regionId);
    return this.#sorted;
  }

  /** A peer changed its view for requests. */
  onViewChanged(): void {
    this.#sorted = undefined;
    if (this.#awaited.size > 0) this.#checkServing();
  }

  /** Nothing is made any more. */
  stop(): void {
    this.#stopped = true;
  }

  /**
   * Loads the peers from disk and sets them going. `onServing` is called once those that are the
   * only voters of their regions lead and serve, at once if there is none.
   */
  load(onServing: () => void): void {
    const { normal, applying, unfinished } = loadRegions(this.#ctx.port.engine);
    this.#onServing = onServing;
    for (const region of [...normal, ...applying]) {
      this.#ctx.meta.setSpans(idToNumber(region.id), [region]);
    }
    for (const region of normal) {
      const storage = this.#newStorage(region, false);
      const peer = this.#register(storage, region, !isAlone(storage, this.#ownPeer(region).id));
      if (peer.rawNode.isSingleVoter) this.#awaited.add(peer.regionId);
      this.#mailboxes.forceSend(peer.regionId, { kind: "start", campaign: false });
    }
    this.#resumeSnapshots(applying);
    for (const region of unfinished) this.#resumeDestroy(region, [...normal, ...applying]);
    if (applying.length > 0) this.#clearGaps([...normal, ...applying]);
    this.#checkServing();
  }

  /**
   * Deletes what belongs to nobody: a region that a snapshot made smaller may have left data
   * behind it, and the crash took with it what it was before.
   */
  #clearGaps(alive: readonly RegionInfo[]): void {
    for (const { startKey, endKey } of gapsBetween(alive)) {
      this.#ctx.snapshots.destroyRange(startKey, endKey, () => {});
    }
  }

  /** Puts the data of snapshots in place that a crash left half done; their peers come then. */
  #resumeSnapshots(regions: readonly RegionInfo[]): void {
    const tasks = regions.map((region) => {
      const storage = this.#newStorage(region, true);
      const { truncatedIndex: index, truncatedTerm: term } = storage.applyState;
      return { storage, region, key: { regionId: idToNumber(region.id), term, index } };
    });
    this.#snapshots.retain(tasks.map(({ key }) => key));
    for (const { key, region, storage } of tasks) {
      this.#ctx.snapshots.apply({ key, region, replaced: [] }, () => {
        this.#ctx.snapshots.release(key);
        if (this.#stopped) return;
        this.#register(storage, region, true);
        this.#mailboxes.forceSend(key.regionId, { kind: "start", campaign: false });
      });
    }
  }

  /** Deletes what is left of a region that was destroyed, as far as nobody else has its keys. */
  #resumeDestroy(region: RegionInfo, alive: readonly RegionInfo[]): void {
    const regionId = idToNumber(region.id);
    this.#ctx.meta.cleaning.add(regionId);
    const spans = gapsBetween(alive).flatMap((gap) => intersect(gap, region));
    finishDestroy(this.#ctx, region.id, spans, () => this.#ctx.meta.cleaning.delete(regionId));
  }

  #ownPeer(region: RegionInfo): PeerInfo {
    const own = region.peers.find((peer) => peer.storeId === this.#ctx.storeId);
    assert(own !== undefined, "a region on this store has a peer on this store");
    return own;
  }

  #newStorage(region: RegionInfo, applying: boolean): PeerStorage {
    const request = (task: SnapshotTask): void => {
      this.#ctx.store.toApply(task.regionId, { kind: "snapshot", task });
    };
    return new PeerStorage(region, this.#ctx.port.engine, request, applying);
  }

  /** Makes the peer of a region and gives it a mailbox. */
  #register(
    storage: PeerStorage,
    region: RegionInfo,
    restarted: boolean,
    self: PeerInfo = this.#ownPeer(region),
  ): Peer {
    const life = ++this.#lives;
    const peer = new Peer(storage, self, this.#ctx, { life, restarted });
    const fsm = new PeerFsm(peer);
    this.#mailboxes.register(peer.regionId, fsm);
    this.#fsms.set(peer.regionId, fsm);
    this.#sorted = undefined;
    return peer;
  }

  /** A split that is applied made a region: its peer replaces one that knew nothing. */
  createSplitPeer(region: RegionInfo, campaign: boolean): void {
    const regionId = idToNumber(region.id);
    const before = this.#fsms.get(regionId)?.peer;
    assert(before?.storage.isInitialized !== true, "a split makes regions that are new here");
    const self = this.#ownPeer(region);
    this.#ctx.meta.setSpans(regionId, [region]);
    this.#register(this.#newStorage(region, false), region, before !== undefined);
    this.#ctx.meta.creates.releaseSplit(regionId, idToNumber(self.id));
    this.#mailboxes.forceSend(regionId, { kind: "start", campaign });
    const vote = this.#ctx.meta.takeVote(regionId);
    if (vote !== undefined)
      this.#mailboxes.forceSend(regionId, { kind: "raftMessage", message: vote });
  }

  /** Makes a peer that knows nothing but its id, which a message claimed, and hands it on. */
  createByMessage(message: RaftMessage): void {
    const { regionId, toPeer } = message;
    const region = uninitializedRegion(regionId);
    const self = { id: BigInt(toPeer.id), storeId: BigInt(toPeer.storeId), role: toPeer.role };
    const storage = this.#newStorage(region, false);
    this.#register(storage, region, storage.raftState.term > 0, self);
    this.#mailboxes.forceSend(regionId, { kind: "raftMessage", message });
  }

  /** Closes the mailbox of a peer; no effect if another has taken its place. */
  close(peer: Peer): void {
    const { regionId } = peer;
    if (this.#fsms.get(regionId)?.peer !== peer) return;
    this.#fsms.delete(regionId);
    this.#mailboxes.close(regionId);
    this.#sorted = undefined;
  }

  /** Tells the leaders with a peer on a store that nothing reaches it. */
  onStoreUnreachable(storeId: number): void {
    for (const peer of this.all()) {
      const other = peer.region.peers.find((one) => Number(one.storeId) === storeId);
      if (other === undefined || !peer.isLeader) continue;
      this.#mailboxes.send(peer.regionId, { kind: "unreachable", toPeerId: Number(other.id) });
    }
  }

  /** One raft-base-tick-interval has passed: a peer whose last tick still waits gets none. */
  tick(): void {
    for (const { peer } of this.#fsms.values()) {
      if (peer.tickPending) continue;
      peer.tickPending = true;
      this.#mailboxes.forceSend(peer.regionId, { kind: "tick" });
    }
  }

  #checkServing(): void {
    for (const regionId of this.#awaited) {
      const peer = this.#fsms.get(regionId)?.peer;
      if (peer === undefined || peer.hasServed) this.#awaited.delete(regionId);
    }
    if (this.#awaited.size > 0) return;
    this.#onServing?.();
    this.#onServing = undefined;
  }
}

/** Returns the keys that two spans share, as no span or one. */
function intersect(a: KeySpan, b: KeySpan): readonly KeySpan[] {
  if (!spansOverlap(a, b)) return [];
  const startKey = compareBytes(a.startKey, b.startKey) < 0 ? b.startKey : a.startKey;
  const endFirst =
    a.endKey.length > 0 && (b.endKey.length === 0 || compareBytes(a.endKey, b.endKey) < 0);
  return [{ startKey, endKey: endFirst ? a.endKey : b.endKey }];
}
