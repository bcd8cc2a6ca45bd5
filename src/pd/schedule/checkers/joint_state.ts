/**
 * Joint-state checker: a region in a joint state that no operator works on is led out of it. PURE.
 * Source: pd pkg/schedule/checker/joint_state_checker.go.
 */
import { inJointState, type RegionInfo } from "../../core/index.js";
import { leaveJointOperator } from "../create_operator.js";
import type { Operator } from "../operator.js";
import type { CheckContext } from "./context.js";

const NAME = "joint_state_checker";

/** Returns the operator that leaves the joint state, if the region is in one. */
export function checkJointState(context: CheckContext, region: RegionInfo): Operator | undefined {
  if (!inJointState(region.meta.peers)) return undefined;
  const built = leaveJointOperator(context, region);
  context.metrics.checker(NAME, built.ok ? "new-operator" : "create-operator-fail");
  if (!built.ok) context.explain(region, NAME, built.error);
  return built.ok ? built.value : undefined;
}
