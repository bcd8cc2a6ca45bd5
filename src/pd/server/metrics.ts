/** PD's metrics under PD's names. */
import type { Counter, Histogram, MetricsRegistry } from "../../base/index.js";
import { type StoreStateName, storeStateName } from "../core/index.js";
import type { RaftCluster } from "./cluster.js";
import type { GcManager } from "./gc_manager.js";
import { PD_VERSION } from "./options.js";
import { bindScheduleMetrics } from "./schedule_metrics.js";
import type { TsoService } from "./tso.js";

export interface PdMetrics {
  readonly grpcHandled: Counter;
  readonly grpcSeconds: Histogram;
  readonly regionHeartbeats: Counter;
  /** Orders to region leaders. */
  readonly orders: Counter;
}

const STATES: readonly StoreStateName[] = ["Up", "Disconnected", "Down", "Offline", "Tombstone"];

/** Registers the metrics of calls; those of state are bound by `bindStateMetrics`. */
export function pdMetrics(registry: MetricsRegistry): PdMetrics {
  const heartbeats = registry.counter({
    name: "pd_scheduler_region_heartbeat",
    help: "Region heartbeats by outcome, and orders pushed in answer.",
    labelNames: ["type", "status"],
  });
  return {
    grpcHandled: registry.counter({
      name: "grpc_server_handled_total",
      help: "Calls completed, by service, method and status.",
      labelNames: ["grpc_service", "grpc_method", "grpc_code"],
    }),
    grpcSeconds: registry.histogram({
      name: "grpc_server_handling_seconds",
      help: "Time from request to answer of unary calls.",
      labelNames: ["grpc_service", "grpc_method"],
    }),
    regionHeartbeats: heartbeats,
    orders: heartbeats,
  };
}

export interface StateMetricsDeps {
  readonly cluster: RaftCluster;
  readonly gc: GcManager;
  readonly tso: TsoService;
  readonly nowMs: () => number;
  readonly monotonicMs: () => number;
}

/** Copies state into gauges at each scrape. */
export function bindStateMetrics(registry: MetricsRegistry, deps: StateMetricsDeps): void {
  const gauge = (name: string, help: string, labelNames: readonly string[]) =>
    registry.gauge({ name, help, labelNames });
  const info = gauge("pd_server_info", "Version of this PD; the value is 1.", ["version"]);
  const status = gauge("pd_cluster_status", "Stores by state, regions and leaders.", ["type"]);
  const safePoints = gauge("pd_gc_gc_safepoint", "Safe points, as timestamps.", ["type"]);
  const gcLeader = gauge("rutile_gc_leader", "1 for who leads GC: builtin or external.", ["type"]);
  const tsoEvents = registry.counter({
    name: "pd_tso_events",
    help: "Events of the timestamp oracle.",
    labelNames: ["type"],
  });
  const seen = new Map<string, number>();
  bindScheduleMetrics(registry, deps.cluster, deps.monotonicMs, (type, value) => {
    status.set(value, { type });
  });
  registry.onCollect(() => {
    info.set(1, { version: PD_VERSION });
    safePoints.set(Number(deps.gc.unsettled.gcSafePoint), { type: "gc_safepoint" });
    safePoints.set(Number(deps.gc.unsettled.txnSafePoint), { type: "txn_safepoint" });
    gcLeader.set(deps.gc.isLedOutside ? 0 : 1, { type: "builtin" });
    gcLeader.set(deps.gc.isLedOutside ? 1 : 0, { type: "external" });
    for (const [type, total] of Object.entries(deps.tso.metrics) as [string, number][]) {
      tsoEvents.inc(total - (seen.get(type) ?? 0), { type });
      seen.set(type, total);
    }
    const counts = new Map<StoreStateName, number>(STATES.map((state) => [state, 0]));
    let leaders = 0;
    for (const { meta } of deps.cluster.basic.getStores()) {
      const state = storeStateName(meta, deps.nowMs(), deps.cluster.config.maxStoreDownTimeMs);
      counts.set(state, (counts.get(state) ?? 0) + 1);
      leaders += deps.cluster.basic.storeLoad(meta.id).leaderCount;
    }
    for (const [state, count] of counts) {
      status.set(count, { type: `store_${state.toLowerCase()}_count` });
    }
    status.set(deps.cluster.basic.regionCount, { type: "region_count" });
    status.set(leaders, { type: "leader_count" });
  });
}
