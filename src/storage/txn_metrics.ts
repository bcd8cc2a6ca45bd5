/**
 * Metrics of transactions under TiKV's names, beside those that raw commands have too (metrics.ts)
 * and those of lock waits (lock_manager_metrics.ts).
 * Counters are plain numbers, copied at scrape time. Source: tikv src/storage/metrics.rs,
 * src/storage/mvcc/metrics.rs, src/server/metrics.rs.
 */
import {
  COMMAND_SECONDS,
  exponentialBuckets,
  type Histogram,
  type MetricsRegistry,
  registerTotal,
  snakeCase,
  totalOf,
} from "../base/index.js";
import { Statistics } from "../mvcc/index.js";
import type { TxnError } from "../txn/index.js";
import { KEY_COUNTS } from "./metrics.js";
import { scanDetails } from "./scan_details.js";
import type { TxnReply } from "./txn_types.js";
import type { Reply } from "./types.js";

/** Labels of tikv_scheduler_stage_total. */
const STAGES = {
  new: 0,
  snapshot: 0,
  snapshot_ok: 0,
  snapshot_err: 0,
  process: 0,
  prepare_write_err: 0,
  write: 0,
  write_finish: 0,
  next_cmd: 0,
  lock_wait: 0,
  error: 0,
};
export type Stage = keyof typeof STAGES;

/** Labels of tikv_storage_engine_async_request_*. */
const ENGINE_REQUESTS = ["snapshot", "write"] as const;
export type EngineRequest = (typeof ENGINE_REQUESTS)[number];

/** Labels of tikv_storage_mvcc_conflict_counter. */
type Conflict =
  | "prewrite_write_conflict"
  | "rolled_back"
  | "commit_lock_not_found"
  | "rollback_committed"
  | "acquire_pessimistic_lock_conflict"
  | "pipelined_acquire_pessimistic_lock_amend_fail";

/** Totals of one kind of command or read. */
interface TagTotals {
  readonly stages: Record<Stage, number>;
  readonly scanned: Statistics;
}

/** Counters and histograms that the scheduler and the reads feed. */
export class TxnMetrics {
  readonly byTag = new Map<string, TagTotals>();
  readonly conflicts = new Map<Conflict, number>();
  readonly engineOk: Record<EngineRequest, number> = { snapshot: 0, write: 0 };
  /** By TiKV's name of what went wrong. */
  readonly engineErrors = {
    snapshot: new Map<string, number>(),
    write: new Map<string, number>(),
  };
  /** Times that max_ts of a region was not known when it was needed. */
  maxTsNotSynced = 0;
  private readonly processing: Histogram;
  private readonly engine: Histogram;
  private readonly keysWritten: Histogram;
  private readonly memoryCheck: Histogram;
  private readonly replicaCheck: Histogram;

  constructor(registry: MetricsRegistry) {
    this.processing = registry.histogram({
      name: "tikv_scheduler_processing_read_duration_seconds",
      help: "Time that a command reads and decides.",
      labelNames: ["type"],
      buckets: COMMAND_SECONDS,
    });
    this.engine = registry.histogram({
      name: "tikv_storage_engine_async_request_duration_seconds",
      help: "Time until a command had its snapshot, or its write was applied.",
      labelNames: ["type"],
      buckets: exponentialBuckets(0.00001, 2, 32),
    });
    this.keysWritten = registry.histogram({
      name: "tikv_scheduler_kv_command_key_write",
      help: "Changes that a command wrote.",
      labelNames: ["type"],
      buckets: KEY_COUNTS,
    });
    this.memoryCheck = registry.histogram({
      name: "tikv_storage_check_mem_lock_duration_seconds",
      help: "Time to look for memory locks that block a read.",
      labelNames: ["type", "result"],
      buckets: exponentialBuckets(1e-6, 4, 10),
    });
    this.replicaCheck = registry.histogram({
      name: "tikv_replica_read_lock_check_duration_seconds",
      help: "Time in which a leader looks for memory locks that block reads of followers.",
      labelNames: ["result"],
      buckets: exponentialBuckets(1e-6, 4, 10),
    });
  }

  /** `count`, here and below: of so many commands. */
  onStage(tag: string, stage: Stage, count = 1): void {
    this.of(tag).stages[stage] += count;
  }

  onScanned(tag: string, statistics: Statistics): void {
    this.of(tag).scanned.add(statistics);
  }

  onWritten(tag: string, keys: number): void {
    this.keysWritten.observe(keys, { type: tag });
  }

  observeProcess(tag: string, ms: number, count = 1): void {
    this.processing.observe(ms / 1000, { type: tag }, count);
  }

  /** A snapshot was taken or refused, a write was applied or not. */
  onEngine(
    type: EngineRequest,
    ms: number,
    reply: Reply<unknown> | TxnReply<unknown>,
    count = 1,
  ): void {
    if (reply.ok) {
      this.engineOk[type] += count;
      this.engine.observe(ms / 1000, { type }, count);
      return;
    }
    const { error } = reply;
    const status = `err_${snakeCase(error.type === "region" ? error.error.kind : "other")}`;
    const errors = this.engineErrors[type];
    errors.set(status, (errors.get(status) ?? 0) + count);
  }

  /** The memory locks were looked through for a read. */
  onMemoryCheck(tag: string, ms: number, isLocked: boolean): void {
    const result = isLocked ? "locked" : "unlocked";
    this.memoryCheck.observe(ms / 1000, { type: tag, result });
  }

  /** A leader judged reads of its followers. */
  onReplicaCheck(ms: number, isLocked: boolean): void {
    this.replicaCheck.observe(ms / 1000, { result: isLocked ? "locked" : "unlocked" });
  }

  /** The rules of a command refused it. */
  onRefused(tag: string, error: TxnError): void {
    this.onStage(tag, "prepare_write_err");
    if (error.kind === "maxTimestampNotSynced") this.maxTsNotSynced++;
    const conflict = conflictOf(tag, error);
    if (conflict !== undefined) {
      this.conflicts.set(conflict, (this.conflicts.get(conflict) ?? 0) + 1);
    }
  }

  private of(tag: string): TagTotals {
    let totals = this.byTag.get(tag);
    if (totals === undefined) {
      totals = { stages: { ...STAGES }, scanned: new Statistics() };
      this.byTag.set(tag, totals);
    }
    return totals;
  }
}

/** Returns what kind of conflict an error is, in TiKV's words; undefined: it is none. */
function conflictOf(tag: string, error: TxnError): Conflict | undefined {
  if (error.kind === "writeConflict") {
    if (tag === "acquire_pessimistic_lock") return "acquire_pessimistic_lock_conflict";
    return error.reason === "selfRolledBack" ? "rolled_back" : "prewrite_write_conflict";
  }
  if (error.kind === "txnLockNotFound") return "commit_lock_not_found";
  if (error.kind === "committed") return "rollback_committed";
  const isAmendFailed =
    error.kind === "pessimisticLockNotFound" && error.reason === "lockMissingAmendFail";
  return isAmendFailed ? "pipelined_acquire_pessimistic_lock_amend_fail" : undefined;
}

/** What a scrape reads beside the counters. */
export interface TxnGauges {
  readonly runningCommands: number;
  readonly memory: { readonly usedBytes: number; readonly maxBytes: number };
  readonly statusCache: { readonly used: number; readonly max: number };
  readonly maxTs: bigint;
  /** How far reads may raise max_ts; undefined until PD's clock is known. */
  readonly maxTsLimit: bigint | undefined;
  readonly memoryLocks: { readonly count: number; readonly minTs: bigint | undefined };
  readonly pessimisticLockBytes: number;
  readonly pessimisticLocks: { readonly kept: number; readonly written: number };
}

/** Registers the metrics that are copied at scrape time. */
export function bindTxnMetrics(
  registry: MetricsRegistry,
  metrics: TxnMetrics,
  gauges: () => TxnGauges,
): void {
  const copies = [
    bindTagTotals(registry, metrics),
    bindOutcomes(registry, metrics),
    bindScheduler(registry),
    bindMemory(registry),
  ];
  registry.onCollect(() => {
    const now = gauges();
    for (const copy of copies) copy(now);
  });
}

type Copy = (now: TxnGauges) => void;

/** The commands under way, and what they hold. */
function bindScheduler(registry: MetricsRegistry): Copy {
  const pending = registry.gauge({
    name: "tikv_scheduler_contex_total",
    help: "Commands that run, or wait for latches.",
  });
  const running = registry.gauge({
    name: "tikv_scheduler_running_commands",
    help: "The same; here every admitted command runs as soon as it has its latches.",
  });
  const quota = registry.gauge({
    name: "tikv_scheduler_memory_quota_size",
    help: "Bytes of the commands under way, and how many there may be.",
    labelNames: ["type"],
  });
  const cache = registry.gauge({
    name: "tikv_scheduler_txn_status_cache_size",
    help: "Committed transactions that are remembered, and how many may be.",
    labelNames: ["type"],
  });
  return ({ memory, runningCommands, statusCache }) => {
    pending.set(runningCommands);
    running.set(runningCommands);
    quota.set(memory.usedBytes, { type: "in_use" });
    quota.set(memory.maxBytes, { type: "capacity" });
    cache.set(statusCache.used, { type: "used" });
    cache.set(statusCache.max, { type: "allocated" });
  };
}

/** max_ts and what is locked in memory alone. */
function bindMemory(registry: MetricsRegistry): Copy {
  const gauge = (name: string, help: string) => registry.gauge({ name, help });
  const maxTs = gauge("tikv_concurrency_manager_max_ts", "max_ts of this store.");
  const limit = gauge("tikv_concurrency_manager_max_ts_limit", "How far reads may raise it.");
  const minLockTs = gauge(
    "tikv_concurrency_manager_min_lock_ts",
    "Smallest start_ts of the memory locks; 0 = there is none.",
  );
  const locks = gauge("rutile_memory_locks", "Keys that prewrites hold in memory.");
  const bytes = gauge(
    "tikv_pessimistic_lock_memory_size",
    "Bytes of the pessimistic locks in memory.",
  );
  const kept = totalOf(
    registry.counter({
      name: "tikv_in_memory_pessimistic_locking",
      help: "Requests whose pessimistic locks were kept in memory, or had to be written (full).",
      labelNames: ["result"],
    }),
  );
  return (now) => {
    maxTs.set(Number(now.maxTs));
    limit.set(Number(now.maxTsLimit ?? 0n));
    minLockTs.set(Number(now.memoryLocks.minTs ?? 0n));
    locks.set(now.memoryLocks.count);
    bytes.set(now.pessimisticLockBytes);
    kept(now.pessimisticLocks.kept, { result: "success" });
    kept(now.pessimisticLocks.written, { result: "full" });
  };
}

/** What snapshots, writes and rules ended with. */
function bindOutcomes(registry: MetricsRegistry, metrics: TxnMetrics): Copy {
  const engine = registerTotal(
    registry,
    "tikv_storage_engine_async_request_total",
    "Snapshots and writes of commands, by how they ended.",
    ["type", "status"],
  );
  const conflicts = registerTotal(
    registry,
    "tikv_storage_mvcc_conflict_counter",
    "Commands that met a conflict.",
    ["type"],
  );
  const notSynced = registerTotal(
    registry,
    "rutile_max_ts_not_synced_total",
    "Prewrites refused because max_ts did not cover earlier leaders' reads yet.",
  );
  return () => {
    for (const type of ENGINE_REQUESTS) {
      let all = metrics.engineOk[type];
      engine(all, { type, status: "success" });
      for (const [status, total] of metrics.engineErrors[type]) {
        engine(total, { type, status });
        all += total;
      }
      engine(all, { type, status: "all" });
    }
    for (const [type, total] of metrics.conflicts) conflicts(total, { type });
    notSynced(metrics.maxTsNotSynced);
  };
}

/** What is counted by command. */
function bindTagTotals(registry: MetricsRegistry, { byTag }: TxnMetrics): Copy {
  const stages = registerTotal(
    registry,
    "tikv_scheduler_stage_total",
    "Stages that commands reached.",
    ["type", "stage"],
  );
  const details = registerTotal(
    registry,
    "tikv_scheduler_kv_scan_details",
    "Entries that commands looked at.",
    ["req", "cf", "tag"],
  );
  return () => {
    for (const [type, totals] of byTag) {
      for (const [stage, total] of Object.entries(totals.stages)) stages(total, { type, stage });
      for (const { cf, tag, total } of scanDetails(totals.scanned)) {
        details(total, { req: type, cf, tag });
      }
    }
  };
}
