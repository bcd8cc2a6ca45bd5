/** What stands before the handlers of pdpb.PD: the checks of the cluster id and of bootstrap. */
import type { Wire64 } from "../../pb/index.js";
import type { RaftCluster } from "./cluster.js";
import { mismatch, notBootstrapped } from "./header.js";

interface WithHeader {
  readonly header: { readonly clusterId: Wire64 } | null;
}

/** Returns `handler` behind the check of the cluster id. */
export function checked<Q extends WithHeader, R>(
  cluster: RaftCluster,
  handler: (request: Q) => R,
): (request: Q) => R {
  return (request) => {
    const wrong = mismatch(cluster.id, request.header);
    if (wrong !== undefined) throw wrong;
    return handler(request);
  };
}

/** As `checked`; before bootstrap the answer is the header error NOT_BOOTSTRAPPED. */
export function bootstrapped<Q extends WithHeader, R extends { header?: unknown }>(
  cluster: RaftCluster,
  handler: (request: Q) => R | Promise<R>,
): (request: Q) => R | Promise<R> {
  return checked<Q, R | Promise<R>>(cluster, (request) =>
    cluster.bootstrapped ? handler(request) : ({ header: notBootstrapped(cluster.id) } as R),
  );
}
