/**
 * Service safe points, the older face of barriers: "gc_worker" moves the txn safe point, any other
 * service holds it back for a while. The answer names the least one. PURE.
 * Source: pd pkg/gc/gc_state_manager.go CompatibleUpdateServiceGCSafePoint.
 */
import { err, ok, type Result } from "../../base/index.js";
import { GC_WORKER_SERVICE_ID, type GcState, TTL_NEVER } from "./gc_state.js";
import {
  advanceTxnSafePoint,
  type BarrierKind,
  deleteBarrier,
  type MinStartTs,
  setBarrier,
} from "./safe_points.js";

/** The service whose safe point holds for all keyspaces. */
const GLOBAL_SERVICE_ID = "native_br";

export interface ServiceSafePointRequest {
  readonly serviceId: string;
  readonly ts: bigint;
  /** Seconds; 0 or less removes it. */
  readonly ttl: bigint;
}

/** The least service safe point after the update. */
export interface LeastSafePoint {
  readonly next: GcState;
  readonly serviceId: string;
  readonly ts: bigint;
}

/**
 * Updates the safe point of a service. A safe point below the txn safe point is not taken, and no
 * error: the answer says where the txn safe point is.
 */
export function updateServiceSafePoint(
  state: GcState,
  { serviceId, ts, ttl }: ServiceSafePointRequest,
  minStart: MinStartTs | undefined,
  nowSeconds: bigint,
): Result<LeastSafePoint, string> {
  if (serviceId === GC_WORKER_SERVICE_ID) {
    if (ttl !== TTL_NEVER) {
      return err("TTL of gc_worker's service safe point must be infinity");
    }
    const advanced = advanceTxnSafePoint(state, ts, minStart, nowSeconds);
    if (!advanced.ok) return advanced;
    const { next, blocker } = advanced.value;
    return ok({ next, serviceId: blocker?.id ?? serviceId, ts: next.txnSafePoint });
  }
  const kind: BarrierKind = serviceId === GLOBAL_SERVICE_ID ? "globalBarriers" : "barriers";
  const least = (next: GcState): Result<LeastSafePoint, string> =>
    ok({ next, serviceId: GC_WORKER_SERVICE_ID, ts: next.txnSafePoint });
  if (ttl > 0n && ts < state.txnSafePoint) return least(state);
  const updated =
    ttl > 0n
      ? setBarrier(state, { kind, id: serviceId, ts, ttl }, nowSeconds)
      : deleteBarrier(state, kind, serviceId);
  return updated.ok ? least(updated.value.next) : updated;
}
