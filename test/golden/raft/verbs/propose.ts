/** `propose 1 data=x [count=3]`: says where the entries stand, or why they were refused. */
import type { DataCase } from "../../../support/datadriven.js";
import { bytesOf, type Env, numbers, target } from "../env.js";

export function propose(env: Env, item: DataCase): void {
  const peer = target(env, item);
  for (let i = 0; i < (numbers(item, "count")[0] ?? 1); i++) {
    const result = peer.node.propose(bytesOf(item.args.get("data")?.[0] ?? ""));
    if (!result.ok) env.say(result.error);
    else if (result.value === null) env.say("passed on");
    else env.say(`at ${result.value.term}/${result.value.index}`);
    env.settle(peer);
  }
}
