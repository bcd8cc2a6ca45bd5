/** `report-snapshot 1 peer=3 [failed]`, `report-unreachable 1 peer=3`: what the transport saw. */
import type { DataCase } from "../../../support/datadriven.js";
import { type Env, numbers, target } from "../env.js";

export function reportSnapshot(env: Env, item: DataCase): void {
  const peer = target(env, item);
  peer.node.reportSnapshot(numbers(item, "peer")[0] as number, item.args.has("failed"));
  env.settle(peer);
}

export function reportUnreachable(env: Env, item: DataCase): void {
  const peer = target(env, item);
  peer.node.reportUnreachable(numbers(item, "peer")[0] as number);
  env.settle(peer);
}
