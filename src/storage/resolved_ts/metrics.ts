/**
 * Metrics of resolved timestamps under TiKV's names: how far behind now the stale reads are that
 * replicas here answer, and what held rounds up.
 * Source: tikv components/resolved_ts/src/metrics.rs, endpoint.rs collect_stats.
 */
import {
  type Clock,
  exponentialBuckets,
  type Gauge,
  type Histogram,
  type MetricsRegistry,
  totalOf,
} from "../../base/index.js";
import { tsPhysical } from "../../codec/index.js";
import type { ReadDelegate } from "../../raftstore/index.js";
import type { ReadProgress } from "./progress.js";

/** Why a round, or a region in it, moved nothing: PD did not answer, the lease was over. */
export type FailReason = "tso" | "lease";

/** The region that is furthest behind. */
interface Least {
  readonly ts: bigint;
  readonly regionId: number;
}

export interface ResolvedTsDeps {
  readonly progress: Pick<ReadProgress, "safeTs">;
  readonly clock: Clock;
  peers(): readonly ReadDelegate[];
}

/** What replicas here may answer, as of now. */
export interface ResolvedTsView {
  /** Of all replicas, of those that lead, of the others; undefined: none has a timestamp yet. */
  readonly all: Least | undefined;
  readonly leaders: Least | undefined;
  readonly followers: Least | undefined;
  readonly resolved: number;
  readonly unresolved: number;
}

/** Looks at every replica of this store. */
export function resolvedTsView({
  peers,
  progress,
}: Pick<ResolvedTsDeps, "peers" | "progress">): ResolvedTsView {
  let leaders: Least | undefined;
  let followers: Least | undefined;
  let [resolved, unresolved] = [0, 0];
  for (const peer of peers()) {
    const ts = progress.safeTs(peer);
    if (ts === 0n) {
      unresolved++;
      continue;
    }
    resolved++;
    const { regionId } = peer;
    if (peer.isLeader) leaders = leastOf(leaders, { ts, regionId });
    else followers = leastOf(followers, { ts, regionId });
  }
  const all = leaders === undefined ? followers : leastOf(followers, leaders);
  return { all, leaders, followers, resolved, unresolved };
}

function leastOf(known: Least | undefined, other: Least): Least {
  return known === undefined || other.ts < known.ts ? other : known;
}

export class ResolvedTsMetrics {
  private readonly failures: Record<FailReason, number> = { tso: 0, lease: 0 };
  private readonly scan: Histogram;
  private readonly itemCount: Histogram;

  constructor(registry: MetricsRegistry, deps: ResolvedTsDeps) {
    this.scan = registry.histogram({
      name: "tikv_resolved_ts_scan_duration_seconds",
      help: "Time to look at the locks of the regions of one turn.",
      buckets: exponentialBuckets(0.0001, 2, 20),
    });
    this.itemCount = registry.histogram({
      name: "tikv_check_leader_request_item_count",
      help: "Regions that one store was told of in a round.",
      buckets: exponentialBuckets(1, 2, 20),
    });
    this.bind(registry, deps);
  }

  onFail(reason: FailReason): void {
    this.failures[reason]++;
  }

  onScan(ms: number): void {
    this.scan.observe(ms / 1000);
  }

  onTold(regions: number): void {
    this.itemCount.observe(regions);
  }

  private bind(registry: MetricsRegistry, deps: ResolvedTsDeps): void {
    const failed = totalOf(
      registry.counter({
        name: "tikv_resolved_ts_fail_advance_count",
        help: "Rounds without a timestamp of PD (tso), and regions without a lease.",
        labelNames: ["reason"],
      }),
    );
    const status = registry.gauge({
      name: "tikv_resolved_ts_region_resolve_status",
      help: "Replicas here that answer stale reads up to some timestamp, and the others.",
      labelNames: ["type"],
    });
    const zero = registry.gauge({
      name: "tikv_resolved_ts_zero_resolved_ts",
      help: "Replicas here without a timestamp yet.",
    });
    const all = leastGauges(registry, "min_resolved_ts", "all replicas here");
    const leaders = leastGauges(registry, "min_leader_resolved_ts", "the leaders here");
    const followers = leastGauges(registry, "min_follower_safe_ts", "the followers here");
    registry.onCollect(() => {
      const view = resolvedTsView(deps);
      const nowMs = deps.clock.nowMs();
      for (const [reason, total] of Object.entries(this.failures)) failed(total, { reason });
      status.set(view.resolved, { type: "resolved" });
      status.set(view.unresolved, { type: "unresolved" });
      zero.set(view.unresolved);
      all(view.all, nowMs);
      leaders(view.leaders, nowMs);
      followers(view.followers, nowMs);
    });
  }
}

/** Three gauges of one minimum: the timestamp, its region, how far it is behind. */
function leastGauges(
  registry: MetricsRegistry,
  stem: string,
  who: string,
): (least: Least | undefined, nowMs: number) => void {
  const gauge = (suffix: string, help: string): Gauge =>
    registry.gauge({ name: `tikv_resolved_ts_${stem}${suffix}`, help: `${help} of ${who}.` });
  const ts = gauge("", "Smallest timestamp below which everything is known");
  const region = gauge("_region", "Region with the smallest such timestamp");
  const gap = gauge("_gap_millis", "How far that timestamp is behind this machine's clock");
  return (least, nowMs) => {
    ts.set(Number(least?.ts ?? 0n));
    region.set(least?.regionId ?? 0);
    gap.set(least === undefined ? 0 : Math.max(0, nowMs - Number(tsPhysical(least.ts))));
  };
}
