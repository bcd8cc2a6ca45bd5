/** `stabilize [without=(3)] [quiet]`: delivers until nothing is under way; `without` peers hear nothing. */
import type { DataCase } from "../../../support/datadriven.js";
import { type Env, numbers } from "../env.js";

const MESSAGES_MAX = 1000;

export function stabilize(env: Env, item: DataCase): void {
  const without = new Set(numbers(item, "without"));
  for (let i = 0; i < MESSAGES_MAX; i++) {
    const message = env.flying.shift();
    if (message === undefined) {
      if (item.args.has("quiet")) env.take();
      return;
    }
    if (without.has(message.to) || without.has(message.from)) continue;
    env.deliver(message);
  }
  throw new Error("messages never end");
}
