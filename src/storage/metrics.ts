/** Metrics of storage under TiKV's names. Counters are plain numbers, copied at scrape time. */
import {
  COMMAND_SECONDS,
  exponentialBuckets,
  type Histogram,
  type MetricsRegistry,
  totalOf,
} from "../base/index.js";

/** TiKV's name of a command, raw or transactional: "raw_get", "prewrite". */
export type CommandTag = string;

/** Commands that the batch path merges; which ones they were, the gRPC layer counts. */
export type BatchCommand = "raw_batch_get_command" | "raw_batch_write";

/** Counters that storage's code increments. */
export class StorageMetrics {
  readonly commands = new Map<CommandTag, number>();
  readonly tooBusy = new Map<CommandTag, number>();
  readonly ttlActions = new Map<TtlAction, number>();
  /** Reads under the lease, and stale ones, that needed no confirmation. */
  localReads = 0;
  localStaleReads = 0;
  readonly readIndexes = new Map<ReadIndexReason, number>();
  ttlProcessedRegions = 0;
  private readonly duration: Histogram;
  private readonly latchWait: Histogram;
  private readonly keysRead: Histogram;

  constructor(registry: MetricsRegistry) {
    this.duration = registry.histogram({
      name: "tikv_scheduler_command_duration_seconds",
      help: "Time of a command in storage.",
      labelNames: ["type"],
      buckets: COMMAND_SECONDS,
    });
    this.latchWait = registry.histogram({
      name: "tikv_scheduler_latch_wait_duration_seconds",
      help: "Time a command waited for its latches.",
      labelNames: ["type"],
      buckets: COMMAND_SECONDS,
    });
    this.keysRead = registry.histogram({
      name: "tikv_scheduler_kv_command_key_read",
      help: "Keys that a command read; of gets that were served together, those of all.",
      labelNames: ["type"],
      buckets: KEY_COUNTS,
    });
  }

  onCommand(type: CommandTag): void {
    this.onCommands(type, 1);
  }

  onCommands(type: CommandTag, count: number): void {
    this.commands.set(type, (this.commands.get(type) ?? 0) + count);
  }

  /** Counts commands of the batch path: keys of gets, records of writes. */
  onBatch(type: BatchCommand, count: number): void {
    this.commands.set(type, (this.commands.get(type) ?? 0) + count);
    if (type === "raw_batch_get_command") this.onKeysRead(type, count);
  }

  onReadIndex(reason: ReadIndexReason): void {
    this.readIndexes.set(reason, (this.readIndexes.get(reason) ?? 0) + 1);
  }

  onTooBusy(type: CommandTag): void {
    this.tooBusy.set(type, (this.tooBusy.get(type) ?? 0) + 1);
  }

  onKeysRead(type: CommandTag, keys: number): void {
    this.keysRead.observe(keys, { type });
  }

  onTtlAction(type: TtlAction, count = 1): void {
    this.ttlActions.set(type, (this.ttlActions.get(type) ?? 0) + count);
  }

  observeDuration(type: CommandTag, ms: number): void {
    this.duration.observe(ms / 1000, { type });
  }

  /** Of `count` commands that waited as long. */
  observeLatchWait(type: CommandTag, ms: number, count = 1): void {
    this.latchWait.observe(ms / 1000, { type }, count);
  }
}

/** TiKV's buckets of keys in a command. */
export const KEY_COUNTS: readonly number[] = exponentialBuckets(1, 2, 21);

/** Why a read was not local; labels of tikv_raftstore_local_read_reject_total. */
export type ReadIndexReason = "lease_expire" | "no_lease";

/** Labels of tikv_ttl_checker_actions: rounds, batches of deletes, keys removed, kept, failures. */
export type TtlAction = "finish" | "delete" | "removed" | "changed" | "error";

/** What a scrape reads beside the counters. */
export interface StorageGauges {
  readonly writingBytes: number;
  readonly runningReads: number;
  readonly ttlPollIntervalMs: number;
}

/** Registers the metrics that are copied at scrape time. */
export function bindStorageMetrics(
  registry: MetricsRegistry,
  metrics: StorageMetrics,
  gauges: () => StorageGauges,
): void {
  const byType = (name: string, help: string): ReturnType<typeof totalOf> =>
    totalOf(registry.counter({ name, help, labelNames: ["type"] }));
  const commands = byType("tikv_storage_command_total", "Commands received by storage.");
  const tooBusy = byType("tikv_scheduler_too_busy_total", "Commands refused as too busy.");
  const ttlActions = byType("tikv_ttl_checker_actions", "Actions of the TTL checker.");
  const localReads = totalOf(
    registry.counter({
      name: "tikv_raftstore_local_read_executed_requests",
      help: "Reads answered without asking the log.",
    }),
  );
  const localStaleReads = totalOf(
    registry.counter({
      name: "tikv_raftstore_local_read_executed_stale_read_requests",
      help: "Stale reads answered from what this replica has applied.",
    }),
  );
  const rejected = totalOf(
    registry.counter({
      name: "tikv_raftstore_local_read_reject_total",
      help: "Reads that needed the log's confirmation.",
      labelNames: ["reason"],
    }),
  );
  const writingBytes = registry.gauge({
    name: "tikv_scheduler_writing_bytes",
    help: "Bytes of the writes under way.",
  });
  const running = registry.gauge({
    name: "tikv_unified_read_pool_running_tasks",
    help: "Long reads under way or waiting.",
  });
  const ttlInterval = registry.gauge({
    name: "tikv_ttl_checker_poll_interval",
    help: "Interval of the TTL checker, milliseconds.",
  });
  const ttlRegions = registry.gauge({
    name: "tikv_ttl_checker_processed_regions",
    help: "Regions processed in the current round of the TTL checker.",
  });
  registry.onCollect(() => {
    const now = gauges();
    writingBytes.set(now.writingBytes);
    running.set(now.runningReads);
    ttlInterval.set(now.ttlPollIntervalMs);
    ttlRegions.set(metrics.ttlProcessedRegions);
    localReads(metrics.localReads);
    localStaleReads(metrics.localStaleReads);
    for (const [reason, total] of metrics.readIndexes) rejected(total, { reason });
    for (const [type, total] of metrics.commands) commands(total, { type });
    for (const [type, total] of metrics.tooBusy) tooBusy(total, { type });
    for (const [type, total] of metrics.ttlActions) ttlActions(total, { type });
  });
}
