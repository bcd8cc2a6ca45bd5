/** Safe points and barriers of PD, for PdClient. Source: pd client gc_client.go. */
import { err, ok } from "../base/index.js";
import { fromBigInt, fromSignedBigInt, methodInfo, type pdpb, toBigInt } from "../pb/index.js";
import type { Caller } from "./caller.js";
import type { PdReply } from "./types.js";

const GET_GC_SAFE_POINT = methodInfo("pdpb.PD", "GetGCSafePoint");
const GET_GC_STATE = methodInfo("pdpb.PD", "GetGCState");
const SET_GC_BARRIER = methodInfo("pdpb.PD", "SetGCBarrier");
const DELETE_GC_BARRIER = methodInfo("pdpb.PD", "DeleteGCBarrier");
const ADVANCE_TXN_SAFE_POINT = methodInfo("pdpb.PD", "AdvanceTxnSafePoint");
const ADVANCE_GC_SAFE_POINT = methodInfo("pdpb.PD", "AdvanceGCSafePoint");

/** The keyspace of clusters without keyspaces. */
const NULL_KEYSPACE = { keyspaceId: 0xffff_ffff };
/** The TTL that stands for "never". */
const TTL_NEVER = (1n << 63n) - 1n;

/** What keeps the txn safe point from passing `ts`. */
export interface GcBarrier {
  readonly id: string;
  readonly ts: bigint;
  /** Seconds left; undefined = for ever. */
  readonly ttlSeconds: bigint | undefined;
}

/** pdpb.GCState. */
export interface GcState {
  /** No snapshot below it may be read. */
  readonly txnSafePoint: bigint;
  /** Versions that are hidden at it may be gone. */
  readonly gcSafePoint: bigint;
  readonly barriers: readonly GcBarrier[];
}

export interface TxnSafePointAdvance {
  readonly old: bigint;
  readonly now: bigint;
  /** What held it back; empty when the target was reached. */
  readonly blocker: string;
}

function barrierOf(info: pdpb.GCBarrierInfo): GcBarrier {
  const ttl = toBigInt(info.ttlSeconds);
  return {
    id: info.barrierId,
    ts: toBigInt(info.barrierTs),
    ttlSeconds: ttl === TTL_NEVER ? undefined : ttl,
  };
}

/** Returns the GC safe point; 0n until one is set. */
export async function getGcSafePoint(caller: Caller): Promise<PdReply<bigint>> {
  const reply = await caller.call(GET_GC_SAFE_POINT, (header) => ({ header }));
  return reply.ok ? ok(toBigInt(reply.value.safePoint)) : reply;
}

/** Returns safe points and barriers. */
export async function getGcState(caller: Caller): Promise<PdReply<GcState>> {
  const reply = await caller.call(GET_GC_STATE, (header) => ({
    header,
    keyspaceScope: NULL_KEYSPACE,
  }));
  if (!reply.ok) return reply;
  const state = reply.value.gcState;
  if (state === null) return err({ kind: "refused", message: "PD answered no GC state" });
  return ok({
    txnSafePoint: toBigInt(state.txnSafePoint),
    gcSafePoint: toBigInt(state.gcSafePoint),
    barriers: state.gcBarriers.map(barrierOf),
  });
}

/** Sets a barrier, or moves one; `ttlSeconds` undefined = for ever. */
export async function setGcBarrier(
  caller: Caller,
  id: string,
  ts: bigint,
  ttlSeconds: bigint | undefined,
): Promise<PdReply<GcBarrier>> {
  const body = {
    keyspaceScope: NULL_KEYSPACE,
    barrierId: id,
    barrierTs: fromBigInt(ts),
    ttlSeconds: fromSignedBigInt(ttlSeconds ?? TTL_NEVER),
  };
  const reply = await caller.call(SET_GC_BARRIER, (header) => ({ header, ...body }));
  if (!reply.ok) return reply;
  const info = reply.value.newBarrierInfo;
  if (info === null) return err({ kind: "refused", message: "PD answered no barrier" });
  return ok(barrierOf(info));
}

/** Removes a barrier; returns it, undefined when there was none. */
export async function deleteGcBarrier(
  caller: Caller,
  id: string,
): Promise<PdReply<GcBarrier | undefined>> {
  const body = { keyspaceScope: NULL_KEYSPACE, barrierId: id };
  const reply = await caller.call(DELETE_GC_BARRIER, (header) => ({ header, ...body }));
  if (!reply.ok) return reply;
  const info = reply.value.deletedBarrierInfo;
  return ok(info === null ? undefined : barrierOf(info));
}

/** Moves the txn safe point towards `target`. For a GC leader only: PD's own one stops then. */
export async function advanceTxnSafePoint(
  caller: Caller,
  target: bigint,
): Promise<PdReply<TxnSafePointAdvance>> {
  const body = { keyspaceScope: NULL_KEYSPACE, target: fromBigInt(target) };
  const reply = await caller.call(ADVANCE_TXN_SAFE_POINT, (header) => ({ header, ...body }));
  if (!reply.ok) return reply;
  const { blockerDescription, newTxnSafePoint, oldTxnSafePoint } = reply.value;
  const old = toBigInt(oldTxnSafePoint);
  return ok({ old, now: toBigInt(newTxnSafePoint), blocker: blockerDescription });
}

/** Moves the GC safe point to `target`, at most the txn safe point. For a GC leader only. */
export async function advanceGcSafePoint(caller: Caller, target: bigint): Promise<PdReply<bigint>> {
  const body = { keyspaceScope: NULL_KEYSPACE, target: fromBigInt(target) };
  const reply = await caller.call(ADVANCE_GC_SAFE_POINT, (header) => ({ header, ...body }));
  return reply.ok ? ok(toBigInt(reply.value.newGcSafePoint)) : reply;
}
