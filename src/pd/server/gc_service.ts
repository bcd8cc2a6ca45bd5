/**
 * pdpb.PD: safe points and barriers. All keyspaces share those of the null keyspace (unified GC), so
 * the DEFAULT keyspace is told the same; others do not exist. Source: pd server/gc_service.go.
 */
import { status } from "@grpc/grpc-js";
import type { Result } from "../../base/index.js";
import { utf8, utf8Decode } from "../../base/index.js";
import { fromBigInt, fromSignedBigInt, pdpb, toBigInt, type Wire64 } from "../../pb/index.js";
import {
  type BarrierKind,
  type GcBarrier,
  type GcState,
  isExpired,
  NULL_KEYSPACE_ID,
  TTL_NEVER,
  ttlSeconds,
} from "../gc/index.js";
import type { RaftCluster } from "./cluster.js";
import type { GcManager } from "./gc_manager.js";
import { bootstrapped } from "./guards.js";
import { errorHeader, okHeader, statusError } from "./header.js";
import type { Handlers } from "./unary.js";

const DEFAULT_KEYSPACE_ID = 0;

interface Scope {
  readonly keyspaceId: number | null;
}

/** Returns why there is no GC state for a keyspace; undefined if there is. */
function unknownKeyspace(scope: Scope | null): string | undefined {
  const id = scope?.keyspaceId ?? NULL_KEYSPACE_ID;
  if (id === NULL_KEYSPACE_ID || id === DEFAULT_KEYSPACE_ID) return undefined;
  return "[PD:keyspace:ErrKeyspaceNotFound]keyspace does not exist";
}

/** Returns why GC cannot be managed for a keyspace; undefined if it can. */
function unmanagedKeyspace(scope: Scope | null): string | undefined {
  const id = scope?.keyspaceId ?? NULL_KEYSPACE_ID;
  if (id === NULL_KEYSPACE_ID) return undefined;
  return (
    unknownKeyspace(scope) ??
    `[PD:gc:ErrGCOnInvalidKeyspace]trying to manage GC on keyspace ${id}, where keyspace-level ` +
      "GC is not enabled"
  );
}

/** Returns the methods. */
export function gcHandlers(cluster: RaftCluster, gc: GcManager): Handlers<"pdpb.PD"> {
  return {
    ...stateHandlers(cluster, gc),
    ...advanceHandlers(cluster, gc),
    ...barrierHandlers(cluster, gc),
    ...olderHandlers(cluster, gc),
  };
}

type HeaderOnly = { header: pdpb.IResponseHeader };

function refusal(cluster: RaftCluster, message: string): HeaderOnly {
  return { header: errorHeader(cluster.id, pdpb.ErrorType.UNKNOWN, message) };
}

function barrierToPb(barrier: GcBarrier, nowSeconds: bigint): pdpb.IGCBarrierInfo {
  return {
    barrierId: barrier.id,
    barrierTs: fromBigInt(barrier.ts),
    ttlSeconds: fromSignedBigInt(ttlSeconds(barrier, nowSeconds)),
  };
}

function aliveToPb(barriers: readonly GcBarrier[], gc: GcManager): pdpb.IGCBarrierInfo[] {
  const { nowSeconds } = gc;
  return barriers
    .filter((one) => !isExpired(one, nowSeconds))
    .map((one) => barrierToPb(one, nowSeconds));
}

function stateToPb(state: GcState, gc: GcManager, withBarriers: boolean): pdpb.IGCState {
  return {
    keyspaceScope: { keyspaceId: NULL_KEYSPACE_ID },
    isKeyspaceLevelGc: false,
    txnSafePoint: fromBigInt(state.txnSafePoint),
    gcSafePoint: fromBigInt(state.gcSafePoint),
    gcBarriers: withBarriers ? aliveToPb(state.barriers, gc) : [],
  };
}

function stateHandlers(cluster: RaftCluster, gc: GcManager): Handlers<"pdpb.PD"> {
  const header = okHeader(cluster.id);
  return {
    GetGCState: bootstrapped(
      cluster,
      async (request: pdpb.GetGCStateRequest): Promise<pdpb.IGetGCStateResponse> => {
        const wrong = unknownKeyspace(request.keyspaceScope);
        if (wrong !== undefined) return refusal(cluster, wrong);
        const state = await gc.state();
        const gcState = stateToPb(state, gc, !request.excludeGcBarriers);
        if (!request.includeGlobalGcBarriers) return { header, gcState };
        const barriers = aliveToPb(state.globalBarriers, gc);
        return { header, gcState, globalGcBarriers: { barriers } };
      },
    ),
    GetAllKeyspacesGCStates: bootstrapped(
      cluster,
      async (
        request: pdpb.GetAllKeyspacesGCStatesRequest,
      ): Promise<pdpb.IGetAllKeyspacesGCStatesResponse> => {
        const state = await gc.state();
        const own = stateToPb(state, gc, !request.excludeGcBarriers);
        const shared = { keyspaceScope: { keyspaceId: DEFAULT_KEYSPACE_ID } };
        const globalGcBarriers = request.excludeGlobalGcBarriers
          ? []
          : aliveToPb(state.globalBarriers, gc);
        return { header, gcStates: [own, shared], globalGcBarriers };
      },
    ),
  };
}

function advanceHandlers(cluster: RaftCluster, gc: GcManager): Handlers<"pdpb.PD"> {
  const header = okHeader(cluster.id);
  return {
    AdvanceTxnSafePoint: bootstrapped(
      cluster,
      async (
        request: pdpb.AdvanceTxnSafePointRequest,
      ): Promise<pdpb.IAdvanceTxnSafePointResponse> => {
        const wrong = unmanagedKeyspace(request.keyspaceScope);
        if (wrong !== undefined) return refusal(cluster, wrong);
        const target = toBigInt(request.target);
        const moved = await gc.advanceTxnSafePoint(target, "external", "AdvanceTxnSafePoint");
        if (!moved.ok) return refusal(cluster, moved.error);
        return {
          header,
          oldTxnSafePoint: fromBigInt(moved.value.old),
          newTxnSafePoint: fromBigInt(moved.value.now),
          blockerDescription: moved.value.blocker?.text ?? "",
        };
      },
    ),
    AdvanceGCSafePoint: bootstrapped(
      cluster,
      async (
        request: pdpb.AdvanceGCSafePointRequest,
      ): Promise<pdpb.IAdvanceGCSafePointResponse> => {
        const wrong = unmanagedKeyspace(request.keyspaceScope);
        if (wrong !== undefined) return refusal(cluster, wrong);
        const target = toBigInt(request.target);
        const moved = await gc.advanceGcSafePoint(target, "external", "AdvanceGCSafePoint");
        if (!moved.ok) return refusal(cluster, moved.error);
        const { now, old } = moved.value;
        return { header, oldGcSafePoint: fromBigInt(old), newGcSafePoint: fromBigInt(now) };
      },
    ),
  };
}

interface SetRequest {
  readonly barrierId: string;
  readonly barrierTs: Wire64;
  readonly ttlSeconds: Wire64;
}

function barrierHandlers(cluster: RaftCluster, gc: GcManager): Handlers<"pdpb.PD"> {
  const header = okHeader(cluster.id);
  const set = async (
    kind: BarrierKind,
    request: SetRequest,
    wrong?: string,
  ): Promise<pdpb.ISetGCBarrierResponse> => {
    if (wrong !== undefined) return refusal(cluster, wrong);
    const { barrierId: id, barrierTs, ttlSeconds: ttl } = request;
    const wanted = { kind, id, ts: toBigInt(barrierTs), ttl: toBigInt(ttl) };
    const barrier = await gc.setBarrier(wanted);
    if (!barrier.ok) return refusal(cluster, barrier.error);
    return { header, newBarrierInfo: barrierToPb(barrier.value, gc.nowSeconds) };
  };
  const remove = async (
    kind: BarrierKind,
    id: string,
    wrong?: string,
  ): Promise<pdpb.IDeleteGCBarrierResponse> => {
    if (wrong !== undefined) return refusal(cluster, wrong);
    const barrier = await gc.deleteBarrier(kind, id);
    if (!barrier.ok) return refusal(cluster, barrier.error);
    if (barrier.value === undefined) return { header };
    return { header, deletedBarrierInfo: barrierToPb(barrier.value, gc.nowSeconds) };
  };
  return {
    SetGCBarrier: bootstrapped(cluster, (request: pdpb.SetGCBarrierRequest) =>
      set("barriers", request, unknownKeyspace(request.keyspaceScope)),
    ),
    DeleteGCBarrier: bootstrapped(cluster, (request: pdpb.DeleteGCBarrierRequest) =>
      remove("barriers", request.barrierId, unknownKeyspace(request.keyspaceScope)),
    ),
    SetGlobalGCBarrier: bootstrapped(cluster, (request: pdpb.SetGlobalGCBarrierRequest) =>
      set("globalBarriers", request),
    ),
    DeleteGlobalGCBarrier: bootstrapped(cluster, (request: pdpb.DeleteGlobalGCBarrierRequest) =>
      remove("globalBarriers", request.barrierId),
    ),
  };
}

/** As PD's: a refusal of these methods fails the call, with status UNKNOWN. */
function unwrapped<T>(result: Result<T, string>): T {
  if (result.ok) return result.value;
  throw statusError(status.UNKNOWN, result.error);
}

function refuseKeyspace(wrong: string | undefined): void {
  if (wrong !== undefined) throw statusError(status.UNKNOWN, wrong);
}

function olderHandlers(cluster: RaftCluster, gc: GcManager): Handlers<"pdpb.PD"> {
  const header = okHeader(cluster.id);
  const service = async (id: Uint8Array, ts: Wire64, ttl: Wire64) => {
    const request = { serviceId: utf8Decode(id), ts: toBigInt(ts), ttl: toBigInt(ttl) };
    const least = unwrapped(await gc.updateServiceSafePoint(request));
    return {
      serviceId: utf8(least.serviceId),
      // The answer is always the safe point of one that never expires.
      ttl: fromSignedBigInt(TTL_NEVER - gc.nowSeconds),
      minSafePoint: fromBigInt(least.ts),
    };
  };
  return {
    GetGCSafePoint: bootstrapped(cluster, async () => {
      const { gcSafePoint } = await gc.state();
      return { header, safePoint: fromBigInt(gcSafePoint) };
    }),
    UpdateGCSafePoint: bootstrapped(
      cluster,
      async ({ safePoint }: pdpb.UpdateGCSafePointRequest) => {
        const reached = await gc.updateGcSafePoint(toBigInt(safePoint));
        return { header, newSafePoint: fromBigInt(reached) };
      },
    ),
    UpdateServiceGCSafePoint: bootstrapped(
      cluster,
      async ({ serviceId, TTL, safePoint }: pdpb.UpdateServiceGCSafePointRequest) => {
        const { ttl, ...least } = await service(serviceId, safePoint, TTL);
        return { header, ...least, TTL: ttl };
      },
    ),
    GetGCSafePointV2: bootstrapped(cluster, async (request: pdpb.GetGCSafePointV2Request) => {
      refuseKeyspace(unknownKeyspace(request));
      const { gcSafePoint } = await gc.state();
      return { header, safePoint: fromBigInt(gcSafePoint) };
    }),
    UpdateGCSafePointV2: bootstrapped(cluster, async (request: pdpb.UpdateGCSafePointV2Request) => {
      refuseKeyspace(unmanagedKeyspace(request));
      const reached = await gc.updateGcSafePoint(toBigInt(request.safePoint));
      return { header, newSafePoint: fromBigInt(reached) };
    }),
    UpdateServiceSafePointV2: bootstrapped(
      cluster,
      async (request: pdpb.UpdateServiceSafePointV2Request) => {
        refuseKeyspace(unknownKeyspace(request));
        const { safePoint, serviceId, ttl } = request;
        return { header, ...(await service(serviceId, safePoint, ttl)) };
      },
    ),
    // Of keyspaces that have a safe point of their own: none.
    GetAllGCSafePointV2: bootstrapped(cluster, () => ({ header, gcSafePoints: [] })),
  };
}
