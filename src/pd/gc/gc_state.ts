/**
 * What PD knows of garbage collection: two safe points and what holds them back. Values only; the
 * rules that change them are in safe_points.ts. PURE. Source: pd pkg/gc/gc_state_manager.go.
 *
 * - GC safe point: versions that are hidden at it may be gone. Stores act on it.
 * - Txn safe point: no snapshot below it may be read any more; it goes ahead of the GC safe point.
 * - Barrier: the txn safe point does not pass it, until it is deleted or has expired. A service safe
 *   point of older clients is a barrier under the service's name.
 */

/** Something that holds the txn safe point back. */
export interface GcBarrier {
  readonly id: string;
  readonly ts: bigint;
  /** Seconds since the Unix epoch; undefined = for ever. It still holds in this second. */
  readonly expiresAt: bigint | undefined;
}

/** Invariant: gcSafePoint <= txnSafePoint; neither ever goes back. Barriers are in order of id. */
export interface GcState {
  readonly txnSafePoint: bigint;
  readonly gcSafePoint: bigint;
  readonly barriers: readonly GcBarrier[];
  /** Barriers of all keyspaces together. */
  readonly globalBarriers: readonly GcBarrier[];
}

export const NO_GC_STATE: GcState = {
  txnSafePoint: 0n,
  gcSafePoint: 0n,
  barriers: [],
  globalBarriers: [],
};

/** The keyspace of clusters without keyspaces; all keyspaces share its safe points. */
export const NULL_KEYSPACE_ID = 0xffff_ffff;

/** The service whose safe point is the txn safe point itself. */
export const GC_WORKER_SERVICE_ID = "gc_worker";

/** Barriers, of each kind, that PD keeps at most; more are refused. */
export const GC_BARRIERS_MAX = 4096;
/** Bytes of a barrier's id at most. */
export const GC_BARRIER_ID_MAX_BYTES = 1024;

/** The largest TTL, seconds: it means "never". */
export const TTL_NEVER = (1n << 63n) - 1n;

/** Returns whether a barrier no longer holds at `nowSeconds`. */
export function isExpired({ expiresAt }: GcBarrier, nowSeconds: bigint): boolean {
  return expiresAt !== undefined && nowSeconds > expiresAt;
}

/** Returns the seconds a barrier has left, 0 at least; TTL_NEVER for one without end. */
export function ttlSeconds({ expiresAt }: GcBarrier, nowSeconds: bigint): bigint {
  if (expiresAt === undefined) return TTL_NEVER;
  return expiresAt > nowSeconds ? expiresAt - nowSeconds : 0n;
}

/** Returns a barrier that holds for `ttl` seconds from now. */
export function newBarrier(id: string, ts: bigint, ttl: bigint, nowSeconds: bigint): GcBarrier {
  const expiresAt = ttl >= TTL_NEVER - nowSeconds ? undefined : nowSeconds + ttl;
  return { id, ts, expiresAt };
}

/** Returns `barriers` with one more, or one replaced, in order of id. */
export function withBarrier(barriers: readonly GcBarrier[], one: GcBarrier): GcBarrier[] {
  const others = withoutBarrier(barriers, one.id);
  const at = others.findIndex(({ id }) => id > one.id);
  others.splice(at === -1 ? others.length : at, 0, one);
  return others;
}

/** Returns `barriers` without the one called `id`. */
export function withoutBarrier(barriers: readonly GcBarrier[], id: string): GcBarrier[] {
  return barriers.filter((one) => one.id !== id);
}

/** Returns a barrier as logs and PD's answers write it. */
export function barrierText({ id, ts, expiresAt }: GcBarrier, kind: "GC" | "GlobalGC"): string {
  const end = expiresAt === undefined ? "<nil>" : `${expiresAt}`;
  return `${kind}Barrier { BarrierID: ${id}, BarrierTS: ${ts}, ExpirationTime: ${end} }`;
}
