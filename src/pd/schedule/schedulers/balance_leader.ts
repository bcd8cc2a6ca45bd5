/**
 * balance-leader: moves leaders from the store with most to the one with fewest, counted with what
 * is under way. PURE. Source: pd pkg/schedule/schedulers/balance_leader.go.
 *
 * Beyond PD, because no store may stay at 0 leaders: PD tolerates a difference of 10 leaders
 * whatever there are, so in a small cluster a store may lead nothing for good. Here the tolerance
 * is a quarter of the mean, at least a half and at most PD's 5; and when no store that leads two
 * shares a region with the empty one, leaders move along a chain of stores that share regions.
 */
import { leaderScore, type RegionInfo } from "../../core/index.js";
import { transferLeaderOperator } from "../create_operator.js";
import { leaderSource, leaderTarget } from "../filters.js";
import type { Influence } from "../influence.js";
import type { Operator } from "../operator.js";
import { leaderChain } from "./leader_chain.js";
import { followersOf, idleRegions, type LeaderRound } from "./leader_round.js";
import type { ScheduleContext, Scheduler } from "./scheduler.js";

const NAME = "balance-leader-scheduler";
/** Transfers of one round. Source: pd BalanceLeaderBatchSize. */
const BATCH = 4;
/** Source: pd leaderTolerantSizeRatio. */
const TOLERANCE_MAX = 5;
const TOLERANCE_MIN = 0.5;
const TOLERANCE_SHARE = 0.25;

/** Returns the difference that a store may have on either side; `mean` is leaders a store. */
export function leaderTolerance(mean: number, tolerantSizeRatio: number): number {
  if (tolerantSizeRatio > 0) return Math.max(TOLERANCE_MIN, tolerantSizeRatio);
  return Math.min(TOLERANCE_MAX, Math.max(TOLERANCE_MIN, mean * TOLERANCE_SHARE));
}

function startRound(context: ScheduleContext, influence: Influence): LeaderRound {
  const { basic, config } = context.cluster;
  const stores = basic.getStores();
  const score = (storeId: bigint): number =>
    leaderScore(basic.storeLoad(storeId).leaderCount, influence.of(storeId).leaderCount);
  const sources = stores.filter((store) => leaderSource(context, store) === undefined);
  const usable = stores.filter((store) => leaderTarget(context, store) === undefined);
  const targets = new Map(usable.map((store) => [store.meta.id, store]));
  const total = sources.reduce((sum, { meta }) => sum + score(meta.id), 0);
  const mean = total / Math.max(1, targets.size);
  const tolerance = leaderTolerance(mean, config.tolerantSizeRatio);
  return { context, sources, targets, tolerance, used: new Set(), score };
}

function shouldMove(round: LeaderRound, from: bigint, to: bigint): boolean {
  return round.score(from) - round.tolerance > round.score(to) + round.tolerance;
}

function make(round: LeaderRound, region: RegionInfo, to: bigint): Operator | undefined {
  const { context } = round;
  const from = region.leader?.storeId ?? 0n;
  const built = transferLeaderOperator(context, region, to, {
    desc: "balance-leader",
    kind: "leader",
    details: { sourceScore: String(round.score(from)), targetScore: String(round.score(to)) },
  });
  if (!built.ok) {
    context.metrics.scheduler(NAME, "create-operator-fail");
    return undefined;
  }
  return built.value;
}

/** From the stores with most leaders to whichever follower has fewest. */
function transferOut(round: LeaderRound): Operator | undefined {
  const order = [...round.sources].sort((a, b) => round.score(b.meta.id) - round.score(a.meta.id));
  for (const { meta } of order) {
    for (const region of idleRegions(round, meta.id, "leader")) {
      const [to] = followersOf(round, region);
      if (to === undefined || !shouldMove(round, meta.id, to)) continue;
      const operator = make(round, region, to);
      if (operator !== undefined) return operator;
    }
  }
  return undefined;
}

/** To the stores with fewest leaders from whichever leader of their regions has more. */
function transferIn(round: LeaderRound): Operator | undefined {
  const order = [...round.targets.keys()].sort((a, b) => round.score(a) - round.score(b));
  for (const to of order) {
    for (const region of idleRegions(round, to, "follower")) {
      const from = region.leader?.storeId;
      if (from === undefined || !followersOf(round, region).includes(to)) continue;
      if (!shouldMove(round, from, to)) continue;
      const operator = make(round, region, to);
      if (operator !== undefined) return operator;
    }
  }
  return undefined;
}

/** To a store without leaders, along a chain of stores if need be. */
function fillEmpty(round: LeaderRound): Operator | undefined {
  for (const [storeId] of round.targets) {
    if (round.score(storeId) > 0) continue;
    const link = leaderChain(round, storeId);
    const operator = link === undefined ? undefined : make(round, link.region, link.to);
    if (operator !== undefined) return operator;
  }
  return undefined;
}

export const BALANCE_LEADER: Scheduler = {
  name: NAME,
  kind: "leader",
  schedule: (context, influence) => {
    const round = startRound(context, influence);
    context.metrics.scheduler(NAME, "schedule");
    const operators: Operator[] = [];
    while (operators.length < BATCH) {
      const operator = transferOut(round) ?? transferIn(round) ?? fillEmpty(round);
      if (operator === undefined) break;
      operators.push(operator);
      round.used.add(operator.regionId);
      const region = context.cluster.basic.getRegion(operator.regionId);
      if (region !== undefined) influence.add(operator, region);
    }
    const event = operators.length > 0 ? "new-operator" : "no-store";
    context.metrics.scheduler(NAME, event);
    return operators;
  },
};
