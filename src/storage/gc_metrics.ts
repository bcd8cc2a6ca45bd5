/** Metrics of GC on a store, under TiKV's names; the slice's duration is ours. */
import { type Gauge, type Histogram, type MetricsRegistry, totalOf } from "../base/index.js";
import type { GcSlice } from "../mvcc/index.js";

export class GcMetrics {
  failures = 0;
  /** The longest slice since the start, milliseconds: how long GC held the event loop. */
  longestSliceMs = 0;
  slices = 0;
  versions = 0;
  readonly deleted = { default: 0, write: 0, lock: 0 };
  readonly regions = { collected: 0, skipped: 0 };
  private readonly sliceSeconds: Histogram;
  private readonly taskSeconds: Histogram;
  private readonly safePoint: Gauge;
  private readonly status: Gauge;

  constructor(registry: MetricsRegistry) {
    this.sliceSeconds = registry.histogram({
      name: "rutile_gc_slice_duration_seconds",
      help: "Time of one slice of GC, which the event loop spends on nothing else.",
    });
    this.taskSeconds = registry.histogram({
      name: "tikv_gcworker_gc_task_duration_vec",
      help: "Time of GC of one region.",
      labelNames: ["task"],
    });
    this.safePoint = registry.gauge({
      name: "tikv_gcworker_autogc_safe_point",
      help: "The GC safe point that is being worked on, or was last.",
    });
    this.status = registry.gauge({
      name: "tikv_gcworker_autogc_status",
      help: "1 for what GC does now: working or idle.",
      labelNames: ["state"],
    });
    const processed = registry.gauge({
      name: "tikv_gcworker_autogc_processed_regions",
      help: "Regions that passes have gone through, and that they skipped.",
      labelNames: ["type"],
    });
    const tasks = totalOf(
      registry.counter({
        name: "tikv_gcworker_gc_tasks_vec",
        help: "Regions that were collected.",
        labelNames: ["task"],
      }),
    );
    const failures = totalOf(
      registry.counter({
        name: "tikv_gcworker_gc_task_fail_vec",
        help: "Regions whose collection failed.",
        labelNames: ["task"],
      }),
    );
    const keys = totalOf(
      registry.counter({
        name: "tikv_gcworker_gc_keys",
        help: "Entries that GC looked at (total) and deleted, by column family.",
        labelNames: ["cf", "tag"],
      }),
    );
    registry.onCollect(() => {
      processed.set(this.regions.collected, { type: "scan" });
      processed.set(this.regions.skipped, { type: "skipped" });
      tasks(this.regions.collected, { task: "gc" });
      failures(this.failures, { task: "gc" });
      keys(this.versions, { cf: "write", tag: "total" });
      keys(this.deleted.write, { cf: "write", tag: "deleted" });
      keys(this.deleted.default, { cf: "default", tag: "deleted" });
    });
    this.onPassEnd();
  }

  onPass(safePoint: bigint): void {
    this.safePoint.set(Number(safePoint));
    this.status.set(1, { state: "working" });
    this.status.set(0, { state: "idle" });
  }

  onPassEnd(): void {
    this.status.set(0, { state: "working" });
    this.status.set(1, { state: "idle" });
  }

  onSlice(slice: GcSlice, ms: number): void {
    this.slices++;
    this.versions += slice.stats.foundVersions;
    for (const { cf } of slice.deletes) this.deleted[cf]++;
    this.longestSliceMs = Math.max(this.longestSliceMs, ms);
    this.sliceSeconds.observe(ms / 1000);
  }

  onRegion(outcome: "collected" | "skipped", ms: number): void {
    this.regions[outcome]++;
    this.taskSeconds.observe(ms / 1000, { task: "gc" });
  }
}
