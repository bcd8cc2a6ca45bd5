/**
 * A store's side of its dialogue with PD: heartbeats, ids for splits, looks for where to split.
 * Not here: the start (start.ts), the rules (workers/, split/).
 */
import { idToNumber } from "../base/index.js";
import type { SplitWish } from "./commands.js";
import type { PeerMsg } from "./messages.js";
import type { RaftstoreMetrics } from "./metrics.js";
import type { StoreInfo } from "./pd_port.js";
import type { Peer } from "./peer.js";
import type { RegionInfo } from "./region.js";
import { pdError } from "./retry.js";
import type { SnapshotStats } from "./snapshot/types.js";
import type { StoreDeps, StoreOptions } from "./store.js";
import { regionReport, type StatsSources, storeStats } from "./store_stats.js";
import { Heartbeats } from "./workers/heartbeats.js";
import { bindPdTaskMetrics, PdTasks } from "./workers/pd_tasks.js";
import { bindSplitCheckMetrics, SplitCheckWorker } from "./workers/split_check.js";

/** What the dialogue needs to know of its store. */
export interface StoreView {
  readonly info: StoreInfo;
  readonly stats: StatsSources;
  readonly counters: RaftstoreMetrics;
  peers(): Iterable<Peer>;
  peer(regionId: number): Peer | undefined;
  notify(regionId: number, message: PeerMsg): void;
  snapshotStats(): SnapshotStats;
}

export class StorePd {
  readonly #deps: StoreDeps;
  readonly #view: StoreView;
  readonly #maxDownMs: number;
  readonly #heartbeats: Heartbeats;
  readonly #tasks: PdTasks;
  readonly #splitCheck: SplitCheckWorker;

  constructor(options: StoreOptions, deps: StoreDeps, view: StoreView) {
    const { clock, logger, metrics, onFatal, pd, port, timers } = deps;
    const { replication } = options;
    const notify = (regionId: number, message: PeerMsg): void => view.notify(regionId, message);
    this.#deps = deps;
    this.#view = view;
    this.#maxDownMs = replication.maxPeerDownDurationMs;
    const rightDerive = replication.rightDeriveWhenSplit;
    this.#tasks = new PdTasks({ rightDerive }, { pd, logger, notify });
    this.#splitCheck = new SplitCheckWorker(replication, { engine: port.engine, timers, notify });
    this.#heartbeats = new Heartbeats(
      {
        storeIntervalMs: options.pdStoreHeartbeatTickIntervalMs,
        regionIntervalMs: options.pdHeartbeatTickIntervalMs,
        retryIntervalMs: options.pdRetryIntervalMs,
        logIntervalMs: options.pdRetryLogIntervalMs,
      },
      {
        pd,
        clock,
        timers,
        logger,
        metrics: view.counters,
        storeStats: (interval) =>
          storeStats(view.stats, view.peers(), {
            storeId: view.info.id,
            startTime: view.info.startTimestamp,
            isBusy: false,
            snapshots: view.snapshotStats(),
            interval,
          }),
        ledRegions: () => [...view.peers()].filter(isLed).map(({ regionId }) => regionId),
        regionReport: (regionId, interval) => {
          const peer = view.peer(regionId);
          if (peer === undefined || !isLed(peer)) return undefined;
          return regionReport(port.engine, peer, this.#maxDownMs, interval);
        },
        register: () => this.#register(),
        onRefused: onFatal,
      },
    );
    bindPdTaskMetrics(metrics, this.#tasks);
    bindSplitCheckMetrics(metrics, this.#splitCheck);
  }

  start(): void {
    this.#tasks.start();
    this.#heartbeats.start();
  }

  /** Resolves when no heartbeat is under way; wishes to split are answered. */
  stop(): Promise<void> {
    this.#tasks.stop();
    this.#splitCheck.stop();
    return this.#heartbeats.stop();
  }

  /** The report is made behind the round that calls this: the peer shows its new role then. */
  regionChanged(peer: Peer): void {
    this.#heartbeats.regionChanged(peer.regionId);
  }

  onSplit(regions: readonly RegionInfo[]): void {
    this.#tasks.reportSplit(regions);
    for (const { id } of regions) this.#heartbeats.regionChanged(idToNumber(id));
  }

  askSplit(peer: Peer, wish: SplitWish): void {
    this.#tasks.askSplit(peer.region, peer.self, wish);
  }

  halve(peer: Peer, wish: SplitWish): void {
    this.#splitCheck.halve(peer.region, wish);
  }

  checkSplit(peer: Peer): void {
    this.#splitCheck.check(peer.region, peer.split.counted);
  }

  validate(peer: Peer): void {
    this.#tasks.validatePeer(peer.region, peer.self);
  }

  async #register(): Promise<void> {
    const reply = await this.#deps.pd.putStore(this.#view.info);
    if (!reply.ok && reply.error.kind !== "unavailable") this.#deps.onFatal(pdError(reply.error));
  }
}

function isLed(peer: Peer): boolean {
  return peer.isLeader && peer.isActive;
}
