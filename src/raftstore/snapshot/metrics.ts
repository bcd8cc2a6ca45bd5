/** Metrics of snapshots under TiKV's names, copied from plain counters at scrape time. */
import { type Histogram, type MetricsRegistry, totalOf } from "../../base/index.js";
import type { SnapshotStats } from "./types.js";

/** Counters that the manager increments. */
export class SnapshotMetrics {
  readonly generate = { start: 0, success: 0, fail: 0, expired: 0 };
  readonly apply = { start: 0, success: 0, fail: 0 };
  readonly receive = { success: 0, fail: 0, refused: 0 };
  readonly send = { success: 0, fail: 0 };
  sentBytes = 0;
  receivedBytes = 0;
  /** Seconds of streams that were read to their end. */
  sendSeconds: Histogram | undefined;
  applySeconds: Histogram | undefined;
}

/** Registers the metrics; `stats` is called at each scrape. */
export function bindSnapshotMetrics(
  registry: MetricsRegistry,
  counters: SnapshotMetrics,
  stats: () => SnapshotStats,
): void {
  const total = totalOf(
    registry.counter({
      name: "tikv_raftstore_snapshot_total",
      help: "Snapshots by step and outcome.",
      labelNames: ["type", "status"],
    }),
  );
  const limits = totalOf(
    registry.counter({
      name: "tikv_snapshot_limit_transport_bytes",
      help: "Bytes of snapshots sent and received.",
      labelNames: ["type"],
    }),
  );
  const traffic = registry.gauge({
    name: "tikv_raftstore_snapshot_traffic_total",
    help: "Snapshots that are sent, received or applied now.",
    labelNames: ["type"],
  });
  const buckets = [0.005, 0.02, 0.1, 0.5, 1, 2, 5, 10, 20, 60, 300];
  counters.sendSeconds = registry.histogram({
    name: "tikv_server_send_snapshot_duration_seconds",
    help: "Time from the first chunk of a snapshot sent to the last.",
    buckets,
  });
  counters.applySeconds = registry.histogram({
    name: "tikv_raftstore_snapshot_duration_seconds",
    help: "Time that applying a snapshot took, without waiting for its turn.",
    labelNames: ["type"],
    buckets,
  });
  registry.onCollect(() => {
    const { generate, apply, receive, send } = counters;
    for (const [type, outcomes] of Object.entries({ generate, apply, receive, send })) {
      for (const [status, count] of Object.entries(outcomes)) total(count, { type, status });
    }
    limits(counters.sentBytes, { type: "send" });
    limits(counters.receivedBytes, { type: "recv" });
    const now = stats();
    traffic.set(now.sendingCount, { type: "sending" });
    traffic.set(now.receivingCount, { type: "receiving" });
    traffic.set(now.applyingCount, { type: "applying" });
  });
}
