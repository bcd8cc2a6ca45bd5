/**
 * balance-region: moves replicas from the store with the highest score to one with a lower one,
 * never to a place where the region is less isolated. PURE.
 * Source: pd pkg/schedule/schedulers/balance_region.go, utils.go (tolerance).
 *
 * Beyond PD: an empty region counts as 1 MiB, and stores whose disks look alike are compared by
 * what they hold alone. Free space is measured at different moments; on nearly full disks, and with
 * several stores on one disk, that noise alone would move regions to and fro.
 */
import {
  distinctScore,
  type RegionInfo,
  type RegionRole,
  regionScore,
  type StoreInfo,
  type StoreStats,
  storeIds,
} from "../../core/index.js";
import { regionStores } from "../cluster.js";
import { movePeerOperator } from "../create_operator.js";
import { breaksIsolation, regionSource, regionTarget } from "../filters.js";
import type { Influence } from "../influence.js";
import type { Operator } from "../operator.js";
import {
  isIdle,
  isReplicated,
  SAMPLE_REGIONS,
  type ScheduleContext,
  type Scheduler,
} from "./scheduler.js";

const NAME = "balance-region-scheduler";
/** What is under way counts so much more than what is there. Source: pd influenceAmp. */
const INFLUENCE_AMP = 5;
/** Tolerance grows with the regions of the fullest store. Source: pd adjustRatio. */
const TOLERANCE_PER_REGION = 0.005;
/** Source: pd minTolerantSizeRatio. */
const TOLERANCE_MIN = 1;
/** Disks whose free shares differ by less look alike. */
const LIKE_SHARE = 0.05;
/** In this order a store's regions are looked at. */
const ROLES: readonly RegionRole[] = ["pending", "follower", "leader", "learner"];
/** A region counts as empty up to this size, MiB; in larger clusters empty ones are left alone. */
const EMPTY_MIB = 1n;
const FEW_REGIONS = 100;

interface RegionRound {
  readonly context: ScheduleContext;
  readonly influence: Influence;
  readonly toleranceMiB: number;
}

function toleranceOf({ cluster }: ScheduleContext, stores: readonly StoreInfo[]): number {
  const { basic, config } = cluster;
  const most = Math.max(0, ...stores.map(({ meta }) => basic.storeLoad(meta.id).regionCount));
  const auto = Math.max(TOLERANCE_MIN, most * TOLERANCE_PER_REGION);
  return basic.averageRegionSizeMiB * (config.tolerantSizeRatio || auto);
}

/** Returns whether two disks differ by no more than the noise of measuring them. */
function looksAlike(a: StoreStats | undefined, b: StoreStats | undefined): boolean {
  if (a === undefined || b === undefined) return true;
  const [one, two] = [Number(a.capacity), Number(b.capacity)];
  const largest = Math.max(one, two);
  if (Math.abs(one - two) > largest * LIKE_SHARE) return false;
  return Math.abs(Number(a.available) - Number(b.available)) <= largest * LIKE_SHARE;
}

function scoreOf(
  { context, influence, toleranceMiB }: RegionRound,
  store: StoreInfo,
  stats: StoreStats | undefined,
  toleranceSign: -1 | 1,
): number {
  const { basic, config } = context.cluster;
  const { balanceSizeMiB } = basic.storeLoad(store.meta.id);
  const amplified = Math.abs(influence.of(store.meta.id).regionSizeMiB) * INFLUENCE_AMP;
  const delta = toleranceSign * (amplified + toleranceMiB);
  return regionScore(stats, balanceSizeMiB, delta, config.lowSpaceRatio);
}

/** Returns whether the target still has less than the source after all that is under way. */
function shouldMove(round: RegionRound, source: StoreInfo, target: StoreInfo): boolean {
  const targetStats = looksAlike(source.stats, target.stats) ? source.stats : target.stats;
  const from = scoreOf(round, source, source.stats, -1);
  const to = scoreOf(round, target, targetStats, 1);
  return from > to;
}

function mayMove(context: ScheduleContext, region: RegionInfo, role: RegionRole): boolean {
  const { regionCount } = context.cluster.basic;
  const isEmpty = region.stats.approximateSizeMiB <= EMPTY_MIB;
  if (isEmpty && regionCount >= FEW_REGIONS) return false;
  if (!isReplicated(context, region)) return false;
  return role === "pending"
    ? region.downPeers.length === 0 && context.operators.get(region.meta.id) === undefined
    : isIdle(context, region);
}

function moveOff(
  round: RegionRound,
  source: StoreInfo,
  region: RegionInfo,
  targets: readonly StoreInfo[],
): Operator | undefined {
  const { context } = round;
  const taken = new Set(storeIds(region.meta));
  const labels = context.cluster.config.locationLabels;
  const others = regionStores(context.cluster, region).filter(
    ({ meta }) => meta.id !== source.meta.id,
  );
  const isolation = distinctScore(labels, others, source);
  for (const target of targets) {
    if (taken.has(target.meta.id) || breaksIsolation(context, others, target)) continue;
    if (distinctScore(labels, others, target) < isolation) continue;
    if (!shouldMove(round, source, target)) continue;
    const making = { desc: "balance-region", kind: "region" } as const;
    const built = movePeerOperator(context, region, source.meta.id, target.meta.id, making);
    if (built.ok) return built.value;
    context.metrics.scheduler(NAME, "create-operator-fail");
  }
  return undefined;
}

export const BALANCE_REGION: Scheduler = {
  name: NAME,
  kind: "region",
  schedule: (context, influence) => {
    const { cluster, metrics } = context;
    metrics.scheduler(NAME, "schedule");
    const stores = cluster.basic.getStores();
    const round = { context, influence, toleranceMiB: toleranceOf(context, stores) };
    const score = ({ meta, stats }: StoreInfo): number => {
      const { balanceSizeMiB } = cluster.basic.storeLoad(meta.id);
      const toCome = influence.of(meta.id).regionSizeMiB;
      return regionScore(stats, balanceSizeMiB, toCome, cluster.config.lowSpaceRatio);
    };
    const scores = new Map(stores.map((store) => [store.meta.id, score(store)]));
    const byScore = (a: StoreInfo, b: StoreInfo): number =>
      (scores.get(a.meta.id) as number) - (scores.get(b.meta.id) as number);
    const targets = stores
      .filter((store) => regionTarget(context, store) === undefined)
      .sort(byScore);
    const sources = stores
      .filter((store) => regionSource(context, store) === undefined)
      .sort((a, b) => byScore(b, a));
    for (const source of sources) {
      for (const role of ROLES) {
        const id = source.meta.id;
        for (const region of cluster.basic.sampleRegions(id, role, cluster.prng, SAMPLE_REGIONS)) {
          if (!mayMove(context, region, role)) continue;
          const operator = moveOff(round, source, region, targets);
          if (operator === undefined) continue;
          metrics.scheduler(NAME, "new-operator");
          return [operator];
        }
      }
    }
    metrics.scheduler(NAME, "no-replacement");
    return [];
  },
};
