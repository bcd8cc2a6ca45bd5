/** Metrics of raftstore under TiKV's names, copied from plain counters at scrape time. */
import { type MetricsRegistry, totalOf } from "../base/index.js";
import type { RegionError } from "./region.js";

/** Labels of tikv_raftstore_raft_invalid_proposal_total. */
const INVALID_PROPOSAL = {
  storeNotMatch: "mismatch_store_id",
  regionNotFound: "region_not_found",
  mismatchPeerId: "mismatch_peer_id",
  notLeader: "not_leader",
  staleCommand: "stale_command",
  epochNotMatch: "epoch_not_match",
} as const;

type Refusal = keyof typeof INVALID_PROPOSAL;

/** Counters that raftstore's code increments. */
export class RaftstoreMetrics {
  readonly invalidProposal: Record<Refusal, number> = {
    storeNotMatch: 0,
    regionNotFound: 0,
    mismatchPeerId: 0,
    notLeader: 0,
    staleCommand: 0,
    epochNotMatch: 0,
  };
  storeHeartbeats = 0;
  storeHeartbeatErrors = 0;
  regionHeartbeats = 0;
  regionHeartbeatErrors = 0;

  /** Counts a refused request; errors of other kinds are counted where they arise. */
  onRefused(error: RegionError): void {
    if (error.kind in INVALID_PROPOSAL) this.invalidProposal[error.kind as Refusal]++;
  }
}

/** What a scrape reads beside the counters. */
export interface RaftstoreGauges {
  readonly regionCount: number;
  readonly leaderCount: number;
  readonly capacity: number;
  readonly available: number;
  readonly used: number;
}

/** Registers the metrics; `gauges` is called at each scrape. */
export function bindRaftstoreMetrics(
  registry: MetricsRegistry,
  counters: RaftstoreMetrics,
  gauges: () => RaftstoreGauges,
): void {
  const regionCount = registry.gauge({
    name: "tikv_raftstore_region_count",
    help: "Number of regions and of leaders on this store.",
    labelNames: ["type"],
  });
  const storeSize = registry.gauge({
    name: "tikv_store_size_bytes",
    help: "Size of the store's disk, bytes.",
    labelNames: ["type"],
  });
  const invalid = totalOf(
    registry.counter({
      name: "tikv_raftstore_raft_invalid_proposal_total",
      help: "Requests refused by the checks of their context.",
      labelNames: ["type"],
    }),
  );
  const heartbeats = totalOf(
    registry.counter({
      name: "tikv_pd_heartbeat_message_total",
      help: "Heartbeats sent to PD, by outcome.",
      labelNames: ["type"],
    }),
  );
  registry.onCollect(() => {
    const now = gauges();
    regionCount.set(now.regionCount, { type: "region" });
    regionCount.set(now.leaderCount, { type: "leader" });
    storeSize.set(now.capacity, { type: "capacity" });
    storeSize.set(now.available, { type: "available" });
    storeSize.set(now.used, { type: "used" });
    for (const [kind, type] of Object.entries(INVALID_PROPOSAL)) {
      invalid(counters.invalidProposal[kind as Refusal], { type });
    }
    heartbeats(counters.storeHeartbeats, { type: "store" });
    heartbeats(counters.storeHeartbeatErrors, { type: "store_error" });
    heartbeats(counters.regionHeartbeats, { type: "region" });
    heartbeats(counters.regionHeartbeatErrors, { type: "region_error" });
  });
}
