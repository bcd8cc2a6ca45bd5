/** Counters of peers and their Readies, under TiKV's names; copied at scrape time. */
import { type Histogram, type MetricsRegistry, NULL_METRICS, totalOf } from "../base/index.js";
import { MessageType } from "../raft/index.js";
import type { WriteCounters } from "./write_task.js";

/** Labels of tikv_raftstore_raft_sent_message_total by message type. */
const SENT_LABELS: Readonly<Record<number, string>> = {
  [MessageType.Append]: "append",
  [MessageType.AppendResponse]: "append_resp",
  [MessageType.RequestPreVote]: "prevote",
  [MessageType.RequestPreVoteResponse]: "prevote_resp",
  [MessageType.RequestVote]: "vote",
  [MessageType.RequestVoteResponse]: "vote_resp",
  [MessageType.Snapshot]: "snapshot",
  [MessageType.Heartbeat]: "heartbeat",
  [MessageType.HeartbeatResponse]: "heartbeat_resp",
  [MessageType.TransferLeader]: "transfer_leader",
  [MessageType.TimeoutNow]: "timeout_now",
  [MessageType.ReadIndex]: "read_index",
  [MessageType.ReadIndexResp]: "read_index_resp",
};

/** Why an incoming message was not stepped; labels of tikv_raftstore_raft_dropped_message_total. */
export const DROP_REASONS = [
  "mismatch_store_id",
  "mismatch_region_epoch",
  "stale_msg",
  "region_overlap",
  "region_no_peer",
  "region_tombstone_peer",
  "region_nonexistent",
  "applying_snap",
  "full",
] as const;
export type DropReason = (typeof DROP_REASONS)[number];

export const PROPOSAL_KINDS = [
  "all",
  "local_read",
  "read_index",
  "normal",
  "conf_change",
  "transfer_leader",
  "batch",
] as const;
export type ProposalKind = (typeof PROPOSAL_KINDS)[number];

function zeros<K extends string>(keys: readonly K[]): Record<K, number> {
  return Object.fromEntries(keys.map((key) => [key, 0])) as Record<K, number>;
}

/** What the raft batch system counts. */
export class RaftMetrics {
  readonly sent: number[] = new Array<number>(MessageType.RequestPreVoteResponse + 1).fill(0);
  readonly dropped = zeros(DROP_REASONS);
  readonly proposals = zeros(PROPOSAL_KINDS);
  /** Entries that the slowest follower is behind, at each look of a leader. */
  logLag: Histogram = NULL_METRICS.histogram(LOG_LAG);
  readonly ready = { message: 0, commit: 0, append: 0, snapshot: 0, pendingRegion: 0 };
}

const LOG_LAG = {
  name: "tikv_raftstore_log_lag",
  help: "Entries that a leader's slowest follower is behind.",
  buckets: [2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096, 16_384, 65_536],
} as const;
const WRITE_DURATION = {
  name: "tikv_raftstore_append_log_duration_seconds",
  help: "Time of a round's raft log write, until it is durable.",
  buckets: [0.000_1, 0.000_5, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5],
} as const;

/** Registers the metrics. */
export function bindRaftMetrics(
  registry: MetricsRegistry,
  counters: RaftMetrics,
  writes: WriteCounters,
): void {
  counters.logLag = registry.histogram(LOG_LAG);
  writes.seconds = registry.histogram(WRITE_DURATION);
  const labeled = (name: string, help: string): ReturnType<typeof totalOf> =>
    totalOf(registry.counter({ name, help, labelNames: ["type"] }));
  const plain = (name: string, help: string): ReturnType<typeof totalOf> =>
    totalOf(registry.counter({ name, help }));
  const sent = labeled("tikv_raftstore_raft_sent_message_total", "Raft messages sent.");
  const dropped = labeled("tikv_raftstore_raft_dropped_message_total", "Raft messages dropped.");
  const proposals = labeled("tikv_raftstore_proposal_total", "Proposals by kind.");
  const ready = labeled("tikv_raftstore_raft_ready_handled_total", "Parts of Readies handled.");
  const written = plain("tikv_raftstore_store_write_bytes_total", "Bytes of raft log writes.");
  const count = plain("tikv_raftstore_store_write_total", "Synced raft log writes, one a round.");
  registry.onCollect(() => {
    for (const [type, label] of Object.entries(SENT_LABELS)) {
      sent(counters.sent[Number(type)] as number, { type: label });
    }
    for (const type of DROP_REASONS) dropped(counters.dropped[type], { type });
    for (const type of PROPOSAL_KINDS) proposals(counters.proposals[type], { type });
    ready(counters.ready.message, { type: "message" });
    ready(counters.ready.commit, { type: "commit" });
    ready(counters.ready.append, { type: "append" });
    ready(counters.ready.snapshot, { type: "snapshot" });
    ready(counters.ready.pendingRegion, { type: "pending_region" });
    written(writes.bytes);
    count(writes.writes);
  });
}
