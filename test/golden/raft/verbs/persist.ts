/** `slow 1`: writes of the peer stay pending. `persist 1 [count=1]`: they finish. `fast 1`: again at once. */
import type { DataCase } from "../../../support/datadriven.js";
import { type Env, numbers, target } from "../env.js";

export function slow(env: Env, item: DataCase): void {
  env.slow.add(target(env, item).id);
}

export function fast(env: Env, item: DataCase): void {
  const peer = target(env, item);
  env.slow.delete(peer.id);
  env.settle(peer);
}

export function persist(env: Env, item: DataCase): void {
  const peer = target(env, item);
  peer.persist(numbers(item, "count")[0]);
  env.settle(peer);
}
