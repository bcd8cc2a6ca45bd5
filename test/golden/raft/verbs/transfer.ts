/** `transfer 1 to=2`: peer 1 asks for, or begins, a transfer to peer 2. */
import type { DataCase } from "../../../support/datadriven.js";
import { type Env, numbers, target } from "../env.js";

export function transfer(env: Env, item: DataCase): void {
  const peer = target(env, item);
  const problem = peer.node.transferLeader(numbers(item, "to")[0] as number);
  if (problem !== null) env.say(problem);
  env.settle(peer);
}
