/** `campaign 1`: the peer campaigns now. */
import type { DataCase } from "../../../support/datadriven.js";
import { type Env, target } from "../env.js";

export function campaign(env: Env, item: DataCase): void {
  const peer = target(env, item);
  peer.node.campaign();
  env.settle(peer);
}
