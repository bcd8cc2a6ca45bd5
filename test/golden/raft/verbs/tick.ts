/** `tick 1 count=10`: time passes for one peer; `tick all count=3` for all. */
import type { DataCase } from "../../../support/datadriven.js";
import { type Env, numbers, target } from "../env.js";

export function tick(env: Env, item: DataCase): void {
  const peers = item.args.has("all") ? [...env.peers.values()] : [target(env, item)];
  for (let i = 0; i < (numbers(item, "count")[0] ?? 1); i++) {
    for (const peer of peers) {
      if (!peer.alive) continue;
      peer.node.tick();
      env.settle(peer);
    }
  }
}
