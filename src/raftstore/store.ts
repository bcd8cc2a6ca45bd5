/**
 * A store: the peers it holds, on the raft batch system; their delegates, on the apply batch
 * system; its beat, its snapshots and its dialogue with PD. It runs no round by itself: the runner
 * and the callbacks of its ports do. Not here: opening it (start.ts), data (storage/).
 * Source: tikv src/server/raft_server.rs, raftstore/store/fsm/store.rs.
 */
import {
  assert,
  type Clock,
  compareBytes,
  idToNumber,
  type Logger,
  type MetricsRegistry,
  type Prng,
  type TikvError,
  type Timers,
} from "../base/index.js";
import {
  BatchMetrics,
  BatchSystem,
  type HandleResult,
  immediateRunner,
  KEEP_PROCESSING,
  type PollHandler,
  type RouteResult,
  type Runner,
  type Slot,
  stopAt,
} from "../batch/index.js";
import type { Kernels } from "../kernel/index.js";
import { ApplyMetrics, bindApplyMetrics } from "./apply/metrics.js";
import { DiskMonitor, type StatFs } from "./disk.js";
import type { EnginePort } from "./engine_port.js";
import { ApplySystem } from "./fsm/apply.js";
import { handlePeer, PeerFsm } from "./fsm/peer.js";
import { handleStore, type StoreActions, StoreFsm } from "./fsm/store.js";
import type { StoreIdent } from "./local_state.js";
import type { PeerMsg, StoreMsg } from "./messages.js";
import { bindRaftstoreMetrics, RaftstoreMetrics } from "./metrics.js";
import type { RaftstoreOptions } from "./options.js";
import type { PdPort, SchedulePort, StoreInfo } from "./pd_port.js";
import { Peer } from "./peer.js";
import { answerAll, answerMessage, CLOSING, regionNotFound } from "./peer_answer.js";
import type { PeerContext, PeerStore } from "./peer_context.js";
import { uninitializedRegion } from "./peer_create.js";
import { finishDestroy } from "./peer_destroy.js";
import { PeerStorage } from "./peer_storage.js";
import type { RaftMessage } from "./raft_message.js";
import { bindRaftMetrics, RaftMetrics } from "./raft_metrics.js";
import type { RegionRouter } from "./read_delegate.js";
import type { PeerInfo, RegionError, RegionInfo } from "./region.js";
import { RaftRouter } from "./router.js";
import type { SnapFiles } from "./snapshot/files.js";
import { RegionSnapshots } from "./snapshot/manager.js";
import { bindSnapshotMetrics } from "./snapshot/metrics.js";
import { gapsBetween, type KeySpan, spansOverlap } from "./snapshot/range_jobs.js";
import type { SnapshotManager, SnapshotTask } from "./snapshot/types.js";
import { isAlone, loadRegions } from "./store_loader.js";
import { StoreMeta } from "./store_meta.js";
import { StorePd } from "./store_pd.js";
import { storeGauges } from "./store_stats.js";
import { Ticker } from "./ticker.js";
import type { RaftEvents, Transport } from "./transport.js";
import { RaftLogGc } from "./workers/raftlog_gc.js";
import { RoundWriter } from "./write_task.js";

export interface StoreDeps {
  readonly port: EnginePort;
  readonly pd: PdPort & SchedulePort;
  readonly clock: Clock;
  readonly timers: Timers;
  /** Runs poll rounds. Default: between turns of the event loop. */
  readonly runner?: Runner | undefined;
  /** Of this thread. */
  readonly kernels: Kernels;
  readonly prng: Prng;
  readonly snapFiles: SnapFiles;
  /** Makes the way to other stores; it may not call back before it returns. */
  readonly transport: (store: TransportHooks) => Transport;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
  readonly statFs: StatFs;
  /** The store cannot go on: PD has removed it, or its disk is damaged. */
  readonly onFatal: (error: TikvError) => void;
}

/** What a transport gets of its store. */
export interface TransportHooks {
  readonly storeId: bigint;
  readonly clusterId: bigint;
  readonly events: RaftEvents;
  readonly snapshots: SnapshotManager;
}

export interface StoreOptions extends RaftstoreOptions {
  /** kvrpcpb.APIVersion of the data. */
  readonly apiVersion: number;
  /** storage.reserve-space, bytes. */
  readonly reserveSpaceBytes: number;
}

/** One lane's rounds of the raft batch system. */
class RaftPoller implements PollHandler<PeerFsm, PeerMsg, StoreFsm, StoreMsg> {
  constructor(
    private readonly ctx: PeerContext,
    private readonly actions: StoreActions,
    private readonly assertOwned: (fsm: PeerFsm) => void,
  ) {}

  begin(): void {}

  handleControl(slot: Slot<StoreFsm, StoreMsg>): HandleResult {
    handleStore(slot, this.ctx, this.actions);
    return slot.pending === 0 ? stopAt(0) : KEEP_PROCESSING;
  }

  handleNormal(slot: Slot<PeerFsm, PeerMsg>): HandleResult {
    this.assertOwned(slot.fsm);
    handlePeer(slot, this.ctx);
    return slot.pending === 0 ? stopAt(0) : KEEP_PROCESSING;
  }

  lightEnd(): void {
    this.ctx.transport.flush();
  }

  end(): void {
    this.ctx.writer.submit();
  }

  pause(): void {}
}

type RaftSystem = BatchSystem<number, PeerFsm, PeerMsg, StoreFsm, StoreMsg>;

export class Store implements RegionRouter {
  readonly counters = new RaftstoreMetrics();
  readonly disk: DiskMonitor;
  readonly router: RaftRouter;
  readonly snapshots: RegionSnapshots;
  readonly meta = new StoreMeta();
  private readonly raft: RaftSystem;
  private readonly apply: ApplySystem;
  private readonly ctx: PeerContext;
  private readonly pd: StorePd;
  private readonly fsms = new Map<number, PeerFsm>();
  private readonly ticker: Ticker;
  /** Initialised peers ordered by region id; undefined after a change. */
  private sorted: readonly Peer[] | undefined;
  private lives = 0;
  private state: "new" | "running" | "stopped" = "new";
  /** Regions that the start waits for, and whom it tells. */
  private readonly awaited = new Set<number>();
  private onServing: (() => void) | undefined;

  constructor(
    private readonly options: StoreOptions,
    private readonly deps: StoreDeps,
    private readonly ident: StoreIdent,
    info: StoreInfo,
  ) {
    const { clock, metrics, port, statFs, timers } = deps;
    const { replication, capacityBytes } = options;
    const raftMetrics = new RaftMetrics();
    const applyMetrics = new ApplyMetrics();
    this.disk = new DiskMonitor(
      { dataDir: options.dataDir, reserveBytes: options.reserveSpaceBytes },
      { clock, statFs },
    );
    this.router = new RaftRouter(raftMetrics);
    this.snapshots = this.newSnapshots();
    this.apply = this.newApplySystem(applyMetrics);
    this.ctx = this.newContext(raftMetrics);
    this.raft = this.newRaftSystem();
    this.router.attach(this.raft.router);
    const stats = { engine: port.engine, disk: this.disk, capacityBytes };
    this.pd = new StorePd(options, deps, {
      info,
      stats,
      counters: this.counters,
      peers: () => this.allPeers(),
      peer: (regionId) => this.fsms.get(regionId)?.peer,
      notify: (regionId, message) => this.router.notify(regionId, message),
      snapshotStats: () => this.snapshots.stats(),
    });
    this.ticker = new Ticker(replication.raftBaseTickIntervalMs, { clock, timers }, () =>
      this.tick(),
    );
    bindRaftstoreMetrics(metrics, this.counters, () => storeGauges(stats, this.allPeers()));
    bindRaftMetrics(metrics, raftMetrics, this.ctx.writer.counters);
    bindApplyMetrics(metrics, applyMetrics);
    bindSnapshotMetrics(metrics, this.snapshots.metrics, () => this.snapshots.stats());
  }

  get storeId(): bigint {
    return this.ident.storeId;
  }

  get clusterId(): bigint {
    return this.ident.clusterId;
  }

  /**
   * Loads the peers from disk and sets them going. `onServing` is called once those that are the
   * only voters of their regions lead and serve, at once if there is none.
   */
  start(onServing: () => void = () => {}): void {
    assert(this.state === "new", "a store starts once");
    this.state = "running";
    this.onServing = onServing;
    this.loadPeers();
    this.ticker.start();
    this.checkServing();
  }

  /** Starts the heartbeats; call when requests are served, for PD then sends clients here. */
  startHeartbeats(): void {
    this.pd.start();
  }

  /** Ends the heartbeats, then the peers: everything that waits is answered. */
  async stop(): Promise<void> {
    await this.pd.stop();
    this.shutdown();
  }

  /** Ends the peers; everything that waits is answered. Nothing is sent or written any more. */
  shutdown(): void {
    if (this.state === "stopped") return;
    this.state = "stopped";
    this.ticker.stop();
    this.raft.shutdown();
    this.apply.shutdown();
    this.ctx.logGc.close();
    this.snapshots.close();
  }

  /** Whether a poll round would find something to do; for simulators and tests. */
  get hasWork(): boolean {
    return this.raft.hasWork;
  }

  delegates(): readonly Peer[] {
    this.sorted ??= [...this.allPeers()]
      .filter((peer) => peer.storage.isInitialized && peer.isActive)
      .sort((a, b) => a.regionId - b.regionId);
    return this.sorted;
  }

  delegate(regionId: bigint): Peer | undefined {
    const peer = this.fsms.get(Number(regionId))?.peer;
    return peer?.isActive ? peer : undefined;
  }

  send(regionId: number, message: PeerMsg): RouteResult {
    return this.router.send(regionId, message);
  }

  onRefused(error: RegionError): void {
    this.counters.onRefused(error);
  }

  private *allPeers(): Iterable<Peer> {
    for (const { peer } of this.fsms.values()) yield peer;
  }

  private newSnapshots(): RegionSnapshots {
    const { clock, logger, onFatal, port, snapFiles: files, timers } = this.deps;
    return new RegionSnapshots(this.options.replication, {
      port,
      files,
      clock,
      timers,
      logger,
      onFatal,
      ownerOf: (span, except) => this.meta.overlapping(span, except)[0],
    });
  }

  private newApplySystem(applyMetrics: ApplyMetrics): ApplySystem {
    const { clock, metrics, port, runner = immediateRunner } = this.deps;
    const { applyBatch: batch, applyYieldWriteSizeBytes } = this.options.replication;
    return new ApplySystem(
      { batch, yieldWriteSizeBytes: applyYieldWriteSizeBytes },
      {
        storeId: this.storeId,
        port,
        creates: this.meta.creates,
        snapshots: this.snapshots,
        notify: (regionId, message) => this.router.notify(regionId, message),
        clock,
        runner,
        metrics: applyMetrics,
        batchMetrics: new BatchMetrics("apply", metrics),
      },
    );
  }

  private newContext(metrics: RaftMetrics): PeerContext {
    const { clock, kernels, logger, port, prng, timers, transport } = this.deps;
    return {
      storeId: this.storeId,
      options: this.options.replication,
      port,
      clock,
      logger,
      prng,
      writer: new RoundWriter({
        port,
        kernels,
        notify: (regionId, message) => this.router.notify(regionId, message),
        resume: (regionId) => this.router.resume(regionId),
      }),
      transport: transport({
        storeId: this.storeId,
        clusterId: this.clusterId,
        events: this.router,
        snapshots: this.snapshots,
      }),
      snapshots: this.snapshots,
      meta: this.meta,
      metrics,
      logGc: new RaftLogGc(port, timers),
      store: this.peerStore(),
      diskRefuses: (frees) => this.disk.refuses(frees),
    };
  }

  private peerStore(): PeerStore {
    return {
      notify: (regionId, message) => this.router.notify(regionId, message),
      toApply: (regionId, message) => this.apply.send(regionId, message),
      redeliver: (message) => this.router.onRaftMessage(message),
      createSplitPeer: (region, campaign) => this.createSplitPeer(region, campaign),
      closePeer: (regionId) => this.closePeer(regionId),
      onViewChanged: () => {
        this.sorted = undefined;
        if (this.awaited.size > 0) this.checkServing();
      },
      onRegionChanged: (peer) => this.pd.regionChanged(peer),
      onSplit: (_peer, regions) => this.pd.onSplit(regions),
      askSplit: (peer, wish) => this.pd.askSplit(peer, wish),
      halve: (peer, wish) => this.pd.halve(peer, wish),
      checkSplit: (peer) => this.pd.checkSplit(peer),
      validate: (peer) => this.pd.validate(peer),
    };
  }

  private newRaftSystem(): RaftSystem {
    const { clock, metrics, runner = immediateRunner } = this.deps;
    const actions: StoreActions = {
      toPeer: (message) => {
        if (!this.fsms.has(message.regionId)) return false;
        this.router.onRaftMessage(message);
        return true;
      },
      createByMessage: (message) => this.createByMessage(message),
      onStoreUnreachable: (storeId) => this.onStoreUnreachable(storeId),
    };
    const assertOwned = (fsm: PeerFsm): void => this.raft.assertOwned(fsm);
    return new BatchSystem(this.options.replication.storeBatch, {
      control: new StoreFsm(),
      normal: new RaftPoller(this.ctx, actions, assertOwned),
      low: new RaftPoller(this.ctx, actions, assertOwned),
      drops: {
        onDrop: (fsm, undelivered) => this.onDrop(fsm, undelivered),
        onDropControl: () => {},
      },
      clock,
      runner,
      metrics: new BatchMetrics("store", metrics),
    });
  }

  private onDrop({ peer }: PeerFsm, undelivered: readonly PeerMsg[]): void {
    const error = this.state === "stopped" ? CLOSING : regionNotFound(peer.regionId);
    answerAll(peer, error);
    for (const message of undelivered) answerMessage(message, error);
  }

  private loadPeers(): void {
    const { normal, applying, unfinished } = loadRegions(this.deps.port.engine);
    for (const region of [...normal, ...applying]) {
      this.meta.setSpans(idToNumber(region.id), [region]);
    }
    for (const region of normal) {
      const storage = this.newStorage(region, false);
      const peer = this.register(storage, region, !isAlone(storage, this.ownPeer(region).id));
      if (peer.rawNode.isSingleVoter) this.awaited.add(peer.regionId);
      this.router.notify(peer.regionId, { kind: "start", campaign: false });
    }
    this.resumeSnapshots(applying);
    for (const region of unfinished) this.resumeDestroy(region, [...normal, ...applying]);
    if (applying.length > 0) this.clearGaps([...normal, ...applying]);
  }

  /**
   * Deletes what belongs to nobody: a region that a snapshot made smaller may have left data
   * behind it, and the crash took with it what it was before.
   */
  private clearGaps(alive: readonly RegionInfo[]): void {
    for (const { startKey, endKey } of gapsBetween(alive)) {
      this.snapshots.destroyRange(startKey, endKey, () => {});
    }
  }

  /** Puts the data of snapshots in place that a crash left half done; their peers come then. */
  private resumeSnapshots(regions: readonly RegionInfo[]): void {
    const tasks = regions.map((region) => {
      const storage = this.newStorage(region, true);
      const { truncatedIndex: index, truncatedTerm: term } = storage.applyState;
      return { storage, region, key: { regionId: idToNumber(region.id), term, index } };
    });
    this.snapshots.retain(tasks.map(({ key }) => key));
    for (const { key, region, storage } of tasks) {
      this.snapshots.apply({ key, region, replaced: [] }, () => {
        this.snapshots.release(key);
        if (this.state === "stopped") return;
        this.register(storage, region, true);
        this.router.notify(key.regionId, { kind: "start", campaign: false });
      });
    }
  }

  /** Deletes what is left of a region that was destroyed, as far as nobody else has its keys. */
  private resumeDestroy(region: RegionInfo, alive: readonly RegionInfo[]): void {
    const regionId = idToNumber(region.id);
    this.meta.cleaning.add(regionId);
    const spans = gapsBetween(alive).flatMap((gap) => intersect(gap, region));
    finishDestroy(this.ctx, region.id, spans, () => this.meta.cleaning.delete(regionId));
  }

  private ownPeer(region: RegionInfo): PeerInfo {
    const own = region.peers.find((peer) => peer.storeId === this.storeId);
    assert(own !== undefined, "a region on this store has a peer on this store");
    return own;
  }

  private newStorage(region: RegionInfo, applying: boolean): PeerStorage {
    const request = (task: SnapshotTask): void => {
      this.apply.send(task.regionId, { kind: "snapshot", task });
    };
    return new PeerStorage(region, this.deps.port.engine, request, applying);
  }

  /** Makes the peer of a region and gives it a mailbox. */
  private register(
    storage: PeerStorage,
    region: RegionInfo,
    restarted: boolean,
    self: PeerInfo = this.ownPeer(region),
  ): Peer {
    const life = ++this.lives;
    const peer = new Peer(storage, self, this.ctx, { life, restarted });
    const fsm = new PeerFsm(peer);
    this.raft.router.register(peer.regionId, fsm);
    this.fsms.set(peer.regionId, fsm);
    this.sorted = undefined;
    return peer;
  }

  /** A split that is applied made a region: its peer replaces one that knew nothing. */
  private createSplitPeer(region: RegionInfo, campaign: boolean): void {
    const regionId = idToNumber(region.id);
    const before = this.fsms.get(regionId)?.peer;
    assert(before?.storage.isInitialized !== true, "a split makes regions that are new here");
    const self = this.ownPeer(region);
    this.meta.setSpans(regionId, [region]);
    this.register(this.newStorage(region, false), region, before !== undefined);
    this.meta.creates.releaseSplit(regionId, idToNumber(self.id));
    this.router.notify(regionId, { kind: "start", campaign });
    const vote = this.meta.takeVote(regionId);
    if (vote !== undefined) this.router.notify(regionId, { kind: "raftMessage", message: vote });
  }

  private createByMessage(message: RaftMessage): void {
    const { regionId, toPeer } = message;
    const region = uninitializedRegion(regionId);
    const self = { id: BigInt(toPeer.id), storeId: BigInt(toPeer.storeId), role: toPeer.role };
    const storage = this.newStorage(region, false);
    this.register(storage, region, storage.raftState.term > 0, self);
    this.router.notify(regionId, { kind: "raftMessage", message });
  }

  private closePeer(regionId: number): void {
    this.fsms.delete(regionId);
    this.raft.router.close(regionId);
    this.sorted = undefined;
  }

  private onStoreUnreachable(storeId: number): void {
    for (const peer of this.allPeers()) {
      const other = peer.region.peers.find((one) => Number(one.storeId) === storeId);
      if (other === undefined || !peer.isLeader) continue;
      this.router.onUnreachable(peer.regionId, Number(other.id));
    }
  }

  /** One raft-base-tick-interval has passed: a peer whose last tick still waits gets none. */
  private tick(): void {
    for (const { peer } of this.fsms.values()) {
      if (peer.tickPending) continue;
      peer.tickPending = true;
      this.router.notify(peer.regionId, { kind: "tick" });
    }
  }

  private checkServing(): void {
    for (const regionId of this.awaited) {
      const peer = this.fsms.get(regionId)?.peer;
      if (peer === undefined || peer.hasServed) this.awaited.delete(regionId);
    }
    if (this.awaited.size > 0) return;
    this.onServing?.();
    this.onServing = undefined;
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
