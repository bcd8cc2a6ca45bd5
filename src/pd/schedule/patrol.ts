/**
 * Goes round all regions and has each checked, batch after batch; regions that just changed come
 * first. A round takes a second at least and a quarter of a millisecond a region, so that an idle
 * cluster costs next to nothing: what changed by itself was checked already, a round is for what
 * changed around regions (stores that die, leave, join). PURE.
 * Source: pd pkg/schedule/checker/checker_controller.go PatrolRegions.
 */
import { EMPTY_BYTES } from "../../base/index.js";
import type { RegionInfo } from "../core/index.js";
import type { CheckerController } from "./checkers/checker_controller.js";
import type { ScheduleCluster } from "./cluster.js";
import type { ScheduleMetrics } from "./metrics.js";

/** Regions of a batch. Source: pd patrolScanRegionMinLimit, MaxPatrolScanRegionLimit. */
const BATCH_MIN = 128;
const BATCH_MAX = 8192;
/** A batch is a share of all regions. Source: pd patrolRegionPartition. */
const BATCHES_PER_ROUND = 1024;
const ROUND_MIN_MS = 1000;
const ROUND_MS_PER_REGION = 0.25;
/** Changed regions that wait; beyond them the round finds them. */
const SUSPECTS_MAX = 10_000;

export class Patrol {
  private readonly cluster: ScheduleCluster;
  private readonly checkers: CheckerController;
  private readonly metrics: ScheduleMetrics;
  private readonly suspects = new Set<bigint>();
  private cursor: Uint8Array = EMPTY_BYTES;
  private roundStartedMs = Number.NEGATIVE_INFINITY;
  private lastBatchMs = Number.NEGATIVE_INFINITY;
  private inRound = false;

  constructor(cluster: ScheduleCluster, checkers: CheckerController, metrics: ScheduleMetrics) {
    this.cluster = cluster;
    this.checkers = checkers;
    this.metrics = metrics;
  }

  /** Has a region checked soon. */
  suspect(regionId: bigint): void {
    if (this.suspects.size < SUSPECTS_MAX) this.suspects.add(regionId);
  }

  /** Checks what is due at `nowMs`: changed regions and as many batches as time has passed for. */
  tick(nowMs: number): void {
    this.checkSuspects();
    const roundMs = Math.max(ROUND_MIN_MS, this.cluster.basic.regionCount * ROUND_MS_PER_REGION);
    if (!this.inRound && nowMs - this.roundStartedMs < roundMs) return;
    if (!this.inRound) {
      this.inRound = true;
      this.roundStartedMs = nowMs;
      this.lastBatchMs = nowMs - this.cluster.config.patrolRegionIntervalMs;
    }
    const interval = Math.max(1, this.cluster.config.patrolRegionIntervalMs);
    for (; this.inRound && nowMs - this.lastBatchMs >= interval; this.lastBatchMs += interval) {
      this.batch(nowMs);
    }
  }

  private checkSuspects(): void {
    const ids = [...this.suspects];
    this.suspects.clear();
    for (const id of ids) {
      const region = this.cluster.basic.getRegion(id);
      if (region !== undefined) this.checkers.check(region);
    }
  }

  private batch(nowMs: number): void {
    const { basic } = this.cluster;
    const share = Math.ceil(basic.regionCount / BATCHES_PER_ROUND);
    const size = Math.min(BATCH_MAX, Math.max(BATCH_MIN, share));
    const regions = basic.scanRegions(this.cursor, EMPTY_BYTES, size) as RegionInfo[];
    for (const region of regions) this.checkers.check(region);
    const last = regions.at(-1);
    const isOver = last === undefined || regions.length < size || last.meta.endKey.length === 0;
    this.cursor = isOver ? EMPTY_BYTES : last.meta.endKey;
    if (!isOver) return;
    this.inRound = false;
    this.metrics.patrolMs = nowMs - this.roundStartedMs;
  }
}
