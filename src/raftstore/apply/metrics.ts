/** Counters of applying, under TiKV's names; copied at scrape time. */
import { type Histogram, type MetricsRegistry, NULL_METRICS, totalOf } from "../../base/index.js";

/** Admin commands, as the labels of tikv_raftstore_admin_cmd_total name them. */
export const ADMIN_LABELS = {
  changePeer: "conf_change",
  split: "batch-split",
  compactLog: "compact",
} as const;
export type AdminKind = keyof typeof ADMIN_LABELS;

interface Outcome {
  all: number;
  success: number;
}

/** What delegates and apply rounds count. */
export class ApplyMetrics {
  readonly admin: Record<AdminKind, Outcome> = {
    changePeer: { all: 0, success: 0 },
    split: { all: 0, success: 0 },
    compactLog: { all: 0, success: 0 },
  };
  /** Entries applied, writes refused at apply, proposals without an entry. */
  entries = 0;
  epochNotMatch = 0;
  stale = 0;
  /** Engine writes, their bytes, and regions in them. */
  writes = 0;
  writtenBytes = 0;
  regions = 0;
  /** Turns that ended because a region had written its share. */
  yields = 0;
  /** Submitted to the engine and not yet written. */
  pendingBytes = 0;
  /** From an engine write's submission until it is done. Replaced by `bindApplyMetrics`. */
  logSeconds: Histogram = NULL_METRICS.histogram(LOG_DURATION);
}

const LOG_DURATION = {
  name: "tikv_raftstore_apply_log_duration_seconds",
  help: "Time of an engine write of an apply round.",
  buckets: [0.000_1, 0.000_5, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5],
} as const;

/** Registers the metrics. */
export function bindApplyMetrics(registry: MetricsRegistry, counters: ApplyMetrics): void {
  counters.logSeconds = registry.histogram(LOG_DURATION);
  const total = (name: string, help: string): ReturnType<typeof totalOf> =>
    totalOf(registry.counter({ name, help }));
  const admin = totalOf(
    registry.counter({
      name: "tikv_raftstore_admin_cmd_total",
      help: "Admin commands applied, by kind and outcome.",
      labelNames: ["type", "status"],
    }),
  );
  const entries = total("tikv_raftstore_apply_entries_total", "Log entries applied.");
  const refused = total(
    "tikv_raftstore_apply_epoch_not_match_total",
    "Commands refused at apply because the epoch had moved.",
  );
  const stale = total(
    "tikv_raftstore_apply_stale_command_total",
    "Proposals whose place in the log went to another entry.",
  );
  const writes = total("tikv_raftstore_apply_write_total", "Engine writes of apply rounds.");
  const bytes = total("tikv_raftstore_apply_write_bytes_total", "Bytes of these writes.");
  const regions = total("tikv_raftstore_apply_write_regions_total", "Regions in these writes.");
  const yields = total("tikv_raftstore_apply_yield_total", "Turns cut short by their write size.");
  const pending = registry.gauge({
    name: "tikv_raftstore_apply_pending_bytes",
    help: "Bytes submitted to the engine and not yet written.",
  });
  registry.onCollect(() => {
    for (const [kind, type] of Object.entries(ADMIN_LABELS)) {
      const { all, success } = counters.admin[kind as AdminKind];
      admin(all, { type, status: "all" });
      admin(success, { type, status: "success" });
    }
    entries(counters.entries);
    refused(counters.epochNotMatch);
    stale(counters.stale);
    writes(counters.writes);
    bytes(counters.writtenBytes);
    regions(counters.regions);
    yields(counters.yields);
    pending.set(counters.pendingBytes);
  });
}
