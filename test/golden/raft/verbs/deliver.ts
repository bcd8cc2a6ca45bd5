/** `deliver [from=1] [to=2] [count=1]`: delivers messages that are under way now; `drop`: loses them. */
import type { Message } from "../../../../src/raft/index.js";
import type { DataCase } from "../../../support/datadriven.js";
import { describeMessage, type Env, numbers } from "../env.js";

export function deliver(env: Env, item: DataCase): void {
  for (const message of pick(env, item)) env.deliver(message);
}

export function drop(env: Env, item: DataCase): void {
  for (const message of pick(env, item)) env.say(`lost: ${describeMessage(message)}`);
}

function pick(env: Env, item: DataCase): Message[] {
  const [from, to, count] = ["from", "to", "count"].map((key) => numbers(item, key)[0]);
  const picked: Message[] = [];
  const left: Message[] = [];
  for (const message of env.flying) {
    const wanted =
      (from === undefined || message.from === from) &&
      (to === undefined || message.to === to) &&
      picked.length < (count ?? Number.POSITIVE_INFINITY);
    (wanted ? picked : left).push(message);
  }
  env.flying = left;
  return picked;
}
