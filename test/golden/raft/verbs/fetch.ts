/** `unavailable 1 kind=append`: such reads of the log need a fetch. `fetched 1`: all are done. */
import type { FetchContext } from "../../../../src/raft/index.js";
import type { DataCase } from "../../../support/datadriven.js";
import { type Env, target } from "../env.js";

export function unavailable(env: Env, item: DataCase): void {
  const kind = item.args.get("kind")?.[0] as FetchContext["kind"];
  target(env, item).storage.unavailable.add(kind);
}

export function fetched(env: Env, item: DataCase): void {
  const peer = target(env, item);
  const { refused, unavailable: kinds } = peer.storage;
  kinds.clear();
  for (const context of refused.splice(0)) {
    env.say(`fetched: ${context.kind}${context.kind === "append" ? ` to ${context.to}` : ""}`);
    peer.node.onEntriesFetched(context);
  }
  env.settle(peer);
}
