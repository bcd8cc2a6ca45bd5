/**
 * A store: the peers it holds, on the raft batch system; their delegates, on the apply batch
 * system; its beat, its snapshots and its dialogue with PD. It runs no round by itself: the runner
 * and the callbacks of its ports do. Not here: opening it (start.ts), data (storage/).
 * Source: tikv src/server/raft_server.rs, raftstore/store/fsm/store.rs.
 */
import {
  assert,
  type Clock,
  EMPTY_BYTES,
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
import type { WriteCommand } from "./commands.js";
import { DiskMonitor, type StatFs } from "./disk.js";
import type { EnginePort } from "./engine_port.js";
import { ApplySystem } from "./fsm/apply.js";
import { handlePeer, type PeerFsm } from "./fsm/peer.js";
import { handleStore, type StoreActions, StoreFsm } from "./fsm/store.js";
import type { StoreIdent } from "./local_state.js";
import type { PeerMsg, StoreMsg } from "./messages.js";
import { bindRaftstoreMetrics, RaftstoreMetrics } from "./metrics.js";
import type { RaftstoreOptions } from "./options.js";
import type { PdPort, SchedulePort, StoreInfo } from "./pd_port.js";
import type { Peer } from "./peer.js";
import { answerAll, answerMessage, CLOSING, regionNotFound } from "./peer_answer.js";
import type { PeerContext, PeerStore } from "./peer_context.js";
import { bindRaftMetrics, RaftMetrics } from "./raft_metrics.js";
import type { ReadDelegate, RegionRouter } from "./read_delegate.js";
import type { RegionError } from "./region.js";
import { RaftRouter } from "./router.js";
import type { SnapFiles } from "./snapshot/files.js";
import { RegionSnapshots } from "./snapshot/manager.js";
import { bindSnapshotMetrics } from "./snapshot/metrics.js";
import type { SnapshotManager } from "./snapshot/types.js";
import { StoreMeta } from "./store_meta.js";
import { StorePd } from "./store_pd.js";
import { StorePeers } from "./store_peers.js";
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
  private readonly peers: StorePeers;
  private readonly ticker: Ticker;
  /** What a leader writes before it gives leadership or keys away. */
  private lastWrite: (peer: ReadDelegate) => WriteCommand | undefined = () => undefined;
  private listener: (peer: ReadDelegate) => void = () => {};
  private judge: (check: Uint8Array) => Uint8Array = () => EMPTY_BYTES;
  private state: "new" | "running" | "stopped" = "new";

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
    this.peers = new StorePeers(this.ctx, this.raft.router, this.snapshots);
    const stats = { engine: port.engine, disk: this.disk, capacityBytes };
    this.pd = new StorePd(options, deps, {
      info,
      stats,
      counters: this.counters,
      peers: () => this.peers.all(),
      peer: (regionId) => this.peers.get(regionId),
      notify: (regionId, message) => this.router.notify(regionId, message),
      snapshotStats: () => this.snapshots.stats(),
    });
    this.ticker = new Ticker(replication.raftBaseTickIntervalMs, { clock, timers }, () =>
      this.peers.tick(),
    );
    bindRaftstoreMetrics(metrics, this.counters, () => storeGauges(stats, this.peers.all()));
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

  /** Sets the peers on disk going; see StorePeers.load for `onServing`. */
  start(onServing: () => void = () => {}): void {
    assert(this.state === "new", "a store starts once");
    this.state = "running";
    this.ticker.start();
    this.peers.load(onServing);
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
    this.peers.stop();
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
    return this.peers.sorted();
  }

  delegate(regionId: bigint): Peer | undefined {
    const peer = this.peers.get(Number(regionId));
    return peer?.isActive ? peer : undefined;
  }

  /** All peers, those without data and those that are leaving too; for checks. */
  allPeers(): Iterable<Peer> {
    return this.peers.all();
  }

  send(regionId: number, message: PeerMsg): RouteResult {
    return this.router.send(regionId, message);
  }

  beforeHandover(write: (peer: ReadDelegate) => WriteCommand | undefined): void {
    this.lastWrite = write;
  }

  watch(listener: (peer: ReadDelegate) => void): void {
    this.listener = listener;
  }

  judgeReads(judge: (check: Uint8Array) => Uint8Array): void {
    this.judge = judge;
  }

  onRefused(error: RegionError): void {
    this.counters.onRefused(error);
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
        clock,
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
      createSplitPeer: (region, campaign) => this.peers.createSplitPeer(region, campaign),
      closePeer: (peer) => this.peers.close(peer),
      onViewChanged: (peer) => {
        this.peers.onViewChanged();
        this.listener(peer);
      },
      onRegionChanged: (peer) => this.pd.regionChanged(peer),
      onSplit: (_peer, regions) => this.pd.onSplit(regions),
      askSplit: (peer, wish) => this.pd.askSplit(peer, wish),
      halve: (peer, wish) => this.pd.halve(peer, wish),
      checkSplit: (peer) => this.pd.checkSplit(peer),
      validate: (peer) => this.pd.validate(peer),
      handOver: (peer) => this.lastWrite(peer),
      judgeRead: (check) => this.judge(check),
    };
  }

  private newRaftSystem(): RaftSystem {
    const { clock, metrics, runner = immediateRunner } = this.deps;
    const actions: StoreActions = {
      toPeer: (message) => {
        if (this.peers.get(message.regionId) === undefined) return false;
        this.router.onRaftMessage(message);
        return true;
      },
      createByMessage: (message) => this.peers.createByMessage(message),
      onStoreUnreachable: (storeId) => this.peers.onStoreUnreachable(storeId),
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
}
