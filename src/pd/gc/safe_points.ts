/**
 * The rules of PD's safe points: they never go back, the GC safe point never passes the txn safe
 * point, and that never passes a barrier or the oldest transaction that a SQL node reports. PURE:
 * each function returns the next state or why not, with PD's error texts, which clients match.
 * Source: pd pkg/gc/gc_state_manager.go.
 */
import { err, ok, type Result, utf8 } from "../../base/index.js";
import {
  barrierText,
  GC_BARRIER_ID_MAX_BYTES,
  GC_BARRIERS_MAX,
  GC_WORKER_SERVICE_ID,
  type GcBarrier,
  type GcState,
  isExpired,
  newBarrier,
  withBarrier,
  withoutBarrier,
} from "./gc_state.js";

/** The oldest transaction that a SQL node keeps open, with the name it reports under. */
export interface MinStartTs {
  readonly owner: string;
  readonly ts: bigint;
}

/** What held the txn safe point back: what it is called, and a text for people. */
export interface Blocker {
  readonly id: string;
  readonly text: string;
}

export interface TxnAdvance {
  readonly next: GcState;
  readonly old: bigint;
  /** Undefined when the target was reached. */
  readonly blocker: Blocker | undefined;
}

/**
 * Moves the txn safe point to `target`, or as far as barriers and `minStart` let it; barriers that
 * have expired are dropped for good, so that a clock that goes back cannot revive them.
 */
export function advanceTxnSafePoint(
  state: GcState,
  target: bigint,
  minStart: MinStartTs | undefined,
  nowSeconds: bigint,
): Result<TxnAdvance, string> {
  const old = state.txnSafePoint;
  if (target < old) {
    return err(
      "[PD:gc:ErrDecreasingTxnSafePoint]trying to update txn safe point to a smaller value, " +
        `current value: ${old}, given: ${target}`,
    );
  }
  const alive = (one: GcBarrier): boolean => !isExpired(one, nowSeconds);
  const barriers = state.barriers.filter(alive);
  const globalBarriers = state.globalBarriers.filter(alive);
  let least = target;
  let blocker: Blocker | undefined;
  const hold = (ts: bigint, found: Blocker): void => {
    if (ts >= least) return;
    least = ts;
    blocker = found;
  };
  for (const one of barriers) hold(one.ts, { id: one.id, text: barrierText(one, "GC") });
  if (minStart !== undefined && minStart.ts !== 0n) {
    const { owner, ts } = minStart;
    const text = `TiDBMinStartTS { Key: ${JSON.stringify(owner)}, MinStartTS: ${ts} }`;
    hold(ts, { id: `tidb_min_start_ts_${owner}`, text });
  }
  for (const one of globalBarriers) {
    hold(one.ts, { id: one.id, text: barrierText(one, "GlobalGC") });
  }
  const txnSafePoint = least > old ? least : old;
  return ok({ next: { ...state, txnSafePoint, barriers, globalBarriers }, old, blocker });
}

/** Moves the GC safe point to `target`; refused beyond the txn safe point, and backwards. */
export function advanceGcSafePoint(state: GcState, target: bigint): Result<GcState, string> {
  const { gcSafePoint: old, txnSafePoint } = state;
  if (target < old) {
    return err(
      "[PD:gc:ErrDecreasingGCSafePoint]trying to update gc safe point to a smaller value, " +
        `current value: ${old}, given: ${target}`,
    );
  }
  if (target > txnSafePoint) {
    return err(
      "[PD:gc:ErrGCSafePointExceedsTxnSafePoint]trying to update GC safe point to a too large " +
        `value that exceeds the txn safe point, current value: ${old}, given: ${target}, ` +
        `current txn safe point: ${txnSafePoint}`,
    );
  }
  return ok({ ...state, gcSafePoint: target });
}

/**
 * The older way to move the GC safe point: never refused, the answer says where it is. The txn safe
 * point goes with it as far as barriers let it; clients of this call do not move that one.
 */
export function updateGcSafePoint(
  state: GcState,
  target: bigint,
  minStart: MinStartTs | undefined,
  nowSeconds: bigint,
): GcState {
  if (target <= state.gcSafePoint) return state;
  let next = state;
  if (target > state.txnSafePoint) {
    const advanced = advanceTxnSafePoint(state, target, minStart, nowSeconds);
    if (advanced.ok) next = advanced.value.next;
  }
  const reached = target < next.txnSafePoint ? target : next.txnSafePoint;
  return reached > next.gcSafePoint ? { ...next, gcSafePoint: reached } : next;
}

/** Which barriers: of the keyspace that is asked for, or of all. */
export type BarrierKind = "barriers" | "globalBarriers";

export interface BarrierRequest {
  readonly kind: BarrierKind;
  readonly id: string;
  readonly ts: bigint;
  /** Seconds, TTL_NEVER = for ever. */
  readonly ttl: bigint;
}

function badId(id: string): string | undefined {
  if (id === GC_WORKER_SERVICE_ID) {
    return (
      "[PD:gc:ErrReservedGCBarrierID]trying to set a GC barrier with a barrier ID that is " +
      `reserved: ${id}`
    );
  }
  if (id !== "" && utf8(id).length <= GC_BARRIER_ID_MAX_BYTES) return undefined;
  return invalidArgument("barrierID", id.slice(0, 64));
}

function invalidArgument(name: string, value: string): string {
  return `[PD:common:ErrInvalidArgument]invalid argument, argument name: ${name}, value: ${value}`;
}

/** Sets a barrier, or moves one; refused below the txn safe point. */
export function setBarrier(
  state: GcState,
  { kind, id, ts, ttl }: BarrierRequest,
  nowSeconds: bigint,
): Result<{ next: GcState; barrier: GcBarrier }, string> {
  if (ttl <= 0n) return err(invalidArgument("ttl", `${ttl}`));
  const wrong = badId(id);
  if (wrong !== undefined) return err(wrong);
  if (ts < state.txnSafePoint) {
    const name = kind === "barriers" ? "ErrGCBarrierTSBehind" : "ErrGlobalGCBarrierTSBehind";
    return err(
      `[PD:gc:${name}TxnSafePoint]trying to set a GC barrier on ts ${ts} which is already behind ` +
        `the txn safe point ${state.txnSafePoint}`,
    );
  }
  const barriers = state[kind];
  if (barriers.length >= GC_BARRIERS_MAX && !barriers.some((one) => one.id === id)) {
    return err(`too many GC barriers, at most ${GC_BARRIERS_MAX}`);
  }
  const barrier = newBarrier(id, ts, ttl, nowSeconds);
  return ok({ next: { ...state, [kind]: withBarrier(barriers, barrier) }, barrier });
}

/** Removes a barrier; `barrier` is undefined when there was none. */
export function deleteBarrier(
  state: GcState,
  kind: BarrierKind,
  id: string,
): Result<{ next: GcState; barrier: GcBarrier | undefined }, string> {
  const wrong = badId(id);
  if (wrong !== undefined) return err(wrong);
  const barrier = state[kind].find((one) => one.id === id);
  return ok({ next: { ...state, [kind]: withoutBarrier(state[kind], id) }, barrier });
}
