/** Metrics of flow control under TiKV's names; the engine has one column family for all of ours. */
import { type Histogram, type MetricsRegistry, totalOf } from "../base/index.js";
import type { FlowState } from "./flow_gate.js";

const CF = { cf: "default" };
/** TiKV tells shares and logarithms as integers of this unit. */
const RATIO_PRECISION = 10_000_000;

export class FlowMetrics {
  private readonly held: Histogram;

  constructor(registry: MetricsRegistry) {
    this.held = registry.histogram({
      name: "tikv_scheduler_throttle_duration_seconds",
      help: "How long flow control held writes back.",
    });
  }

  observeHeld(waitedMs: number): void {
    this.held.observe(waitedMs / 1000);
  }
}

/** Registers what is copied at scrape time. */
export function bindFlowMetrics(registry: MetricsRegistry, state: () => FlowState): void {
  const gauge = (name: string, help: string, labelNames: string[] = []) =>
    registry.gauge({ name, help, labelNames });
  const flow = gauge("tikv_scheduler_write_flow", "Bytes written a second.");
  const limit = gauge("tikv_scheduler_throttle_flow", "Limit of that; 0 = none.");
  const share = gauge(
    "tikv_scheduler_discard_ratio",
    "Share of writes refused, in ten-millionths.",
  );
  const throttled = gauge("tikv_scheduler_throttle_cf", "1 while writes are slowed down.", ["cf"]);
  const memtables = gauge("tikv_scheduler_memtable", "Memtables that wait to be flushed.", ["cf"]);
  const level0 = gauge("tikv_scheduler_l0", "Files in level 0.", ["cf"]);
  const pending = gauge(
    "tikv_scheduler_pending_compaction_bytes",
    "Logarithm to the base 2 of the bytes that wait for compaction, in ten-millionths.",
    ["type"],
  );
  const actions = totalOf(
    registry.counter({
      name: "tikv_scheduler_throttle_action_total",
      help: "What flow control did at its ticks.",
      labelNames: ["cf", "type"],
    }),
  );
  registry.onCollect(() => {
    const now = state();
    const { immutableMemtables, level0Files, pendingCompactionBytes } = now.pressure;
    flow.set(Math.round(now.flow));
    limit.set(Math.round(now.rateLimit ?? 0));
    share.set(Math.round(now.refusedShare * RATIO_PRECISION));
    throttled.set(now.rateLimit === undefined ? 0 : 1, CF);
    memtables.set(immutableMemtables, CF);
    level0.set(level0Files, CF);
    const log = Math.log2(Math.max(1, pendingCompactionBytes));
    pending.set(Math.round(log * RATIO_PRECISION), { type: "default" });
    for (const [type, total] of Object.entries(now.actions)) actions(total, { ...CF, type });
  });
}
