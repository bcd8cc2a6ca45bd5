/** `read 1 name=a`: asks for an index to read at. */
import type { DataCase } from "../../../support/datadriven.js";
import { bytesOf, type Env, target } from "../env.js";

export function read(env: Env, item: DataCase): void {
  const peer = target(env, item);
  const problem = peer.node.readIndex(bytesOf(item.args.get("name")?.[0] as string));
  if (problem !== null) env.say(problem);
  env.settle(peer);
}
