/** Metrics of scheduling under PD's names, copied from plain counters and state at each scrape. */
import { type Counter, type MetricsRegistry, totalOf } from "../../base/index.js";
import {
  isDisconnected,
  isLowSpace,
  leaderScore,
  regionScore,
  STORE_UNHEALTHY_MS,
  type StoreInfo,
  silenceMs,
} from "../core/index.js";
import type { RaftCluster } from "./cluster.js";
import { allRegions, REGION_CHECKS } from "./http_regions.js";

interface Totals {
  readonly counts: () => ReadonlyMap<string, number>;
  readonly set: (total: number, labels?: Readonly<Record<string, string>>) => void;
  readonly first: string;
  readonly second: string;
}

/** Copies totals whose keys are "value of the first label/value of the second". */
function copy({ counts, set, first, second }: Totals): void {
  for (const [key, total] of counts()) {
    const at = key.lastIndexOf("/");
    set(total, { [first]: key.slice(0, at), [second]: key.slice(at + 1) });
  }
}

function counters(registry: MetricsRegistry, { coordinator }: RaftCluster): Totals[] {
  const { metrics } = coordinator;
  const counter = (name: string, help: string, labelNames: readonly string[]): Counter =>
    registry.counter({ name, help, labelNames });
  const operators = counter("pd_schedule_operators_count", "Operators, by what became of them.", [
    "type",
    "event",
  ]);
  const set = totalOf(operators);
  const checkers = counter("pd_checker_event_count", "Events of checkers.", ["type", "name"]);
  const schedulers = counter("pd_scheduler_event_count", "Events of schedulers.", ["type", "name"]);
  const [first, second] = ["type", "event"];
  return [
    { counts: () => metrics.operators, set, first, second },
    { counts: () => metrics.finishedOperators, set, first, second },
    { counts: () => metrics.checkers, set: totalOf(checkers), first, second: "name" },
    { counts: () => metrics.schedulers, set: totalOf(schedulers), first, second: "name" },
  ];
}

type SetStatus = (type: string, value: number) => void;

function storeStatus({ basic, config }: RaftCluster, { meta, stats }: StoreInfo, set: SetStatus) {
  const load = basic.storeLoad(meta.id);
  set("leader_count", load.leaderCount);
  set("leader_size", load.leaderSizeMiB);
  set("leader_score", leaderScore(load.leaderCount, 0));
  set("region_count", load.regionCount);
  set("region_size", load.regionSizeMiB);
  set("region_score", regionScore(stats, load.balanceSizeMiB, 0, config.lowSpaceRatio));
  set("learner_count", load.learnerCount);
  set("store_capacity", Number(stats?.capacity ?? 0n));
  set("store_available", Number(stats?.available ?? 0n));
  set("store_used", Number(stats?.usedSize ?? 0n));
}

/** How many stores that are up are silent, unhealthy or full. */
function storeHealth({ basic, config }: RaftCluster, nowMs: number): Record<string, number> {
  const up = basic.getStores().filter(({ meta }) => meta.state === 0);
  const count = (is: (store: StoreInfo) => boolean): number => up.filter(is).length;
  const sum = (of: (store: StoreInfo) => bigint | undefined): number =>
    up.reduce((total, store) => total + Number(of(store) ?? 0n), 0);
  return {
    store_unhealth_count: count((store) => silenceMs(store, nowMs) > STORE_UNHEALTHY_MS),
    store_silent_count: count((store) => isDisconnected(store, nowMs)),
    store_low_space_count: count(({ meta, stats }) => {
      return isLowSpace(stats, basic.storeLoad(meta.id).regionCount, config.lowSpaceRatio);
    }),
    storage_capacity: sum(({ stats }) => stats?.capacity),
    storage_size: sum(({ stats }) => stats?.usedSize),
  };
}

/** Registers the metrics; `setCluster` sets one of pd_cluster_status. */
export function bindScheduleMetrics(
  registry: MetricsRegistry,
  cluster: RaftCluster,
  monotonicMs: () => number,
  setCluster: SetStatus,
): void {
  const gauge = (name: string, help: string, labelNames: readonly string[]) =>
    registry.gauge({ name, help, labelNames });
  const stores = gauge("pd_scheduler_store_status", "What stores hold, and their scores.", [
    "address",
    "store",
    "type",
  ]);
  const regions = gauge("pd_regions_status", "Regions that lack something.", ["type"]);
  const patrol = gauge("pd_checker_patrol_regions_time", "Seconds of the last round.", []);
  const durations = registry.histogram({
    name: "pd_schedule_finish_operators_duration_seconds",
    help: "Time from start to end of operators.",
    labelNames: ["type"],
  });
  const totals = counters(registry, cluster);
  registry.onCollect(() => {
    for (const one of totals) copy(one);
    for (const { desc, ms } of cluster.coordinator.metrics.takeDurations()) {
      durations.observe(ms / 1000, { type: desc });
    }
    patrol.set(cluster.coordinator.metrics.patrolMs / 1000);
    for (const store of cluster.basic.getStores()) {
      const { address, id } = store.meta;
      storeStatus(cluster, store, (type, value) => {
        stores.set(value, { address, store: id.toString(), type });
      });
    }
    const all = allRegions(cluster);
    for (const [name, check] of Object.entries(REGION_CHECKS)) {
      const type = name === "empty-region" ? "empty-region-count" : `${name}-region-count`;
      regions.set(all.filter((region) => check(region, cluster)).length, { type });
    }
    for (const [type, value] of Object.entries(storeHealth(cluster, monotonicMs()))) {
      setCluster(type, value);
    }
  });
}
