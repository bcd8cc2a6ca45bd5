/** Metrics of GC on a store, under TiKV's names; the slice's duration is ours. */
import {
  COMMAND_SECONDS,
  exponentialBuckets,
  type Gauge,
  type Histogram,
  type MetricsRegistry,
  registerTotal,
} from "../base/index.js";
import { type GcSlice, Statistics } from "../mvcc/index.js";
import { scanDetails } from "./scan_details.js";

/** TiKV's buckets of versions of a key. */
const VERSION_COUNTS = exponentialBuckets(1, 2, 30);
/** What is collected here: transactional keys. */
const KEY_MODE = "txn";

export class GcMetrics {
  failures = 0;
  /** The longest slice since the start, milliseconds: how long GC held the event loop. */
  longestSliceMs = 0;
  slices = 0;
  /** Versions at or below the safe point that were looked at. */
  versions = 0;
  /** What the slices cost; they add to it. */
  readonly scanned = new Statistics();
  readonly deleted = { default: 0, write: 0, lock: 0 };
  /** Since the start. */
  readonly regions = { collected: 0, skipped: 0 };
  /** Of the pass that is under way, or was last. */
  private passRegions = 0;
  private readonly sliceSeconds: Histogram;
  private readonly taskSeconds: Histogram;
  private readonly keyVersions: Histogram;
  private readonly keyDeletes: Histogram;
  private readonly safePoint: Gauge;
  private readonly status: Gauge;

  constructor(registry: MetricsRegistry) {
    this.sliceSeconds = registry.histogram({
      name: "rutile_gc_slice_duration_seconds",
      help: "Time of one slice of GC, which the event loop spends on nothing else.",
      buckets: COMMAND_SECONDS,
    });
    this.taskSeconds = registry.histogram({
      name: "tikv_gcworker_gc_task_duration_vec",
      help: "Time of GC of one region, seconds.",
      labelNames: ["task"],
      buckets: COMMAND_SECONDS,
    });
    this.keyVersions = registry.histogram({
      name: "tikv_storage_mvcc_versions",
      help: "Versions of a key at or below the safe point.",
      labelNames: ["key_mode"],
      buckets: VERSION_COUNTS,
    });
    this.keyDeletes = registry.histogram({
      name: "tikv_storage_mvcc_gc_delete_versions",
      help: "Versions of a key that GC deleted, where there were any.",
      labelNames: ["key_mode"],
      buckets: VERSION_COUNTS,
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
    this.bind(registry);
    this.onPassEnd();
  }

  onPass(safePoint: bigint): void {
    this.passRegions = 0;
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
    for (const { deletedVersions, foundVersions } of slice.keys) {
      this.keyVersions.observe(foundVersions, { key_mode: KEY_MODE });
      if (deletedVersions > 0) this.keyDeletes.observe(deletedVersions, { key_mode: KEY_MODE });
    }
    for (const { cf } of slice.deletes) this.deleted[cf]++;
    this.longestSliceMs = Math.max(this.longestSliceMs, ms);
    this.sliceSeconds.observe(ms / 1000);
  }

  onRegion(outcome: "collected" | "skipped", ms: number): void {
    this.regions[outcome]++;
    this.passRegions++;
    this.taskSeconds.observe(ms / 1000, { task: "gc" });
  }

  private bind(registry: MetricsRegistry): void {
    const processed = registry.gauge({
      name: "tikv_gcworker_autogc_processed_regions",
      help: "Regions that the pass under way, or the last one, has been through.",
      labelNames: ["type"],
    });
    const tasks = registerTotal(
      registry,
      "tikv_gcworker_gc_tasks_vec",
      "Regions that were collected.",
      ["task"],
    );
    const failures = registerTotal(
      registry,
      "tikv_gcworker_gc_task_fail_vec",
      "Regions whose GC failed.",
      ["task"],
    );
    const skipped = registerTotal(
      registry,
      "tikv_storage_gc_skipped_counter",
      "Regions that were passed over: they have no data here, or it is being replaced.",
    );
    const keys = registerTotal(
      registry,
      "tikv_gcworker_gc_keys",
      "Entries that GC looked at, by how, and deleted (tag deleted, ours).",
      ["key_mode", "cf", "tag"],
    );
    registry.onCollect(() => {
      processed.set(this.passRegions, { type: "scan" });
      tasks(this.regions.collected, { task: "gc" });
      failures(this.failures, { task: "gc" });
      skipped(this.regions.skipped);
      for (const { cf, tag, total } of scanDetails(this.scanned)) {
        keys(total, { key_mode: KEY_MODE, cf, tag });
      }
      for (const cf of ["default", "write"] as const) {
        keys(this.deleted[cf], { key_mode: KEY_MODE, cf, tag: "deleted" });
      }
    });
  }
}
