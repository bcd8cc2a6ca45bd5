/**
 * What every read of transactions does before it sees data, in this order: max_ts is raised, memory
 * locks are checked, the snapshot is taken. A prewrite that chooses its min_commit_ts either finds
 * the raised max_ts or has published its lock before. Stale reads raise and check nothing: they stay
 * below safe_ts, which is compared before and after the snapshot.
 * Source: tikv src/storage/mod.rs prepare_snap_ctx, check_memory_locks.
 */
import { concatBytes, ok } from "../base/index.js";
import { lockConflict, type ReadError, type ReadPoint } from "../mvcc/index.js";
import type { ReadDelegate } from "../raftstore/index.js";
import type { LockInfo } from "../txn/index.js";
import { type Failure, regionFailure } from "./errors.js";
import type { RegionSnapshot } from "./kv_engine.js";
import type { ReadCheck } from "./read_check.js";
import { checkTxnRange, checkTxnVersion } from "./txn_check.js";
import type { TxnDeps } from "./txn_deps.js";
import { fromFailure, type TxnFailure, txnFailure } from "./txn_errors.js";
import type { MaxTs } from "./txn_max_ts.js";
import type { ReadRun } from "./txn_read_run.js";
import type { TxnContext, TxnReply } from "./txn_types.js";
import type { ReadReply, Reply } from "./types.js";

/** Timestamps up to which replicas answer stale reads. */
export interface SafeTsSource {
  /** 0n: none is safe yet. */
  safeTs(peer: ReadDelegate): bigint;
}

/** Where a read looks, in encoded keys. */
export type ReadPlace =
  | { readonly keys: readonly Uint8Array[] }
  /** `[start, end)`, empty end = +inf. */
  | { readonly start: Uint8Array; readonly end: Uint8Array };

/** What a read does where it may. */
export interface SnapshotReader<T> {
  /** Why the place is not in the peer's region. */
  readonly outside: (peer: ReadDelegate) => Failure | undefined;
  /** Reads, and closes the snapshot or sees to it. */
  readonly use: (snapshot: RegionSnapshot) => Reply<T>;
  /** Answers a replica read that a memory lock of the leader blocks. */
  readonly onBlocked: (lock: LockInfo) => Reply<T>;
}

/** The ranges that a place covers: a key is a range of its own. */
function rangesOf(place: ReadPlace): ReadCheck["ranges"] {
  if (!("keys" in place)) return [place];
  return place.keys.map((start) => ({ start, end: concatBytes(start, AFTER_KEY) }));
}

const AFTER_KEY = Uint8Array.of(0);

export interface ReadGateDeps extends TxnDeps {
  readonly maxTs: MaxTs;
  readonly safeTs: SafeTsSource;
}

/** From where a request reads. */
export function readPointOf(ctx: TxnContext, ts: bigint): ReadPoint {
  return {
    ts,
    isolation: ctx.isolation,
    bypassLocks: ctx.resolvedLocks,
    accessLocks: ctx.committedLocks,
    isReplicaRead: ctx.replicaRead,
  };
}

export class ReadGate {
  constructor(private readonly deps: ReadGateDeps) {}

  /**
   * Raises max_ts, then returns what `next` does. A promise for reads ahead of PD's clock only, and
   * where `next` returns one.
   */
  raised<T>(
    ctx: TxnContext,
    ts: bigint,
    next: () => TxnReply<T> | Promise<TxnReply<T>>,
  ): TxnReply<T> | Promise<TxnReply<T>> {
    if (ctx.staleRead) return next();
    const asking = this.deps.maxTs.raise(ts);
    if (asking === undefined) return next();
    return asking.then((refused) => refused ?? next());
  }

  /** Returns the first memory lock of the place that blocks the read. max_ts was raised. */
  blocked(
    { ctx, tag }: Pick<ReadRun, "ctx" | "tag">,
    point: ReadPoint,
    place: ReadPlace,
  ): TxnFailure | undefined {
    if (ctx.staleRead || point.isolation === "rc") return undefined;
    const { clock, txnMetrics } = this.deps;
    const startedMs = clock.monotonicMs();
    const error = memoryConflict(this.deps, point, place);
    txnMetrics.onMemoryCheck(tag, clock.monotonicMs() - startedMs, error !== undefined);
    return error === undefined ? undefined : txnFailure(error, ctx.regionId);
  }

  /** Calls `use` with a snapshot that it closes, at a moment when the read may take it. */
  open<T>(ctx: TxnContext, ts: bigint, place: ReadPlace, reader: SnapshotReader<T>): ReadReply<T> {
    const { kv } = this.deps;
    const read = (peer: ReadDelegate): Reply<T> => {
      const refused = reader.outside(peer) ?? this.notSafe(ctx, ts, peer);
      if (refused !== undefined) return refused;
      const snapshot = kv.snapshot(peer);
      const late = this.notSafe(ctx, ts, peer);
      if (late === undefined) return reader.use(snapshot);
      snapshot.close();
      return late;
    };
    if (!ctx.replicaRead || ctx.staleRead || ctx.isolation === "rc") return kv.read(ctx, read);
    const asked = { ts, ranges: rangesOf(place) };
    return kv.read(ctx, read, { asked, onBlocked: reader.onBlocked });
  }

  private notSafe({ staleRead }: TxnContext, ts: bigint, peer: ReadDelegate): Failure | undefined {
    if (!staleRead) return undefined;
    const { region, peerId } = peer;
    const safeTs = this.deps.safeTs.safeTs(peer);
    if (ts <= safeTs) return undefined;
    return regionFailure({
      kind: "dataIsNotReady",
      message: `peer ${peerId} is not ready, safe_ts ${safeTs}, region ${region.id}`,
      regionId: region.id,
      peerId,
      safeTs,
    });
  }
}

/** Returns the first memory lock that blocks a read. */
export function memoryConflict(
  { concurrencyManager }: Pick<TxnDeps, "concurrencyManager">,
  point: ReadPoint,
  place: ReadPlace,
): ReadError | undefined {
  if (concurrencyManager.size === 0) return undefined;
  if ("keys" in place) {
    for (const key of place.keys) {
      const checked = concurrencyManager.readKeyCheck(key, (lock) =>
        lockConflict(key, lock, point),
      );
      if (!checked.ok) return checked.error;
    }
    return undefined;
  }
  const checked = concurrencyManager.readRangeCheck(place.start, place.end, (key, lock) =>
    lockConflict(key, lock, point),
  );
  return checked.ok ? undefined : checked.error;
}

/** Checks what needs neither context nor data. */
export function refuseRead(
  { options }: TxnDeps,
  command: string,
  { apiVersion }: TxnContext,
  keys: Iterable<Uint8Array>,
): TxnFailure | undefined {
  return checkTxnVersion({ storage: options.apiVersion, request: apiVersion, command }, keys);
}

/** As `refuseRead`, for a read of `[start, end)`. */
export function refuseRange(
  { options }: TxnDeps,
  command: string,
  { apiVersion }: TxnContext,
  start: Uint8Array,
  end: Uint8Array,
): TxnFailure | undefined {
  return checkTxnRange({ storage: options.apiVersion, request: apiVersion, command }, start, end);
}

/** Unwraps the reply of a read whose own answer is a TxnReply. */
export function unwrap<T>(reply: ReadReply<TxnReply<T>>): TxnReply<T> | Promise<TxnReply<T>> {
  return reply instanceof Promise ? reply.then(unwrapOne) : unwrapOne(reply);
}

/** As `unwrap`, for a reply that is there. */
export function unwrapOne<T>(reply: Reply<TxnReply<T>>): TxnReply<T> {
  return reply.ok ? reply.value : fromFailure(reply);
}

/** Wraps the answer of a read that reached its data. */
export function answered<T>(reply: TxnReply<T>): Reply<TxnReply<T>> {
  return ok(reply);
}
