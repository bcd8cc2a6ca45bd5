/**
 * All checkers on one region, in order: out of a joint state first, then learners, then replicas.
 * A region that an operator works on is left alone. PURE.
 * Source: pd pkg/schedule/checker/checker_controller.go.
 */
import type { RegionInfo } from "../../core/index.js";
import type { ScheduleMetrics } from "../metrics.js";
import type { Operator } from "../operator.js";
import type { OperatorController } from "../operator_controller.js";
import type { CheckContext } from "./context.js";
import { checkJointState } from "./joint_state.js";
import { checkLearners } from "./learner.js";
import { checkReplicas } from "./replica.js";

/** Regions whose reasons are kept; the oldest goes first. */
const REASONS_MAX = 1000;

/** Why a region that needs something gets nothing. */
export interface CheckReason {
  readonly checker: string;
  readonly reason: string;
  /** Monotonic. */
  readonly atMs: number;
}

export class CheckerController {
  private readonly operators: OperatorController;
  private readonly context: CheckContext;
  private readonly reasons = new Map<bigint, CheckReason>();

  constructor(operators: OperatorController, metrics: ScheduleMetrics) {
    this.operators = operators;
    const { context } = operators;
    this.context = {
      ...context,
      metrics,
      explain: (region, checker, reason) => {
        this.note(region.meta.id, { checker, reason, atMs: context.cluster.nowMs() });
      },
    };
  }

  /** Returns why a region got nothing at its last check; undefined when nothing was missing. */
  reasonFor(regionId: bigint): CheckReason | undefined {
    return this.reasons.get(regionId);
  }

  /** Looks at one region and starts the operator that it needs, within the limits. */
  check(region: RegionInfo): void {
    if (region.leader === undefined || this.operators.get(region.meta.id) !== undefined) return;
    this.reasons.delete(region.meta.id);
    const operator = checkJointState(this.context, region) ?? this.repair(region);
    if (operator === undefined) return;
    const refused = this.operators.add(operator);
    if (refused !== undefined) this.context.explain(region, operator.desc, refused);
  }

  private repair(region: RegionInfo): Operator | undefined {
    if (this.operators.allows("replica")) {
      return checkLearners(this.context, region) ?? checkReplicas(this.context, region);
    }
    this.context.metrics.checker("replica_checker", "exceed-limit");
    this.context.explain(region, "replica_checker", "replica-schedule-limit is reached");
    return undefined;
  }

  private note(regionId: bigint, reason: CheckReason): void {
    this.reasons.delete(regionId);
    this.reasons.set(regionId, reason);
    if (this.reasons.size <= REASONS_MAX) return;
    for (const [oldest] of this.reasons) {
      this.reasons.delete(oldest);
      break;
    }
  }
}
