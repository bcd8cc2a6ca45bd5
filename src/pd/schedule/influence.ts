/**
 * What operators will change on stores once they are done: schedulers count it in, so that they do
 * not send ten regions to the store that is emptiest right now; store limits charge for it. PURE.
 * Source: pd pkg/schedule/operator/influence.go.
 */
import { balanceSize, type RegionInfo } from "../core/index.js";
import type { Operator } from "./operator.js";
import { type OpStep, stepFinished } from "./steps.js";

export interface StoreInfluence {
  leaderCount: number;
  regionCount: number;
  /** MiB, each region at least 1. */
  regionSizeMiB: number;
  /** Cost for the store limits. */
  addCost: number;
  removeCost: number;
}

/** Regions up to this size cost less. Source: pd storelimit.SmallRegionThreshold. */
const SMALL_REGION_MIB = 20;
/** Regions up to this size cost nothing. Source: pd core.EmptyRegionApproximateSize. */
const EMPTY_REGION_MIB = 1;
/** Source: pd storelimit.RegionInfluence. */
export const REGION_COST = 1000;
/** Source: pd storelimit.SmallRegionInfluence. */
const SMALL_REGION_COST = 200;

function costOf(sizeMiB: number): number {
  if (sizeMiB > SMALL_REGION_MIB) return REGION_COST;
  return sizeMiB > EMPTY_REGION_MIB ? SMALL_REGION_COST : 0;
}

export class Influence {
  private readonly stores = new Map<bigint, StoreInfluence>();

  /** Returns the influence on a store; changes of it stay. */
  of(storeId: bigint): StoreInfluence {
    let found = this.stores.get(storeId);
    if (found === undefined) {
      found = { leaderCount: 0, regionCount: 0, regionSizeMiB: 0, addCost: 0, removeCost: 0 };
      this.stores.set(storeId, found);
    }
    return found;
  }

  /** Returns the stores with an influence. */
  storeIds(): Iterable<bigint> {
    return this.stores.keys();
  }

  /** Counts the steps of an operator that `region` does not show yet; with `all`, every step. */
  add(operator: Operator, region: RegionInfo, all = false): void {
    const first = all ? 0 : operator.currentStep;
    for (let at = first; at < operator.steps.length; at++) {
      const step = operator.steps[at] as OpStep;
      if (all || !stepFinished(step, region)) this.addStep(step, region);
    }
  }

  private addStep(step: OpStep, region: RegionInfo): void {
    const sizeMiB = balanceSize(region);
    const cost = costOf(Number(region.stats.approximateSizeMiB));
    switch (step.kind) {
      case "add_learner":
      case "add_peer": {
        const to = this.of(step.storeId);
        to.regionCount++;
        to.regionSizeMiB += sizeMiB;
        to.addCost += cost;
        return;
      }
      case "remove_peer": {
        const from = this.of(step.storeId);
        from.regionCount--;
        from.regionSizeMiB -= sizeMiB;
        if (!step.isDownStore) from.removeCost += cost;
        return;
      }
      case "transfer_leader":
        this.of(step.from).leaderCount--;
        this.of(step.to).leaderCount++;
        return;
      default:
    }
  }
}
