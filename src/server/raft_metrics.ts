/**
 * Metrics of the traffic between stores, with TiKV's names where it has them. Hot code counts in
 * plain numbers, which are copied out at scrape time.
 */
import { type MetricsRegistry, totalOf } from "../base/index.js";

/** Why a received message went nowhere, or its stream ended. */
export const RAFT_DROPS = [
  "malformed",
  "refused",
  "mismatch_store_id",
  "mismatch_cluster",
] as const;
export type RaftDrop = (typeof RAFT_DROPS)[number];

/** What the transport counts, since start. */
export interface RaftCounters {
  sent: number;
  received: number;
  frames: number;
  /** Rounds that were flushed at once, and after a delay. */
  flushes: number;
  delayedFlushes: number;
  /** Messages given up: the queue was full, the connection failed, the store is gone. */
  readonly lost: { full: number; unreachable: number; tombstone: number };
  readonly dropped: Record<RaftDrop, number>;
  readonly resolved: { resolve: number; success: number; failed: number; tombstone: number };
  readonly snapshots: { sent: number; sendFailed: number; received: number; receiveFailed: number };
  reconnects: number;
}

/** Returns counters at zero. */
export function newRaftCounters(): RaftCounters {
  return {
    sent: 0,
    received: 0,
    frames: 0,
    flushes: 0,
    delayedFlushes: 0,
    lost: { full: 0, unreachable: 0, tombstone: 0 },
    dropped: { malformed: 0, refused: 0, mismatch_store_id: 0, mismatch_cluster: 0 },
    resolved: { resolve: 0, success: 0, failed: 0, tombstone: 0 },
    snapshots: { sent: 0, sendFailed: 0, received: 0, receiveFailed: 0 },
    reconnects: 0,
  };
}

const BATCH_BUCKETS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512];

/** What is observed as it happens. */
export interface RaftObserver {
  /** A frame with so many messages was made. */
  onFrame(messages: number): void;
}

/** One counter of the table below: its metric, a label, and where its value lies. */
type Row = readonly [name: string, label: string, value: (counters: RaftCounters) => number];

const ROWS: readonly Row[] = [
  ["tikv_server_raft_message_recv_total", "", (c) => c.received],
  ["rutile_raft_message_sent_total", "", (c) => c.sent],
  ["tikv_server_raft_message_flush_total", "", (c) => c.flushes],
  ["tikv_server_raft_message_delay_flush_total", "", (c) => c.delayedFlushes],
  ["tikv_server_raft_client_reconnect_total", "", (c) => c.reconnects],
  ["tikv_server_report_failure_msg_total", "full", (c) => c.lost.full],
  ["tikv_server_report_failure_msg_total", "unreachable", (c) => c.lost.unreachable],
  ["tikv_server_report_failure_msg_total", "tombstone", (c) => c.lost.tombstone],
  ["tikv_server_resolve_store_total", "resolve", (c) => c.resolved.resolve],
  ["tikv_server_resolve_store_total", "success", (c) => c.resolved.success],
  ["tikv_server_resolve_store_total", "failed", (c) => c.resolved.failed],
  ["tikv_server_resolve_store_total", "tombstone", (c) => c.resolved.tombstone],
  ["tikv_snapshot_task_total", "send", (c) => c.snapshots.sent],
  ["tikv_snapshot_task_total", "send_failed", (c) => c.snapshots.sendFailed],
  ["tikv_snapshot_task_total", "recv", (c) => c.snapshots.received],
  ["tikv_snapshot_task_total", "recv_failed", (c) => c.snapshots.receiveFailed],
  ...RAFT_DROPS.map(
    (reason): Row => ["rutile_raft_message_refused_total", reason, (c) => c.dropped[reason]],
  ),
];

const HELP: Readonly<Record<string, string>> = {
  tikv_server_raft_message_recv_total: "Raft messages that came from other stores.",
  rutile_raft_message_sent_total: "Raft messages that were handed to a connection.",
  tikv_server_raft_message_flush_total: "Rounds whose Raft messages were sent at once.",
  tikv_server_raft_message_delay_flush_total: "Rounds whose Raft messages waited for more.",
  tikv_server_raft_client_reconnect_total: "Connections to stores that were made anew.",
  tikv_server_report_failure_msg_total: "Raft messages that were given up.",
  tikv_server_resolve_store_total: "Addresses of stores that were asked of PD.",
  tikv_snapshot_task_total: "Snapshots sent and received.",
  rutile_raft_message_refused_total: "Raft messages and frames that were not accepted.",
};

/** Registers everything and returns what is observed as it happens. */
export function registerRaftMetrics(
  registry: MetricsRegistry,
  counters: RaftCounters,
): RaftObserver {
  const totals = new Map<string, ReturnType<typeof totalOf>>();
  for (const [name, label] of ROWS) {
    if (totals.has(name)) continue;
    const labelNames = label === "" ? {} : { labelNames: ["type"] };
    totals.set(name, totalOf(registry.counter({ name, help: HELP[name] ?? "", ...labelNames })));
  }
  registry.onCollect(() => {
    for (const [name, label, value] of ROWS) {
      totals.get(name)?.(value(counters), label === "" ? undefined : { type: label });
    }
  });
  const sizes = registry.histogram({
    name: "tikv_server_raft_message_batch_size",
    help: "Raft messages in one frame.",
    buckets: BATCH_BUCKETS,
  });
  return { onFrame: (messages) => sizes.observe(messages) };
}
