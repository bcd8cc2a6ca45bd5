/** `crash 1`: loses what is not durable. `restart 1`: comes back. */
import type { DataCase } from "../../../support/datadriven.js";
import { type Env, fixedPrng, target } from "../env.js";

export function crash(env: Env, item: DataCase): void {
  target(env, item).crash();
}

export function restart(env: Env, item: DataCase): void {
  const peer = target(env, item);
  peer.restart(peer.applied, fixedPrng(peer.id));
  env.settle(peer);
}
