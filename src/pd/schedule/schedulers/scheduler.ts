/** What a scheduler is, and the face that the coordinator gives it. PURE. */
import { inJointState, isHealthy, type RegionInfo } from "../../core/index.js";
import type { FilterContext } from "../filters.js";
import type { Influence } from "../influence.js";
import type { ScheduleMetrics } from "../metrics.js";
import type { Operator, OperatorKind } from "../operator.js";
import type { OperatorController } from "../operator_controller.js";

export interface ScheduleContext extends FilterContext {
  readonly operators: OperatorController;
  readonly metrics: ScheduleMetrics;
}

export interface Scheduler {
  /** PD's name: "balance-leader-scheduler". */
  readonly name: string;
  readonly kind: OperatorKind;
  /** Returns operators that make the cluster more even; none when it is even enough. */
  schedule(context: ScheduleContext, influence: Influence): Operator[];
}

/** Regions looked at for one store and role. Source: pd randomRegionMaxRetry. */
export const SAMPLE_REGIONS = 10;

/** Returns whether a region may be touched for balance: led, healthy, no operator on it. */
export function isIdle({ operators }: ScheduleContext, region: RegionInfo): boolean {
  return (
    region.leader !== undefined &&
    operators.get(region.meta.id) === undefined &&
    isHealthy(region) &&
    !inJointState(region.meta.peers)
  );
}

/** Returns whether a region has all its replicas and none too many. */
export function isReplicated({ cluster }: ScheduleContext, region: RegionInfo): boolean {
  return region.meta.peers.length === cluster.config.maxReplicas;
}
