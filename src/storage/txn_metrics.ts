/**
 * Metrics of transactions under TiKV's names, beside those that raw commands have too (metrics.ts)
 * and those of lock waits (lock_manager_metrics.ts).
 * Counters are plain numbers, copied at scrape time.
 */
import { type Histogram, type MetricsRegistry, totalOf } from "../base/index.js";
import type { Statistics } from "../mvcc/index.js";

/** Labels of tikv_scheduler_stage_total. */
export type Stage =
  | "new"
  | "snapshot_ok"
  | "snapshot_err"
  | "process"
  | "write"
  | "write_finish"
  | "lock_wait"
  | "error";

/** Labels of a counter, joined: tags have no such character. */
const SEPARATOR = "|";
const CFS = ["lock", "write", "default"] as const;

class Totals {
  readonly byLabels = new Map<string, number>();

  add(labels: readonly string[], count: number): void {
    if (count === 0) return;
    const key = labels.join(SEPARATOR);
    this.byLabels.set(key, (this.byLabels.get(key) ?? 0) + count);
  }
}

/** Counters and histograms that the scheduler and the reads feed. */
export class TxnMetrics {
  readonly stages = new Totals();
  readonly scanDetails = new Totals();
  readonly keysWritten = new Totals();
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
    this.stages.add([tag, stage], 1);
  }

  onScanned(tag: string, statistics: Statistics): void {
    for (const cf of CFS) {
      const { processedKeys, get, next, prev, seek, seekForPrev } = statistics.of(cf);
      this.scanDetails.add([tag, cf, "processed_keys"], processedKeys);
      this.scanDetails.add([tag, cf, "get"], get);
      this.scanDetails.add([tag, cf, "next"], next);
      this.scanDetails.add([tag, cf, "prev"], prev);
      this.scanDetails.add([tag, cf, "seek"], seek);
      this.scanDetails.add([tag, cf, "seek_for_prev"], seekForPrev);
    }
  }

  onWritten(tag: string, keys: number): void {
    this.keysWritten.add([tag], keys);
  }

  observeProcess(tag: string, ms: number): void {
    this.processing.observe(ms / 1000, { type: tag });
  }

  observeEngine(type: "snapshot" | "write", ms: number): void {
    this.engine.observe(ms / 1000, { type });
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
  const copies = [
    copyOf(registry, metrics.stages, {
      name: "tikv_scheduler_stage_total",
      help: "Stages that commands reached.",
      labelNames: ["type", "stage"],
    }),
    copyOf(registry, metrics.scanDetails, {
      name: "tikv_scheduler_kv_scan_details",
      help: "Entries that commands looked at.",
      labelNames: ["req", "cf", "tag"],
    }),
    copyOf(registry, metrics.keysWritten, {
      name: "tikv_scheduler_kv_command_key_write_total",
      help: "Keys written by commands.",
      labelNames: ["type"],
    }),
  ];
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
    for (const copy of copies) copy();
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

/** Returns what brings a counter up to its totals. */
function copyOf(
  registry: MetricsRegistry,
  totals: Totals,
  options: {
    readonly name: string;
    readonly help: string;
    readonly labelNames: readonly string[];
  },
): () => void {
  const total = totalOf(registry.counter(options));
  return () => {
    for (const [labels, count] of totals.byLabels) {
      const values = labels.split(SEPARATOR);
      const named = options.labelNames.map((name, i) => [name, values[i] as string]);
      total(count, Object.fromEntries(named));
    }
  };
}
