/**
 * PD's HTTP API: safe points and barriers. `gc/state` and `gc/leader` are ours: PD leads GC itself
 * until somebody else does. Source: pd server/api/service_gc_safepoint.go.
 */
import { GC_WORKER_SERVICE_ID, type GcBarrier, TTL_NEVER } from "../gc/index.js";
import { bootstrapped, fail, ok, type Routes } from "./http_route.js";
import type { Json } from "./json.js";

function barrierJson({ id, ts, expiresAt }: GcBarrier): Json {
  return { service_id: id, expired_at: expiresAt ?? TTL_NEVER, safe_point: ts };
}

export const GC_ROUTES: Routes = bootstrapped({
  "GET gc/safepoint": async ({ gc }) => {
    const state = await gc.state();
    const all = [...state.barriers, ...state.globalBarriers];
    const worker = { id: GC_WORKER_SERVICE_ID, ts: state.txnSafePoint, expiresAt: undefined };
    const least = all.reduce((min, one) => (one.ts < min ? one.ts : min), worker.ts);
    return ok({
      service_gc_safe_points: [worker, ...all].map(barrierJson),
      min_service_gc_safe_point: least,
      gc_safe_point: state.gcSafePoint,
    });
  },
  "DELETE gc/safepoint/{}": async ({ gc }, { args: [id = ""] }) => {
    const deleted = await gc.deleteBarrier("barriers", decodeURIComponent(id));
    if (!deleted.ok) return fail(500, deleted.error);
    return ok("Delete service GC safepoint successfully.");
  },
  "GET gc/state": async ({ gc }) => {
    const state = await gc.state();
    return ok({
      txn_safe_point: state.txnSafePoint.toString(),
      gc_safe_point: state.gcSafePoint.toString(),
      gc_barriers: state.barriers.map(barrierJson),
      global_gc_barriers: state.globalBarriers.map(barrierJson),
      leader: gc.isLedOutside ? "external" : "builtin",
    });
  },
  "POST gc/leader": async ({ gc }, { body }) => {
    const { leader } = body;
    if (leader !== "builtin" && leader !== "external") {
      return fail(400, 'leader: expected "builtin" or "external"');
    }
    await gc.setLeader(leader, "gc/leader");
    return ok(`gc is led by ${leader === "builtin" ? "pd" : "somebody outside"}`);
  },
});
