/** `conf-change 1 v4 l5 r2 [transition=implicit|explicit]`: without changes it leaves joint. */
import type { ConfChangeSingle } from "../../../../src/raft/index.js";
import type { DataCase } from "../../../support/datadriven.js";
import { type Env, target } from "../env.js";

const TYPES: Readonly<Record<string, 0 | 1 | 2>> = { v: 0, r: 1, l: 2 };
const TRANSITIONS: Readonly<Record<string, 0 | 1 | 2>> = { auto: 0, implicit: 1, explicit: 2 };

export function confChange(env: Env, item: DataCase): void {
  const peer = target(env, item);
  const words = [...item.args.keys()].filter((key) => /^[vrl]\d+$/.test(key));
  const changes: ConfChangeSingle[] = words.map((word) => ({
    type: TYPES[word[0] as string] as 0 | 1 | 2,
    id: Number(word.slice(1)),
  }));
  const transition = TRANSITIONS[item.args.get("transition")?.[0] ?? "auto"] as 0 | 1 | 2;
  const result = peer.node.proposeConfChange({ transition, changes, context: new Uint8Array(0) });
  env.say(result.ok ? `at ${result.value?.term}/${result.value?.index}` : result.error);
  env.settle(peer);
}
