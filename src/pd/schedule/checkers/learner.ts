/**
 * Learner checker: what becomes of learners that no operator works on. While voters are missing a
 * learner that has caught up is promoted; otherwise it is left over from an operator that ended
 * half-way, and is removed. PURE. Source: pd pkg/schedule/checker/learner_checker.go, which always
 * promotes, and then has one voter too many to remove.
 */
import { isDown, isPending, learners, type RegionInfo, voters } from "../../core/index.js";
import type { Built } from "../builder.js";
import { promoteLearnerOperator, removePeerOperator } from "../create_operator.js";
import type { Operator } from "../operator.js";
import type { CheckContext } from "./context.js";

const NAME = "learner_checker";

/** Returns the operator for the first learner that something can be done about. */
export function checkLearners(context: CheckContext, region: RegionInfo): Operator | undefined {
  const { maxReplicas } = context.cluster.config;
  const missing = voters(region.meta).length < maxReplicas;
  for (const peer of learners(region.meta)) {
    const lags = isPending(region, peer.id) || isDown(region, peer.id);
    if (missing && lags) continue;
    const built: Built = missing
      ? promoteLearnerOperator(context, region, peer.storeId, {
          desc: "promote-learner",
          kind: "replica",
        })
      : removePeerOperator(context, region, peer.storeId, {
          desc: "remove-orphan-learner",
          kind: "replica",
        });
    context.metrics.checker(NAME, built.ok ? "new-operator" : "create-operator-fail");
    if (built.ok) return built.value;
    context.explain(region, NAME, built.error);
  }
  return undefined;
}
