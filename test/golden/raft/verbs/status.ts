/** `status`: a line a peer; `log 1`: the durable log; `messages`: what is under way. */
import type { DataCase } from "../../../support/datadriven.js";
import { describeMessage, type Env, target } from "../env.js";

export function status(env: Env, item: DataCase): void {
  const peers = item.args.size > 0 ? [target(env, item)] : [...env.peers.values()];
  for (const peer of peers) {
    const lease = peer.node.leaseValid() ? " lease" : "";
    env.say(peer.alive ? peer.node.debugState() + lease : `${peer.id} down`);
  }
}

export function log(env: Env, item: DataCase): void {
  const { storage } = target(env, item);
  for (let index = storage.firstIndex(); index <= storage.lastIndex(); index++)
    env.say(`${storage.term(index)}/${index}`);
}

export function messages(env: Env): void {
  if (env.flying.length === 0) env.say("none");
  for (const message of env.flying) env.say(describeMessage(message));
}
