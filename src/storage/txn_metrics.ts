/**
 * Metrics of transactions under TiKV's names, beside those that raw commands have too (metrics.ts)
 * and those of lock waits (lock_manager_metrics.ts).
 * Counters are plain numbers, copied at scrape time.
 */
import { type Histogram, type MetricsRegistry, totalOf } from "../base/index.js";
import { Statistics } from "../mvcc/index.js";

/** Labels of tikv_scheduler_stage_total. */
const STAGES = {
  new: 0,
  snapshot_ok: 0,
  snapshot_err: 0,
  process: 0,
  write: 0,
  write_finish: 0,
  lock_wait: 0,
  error: 0,
};
export type Stage = keyof typeof STAGES;

const CFS = ["lock", "write", "default"] as const;

/** Totals of one kind of command or read. */
interface TagTotals {
  readonly stages: Record<Stage, number>;
  readonly scanned: Statistics;
  keysWritten: number;
}

/** Counters and histograms that the scheduler and the reads feed. */
export class TxnMetrics {
  readonly byTag = new Map<string, TagTotals>();
  /** Times that max_ts of a region was not known when it was needed. */
  maxTsNotSynced = 0;
  private readonly processing: Histogram;
  private readonly engine: Histogram;

  constructor(registry: MetricsRegistry) {
    this.processing = registry.histogram({
      name: "tikv_scheduler_processing_read_duration_seconds",
      help: "Time that a command reads and decides.",
      labelNames: ["type"],
    });
    this.engine = registry.histogram({
      name: "tikv_storage_engine_async_request_duration_seconds",
      help: "Time until a command had its snapshot, or its write was applied.",
      labelNames: ["type"],
    });
  }

  onStage(tag: string, stage: Stage): void {
    this.of(tag).stages[stage]++;
  }

  onScanned(tag: string, statistics: Statistics): void {
    this.of(tag).scanned.add(statistics);
  }

  onWritten(tag: string, keys: number): void {
    this.of(tag).keysWritten += keys;
  }

  observeProcess(tag: string, ms: number): void {
    this.processing.observe(ms / 1000, { type: tag });
  }

  observeEngine(type: "snapshot" | "write", ms: number): void {
    this.engine.observe(ms / 1000, { type });
  }

  private of(tag: string): TagTotals {
    let totals = this.byTag.get(tag);
    if (totals === undefined) {
      totals = { stages: { ...STAGES }, scanned: new Statistics(), keysWritten: 0 };
      this.byTag.set(tag, totals);
    }
    return totals;
  }
}

/** What a scrape reads beside the counters. */
export interface TxnGauges {
  readonly runningCommands: number;
  readonly memoryBytes: number;
  readonly maxTs: bigint;
  readonly memoryLocks: number;
  readonly pessimisticLockBytes: number;
  readonly pessimisticLocks: { readonly kept: number; readonly written: number };
}

/** Registers the metrics that are copied at scrape time. */
export function bindTxnMetrics(
  registry: MetricsRegistry,
  metrics: TxnMetrics,
  gauges: () => TxnGauges,
): void {
  const gauge = (name: string, help: string) => registry.gauge({ name, help });
  const copyTotals = bindTagTotals(registry, metrics);
  const notSynced = totalOf(
    registry.counter({
      name: "tikv_storage_max_ts_not_synced_total",
      help: "Prewrites refused because max_ts did not cover earlier leaders' reads yet.",
    }),
  );
  const running = gauge("tikv_scheduler_contex_total", "Commands that run or wait.");
  const memory = gauge("tikv_scheduler_memory_usage_bytes", "Bytes of those commands.");
  const maxTs = gauge("tikv_concurrency_manager_max_ts", "max_ts of this store.");
  const locks = gauge("tikv_concurrency_manager_memory_locks", "Keys that are held in memory.");
  const bytes = gauge(
    "tikv_in_memory_pessimistic_locks_memory_size",
    "Bytes of the pessimistic locks in memory.",
  );
  const kept = totalOf(
    registry.counter({
      name: "tikv_in_memory_pessimistic_locking",
      help: "Pessimistic locks that were kept in memory, and those that had to be written.",
      labelNames: ["result"],
    }),
  );
  registry.onCollect(() => {
    copyTotals();
    notSynced(metrics.maxTsNotSynced);
    const now = gauges();
    running.set(now.runningCommands);
    memory.set(now.memoryBytes);
    maxTs.set(Number(now.maxTs));
    locks.set(now.memoryLocks);
    bytes.set(now.pessimisticLockBytes);
    kept(now.pessimisticLocks.kept, { result: "success" });
    kept(now.pessimisticLocks.written, { result: "full" });
  });
}

/** Registers what is counted by command; returns what copies it. */
function bindTagTotals(registry: MetricsRegistry, { byTag }: TxnMetrics): () => void {
  const counter = (name: string, help: string, labelNames: readonly string[]) =>
    totalOf(registry.counter({ name, help, labelNames }));
  const stages = counter("tikv_scheduler_stage_total", "Stages that commands reached.", [
    "type",
    "stage",
  ]);
  const details = counter("tikv_scheduler_kv_scan_details", "Entries that commands looked at.", [
    "req",
    "cf",
    "tag",
  ]);
  const written = counter("tikv_scheduler_kv_command_key_write_total", "Keys that were written.", [
    "type",
  ]);
  return () => {
    for (const [type, totals] of byTag) {
      for (const [stage, total] of Object.entries(totals.stages)) stages(total, { type, stage });
      for (const cf of CFS) {
        const { processedKeys, get, next, prev, seek, seekForPrev } = totals.scanned.of(cf);
        details(processedKeys, { req: type, cf, tag: "processed_keys" });
        details(get, { req: type, cf, tag: "get" });
        details(next, { req: type, cf, tag: "next" });
        details(prev, { req: type, cf, tag: "prev" });
        details(seek, { req: type, cf, tag: "seek" });
        details(seekForPrev, { req: type, cf, tag: "seek_for_prev" });
      }
      written(totals.keysWritten, { type });
    }
  };
}
