/**
 * GC on a store: asks PD for the GC safe point, and when it has moved deletes the versions that
 * nobody at or above it can see, from every region that this store has a replica of. Each replica
 * does it for itself: the deletes are writes to the engine, not proposals.
 *
 * Why that is safe beside applies: a slice reads and hands its deletes to the engine in one turn, so
 * they take effect before every write that was submitted later; those that were submitted earlier
 * and are not in the snapshot yet are of later log entries, which add no version that is hidden
 * already (locks below the safe point were resolved before PD published it) and rewrite none without
 * a fence (gc_fence). Why beside snapshots: a region whose data is being replaced is skipped, and
 * what replaces it is submitted after the peer has said so.
 *
 * Nothing is persisted: after a restart the first pass is made again. Raw data has no versions here.
 * Source: tikv src/server/gc_worker/gc_manager.rs; the slices are ours, TiKV has a thread for it.
 */
import { type Clock, errorMessage, type Logger, type Timers } from "../base/index.js";
import { dataKey } from "../codec/index.js";
import type { Engine } from "../engine/index.js";
import { type GcSlice, gcSlice, type MvccSnapshot } from "../mvcc/index.js";
import type { PdReply, ReadDelegate, RegionRouter } from "../raftstore/index.js";
import type { GcMetrics } from "./gc_metrics.js";

export const GC_SLICE_KEYS = 256;
export const GC_SLICE_BYTES = 256 * 1024;

/** A view of one region as of now, bounded by it. */
export interface GcView {
  readonly snapshot: MvccSnapshot;
  close(): void;
}

export interface GcWorkerDeps {
  readonly engine: Engine;
  readonly router: Pick<RegionRouter, "delegates" | "delegate">;
  /** Asks PD; 0n until it has one. */
  readonly getGcSafePoint: () => Promise<PdReply<bigint>>;
  readonly view: (peer: ReadDelegate) => GcView;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
  readonly metrics: GcMetrics;
}

export class GcWorker {
  private cancelTimer = (): void => {};
  private stopped = false;
  private round: Promise<void> = Promise.resolve();
  /** Invariant: every region that was here when the pass began has been through it. */
  private done = 0n;

  constructor(
    /** How often PD is asked, milliseconds. */
    private readonly pollIntervalMs: number,
    private readonly deps: GcWorkerDeps,
  ) {}

  /** The safe point of the last pass that is complete; 0n before the first. */
  get safePoint(): bigint {
    return this.done;
  }

  /** Asks PD after each interval, and makes a pass when the safe point has moved. */
  start(): void {
    if (this.stopped) return;
    this.cancelTimer = this.deps.timers.after(this.pollIntervalMs, () => {
      this.round = this.poll()
        .catch((error: unknown) => {
          this.deps.metrics.failures++;
          this.deps.logger.error("gc failed", {}, error);
        })
        .then(() => this.start());
    });
  }

  /** Resolves when no pass is under way and none will follow. */
  async stop(): Promise<void> {
    this.stopped = true;
    this.cancelTimer();
    await this.round;
  }

  /** Asks PD once. While it cannot be reached nothing is deleted. */
  async poll(): Promise<void> {
    const { logger } = this.deps;
    const reply = await this.deps.getGcSafePoint();
    if (!reply.ok) {
      logger.debug("gc safe point is not known", { reason: reply.error.message });
      return;
    }
    if (reply.value > this.done && !this.stopped) await this.collect(reply.value);
  }

  /** Passes over all regions that are here. A region that fails is left to the next pass. */
  async collect(safePoint: bigint): Promise<void> {
    const { clock, logger, metrics, router } = this.deps;
    const started = clock.monotonicMs();
    metrics.onPass(safePoint);
    logger.info("gc starts", { safe_point: safePoint });
    const seen = new Set<number>();
    let failed = false;
    // A region that is split during the pass leaves a new one behind: look again until none is new.
    for (;;) {
      const fresh = router.delegates().filter(({ regionId }) => !seen.has(regionId));
      if (fresh.length === 0) break;
      for (const { region, regionId } of fresh) {
        if (this.stopped) return;
        seen.add(regionId);
        try {
          await this.collectRegion(region.id, safePoint);
        } catch (error) {
          failed = true;
          metrics.failures++;
          logger.error("gc of a region failed", { region_id: region.id }, error);
        }
      }
    }
    metrics.onPassEnd();
    if (this.stopped || failed) return;
    this.done = safePoint;
    const seconds = (clock.monotonicMs() - started) / 1000;
    logger.info("gc is complete", { safe_point: safePoint, regions: seen.size, seconds });
  }

  private async collectRegion(regionId: bigint, safePoint: bigint): Promise<void> {
    const { clock, engine, metrics, router, timers } = this.deps;
    const started = clock.monotonicMs();
    let from: Uint8Array | undefined;
    while (!this.stopped) {
      const peer = router.delegate(regionId);
      if (peer === undefined || !peer.dataReady) {
        metrics.onRegion("skipped", clock.monotonicMs() - started);
        return;
      }
      const sliceStarted = clock.monotonicMs();
      const slice = this.slice(peer, from ?? peer.region.startKey, safePoint);
      const batch = engine.newWriteBatch();
      for (const { cf, key } of slice.deletes) batch.delete(cf, dataKey(key));
      // In the same turn as the read: nothing can be submitted between the two.
      const written = batch.count === 0 ? undefined : engine.write(batch, { sync: false });
      metrics.onSlice(slice, clock.monotonicMs() - sliceStarted);
      await written;
      if (slice.nextKey === undefined) break;
      from = slice.nextKey;
      await new Promise<void>((resolve) => {
        timers.after(0, resolve);
      });
    }
    metrics.onRegion("collected", clock.monotonicMs() - started);
  }

  private slice(peer: ReadDelegate, from: Uint8Array, safePoint: bigint): GcSlice {
    const { close, snapshot } = this.deps.view(peer);
    try {
      const bounds = { from, upper: peer.region.endKey, safePoint };
      const limits = { maxKeys: GC_SLICE_KEYS, maxBytes: GC_SLICE_BYTES };
      const source = { snapshot, statistics: this.deps.metrics.scanned };
      return gcSlice(source, { ...bounds, ...limits });
    } catch (error) {
      throw new Error(`gc at ${Buffer.from(from).toString("hex")}: ${errorMessage(error)}`, {
        cause: error,
      });
    } finally {
      close();
    }
  }
}
