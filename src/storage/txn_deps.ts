/** What the parts of transactional storage share, and snapshots on the leader. */
import { type Clock, type Logger, ok, type Timers } from "../base/index.js";
import type { OpenVersionScan } from "../mvcc/index.js";
import type { ReadDelegate, RegionRouter } from "../raftstore/index.js";
import type { ConcurrencyManager } from "../txn/index.js";
import { regionFailure } from "./errors.js";
import type { KvEngine, RegionSnapshot } from "./kv_engine.js";
import type { StorageMetrics } from "./metrics.js";
import type { StorageOptions } from "./options.js";
import { keysFailure } from "./raw_context.js";
import type { TxnMetrics } from "./txn_metrics.js";
import type { TxnContext } from "./txn_types.js";
import type { ReadReply } from "./types.js";

export interface TxnDeps {
  readonly options: StorageOptions;
  readonly kv: KvEngine;
  readonly router: RegionRouter;
  readonly clock: Clock;
  readonly timers: Timers;
  /** Calls back in a later turn of the event loop. */
  readonly nextTurn: (next: () => void) => void;
  readonly logger: Logger;
  readonly metrics: StorageMetrics;
  readonly txnMetrics: TxnMetrics;
  readonly concurrencyManager: ConcurrencyManager;
  readonly openScan: OpenVersionScan;
}

/** A snapshot of a region's leader, and the term in which it led when the request came. */
export interface LeaderSnapshot {
  readonly peer: ReadDelegate;
  readonly term: bigint;
  readonly snapshot: RegionSnapshot;
}

/**
 * Checks context and keys and takes a snapshot on the leader, for a command that may write: what it
 * writes with this term is refused if anybody else has led since the snapshot.
 */
export function openOnLeader(
  kv: KvEngine,
  ctx: TxnContext,
  keys: readonly Uint8Array[],
): ReadReply<LeaderSnapshot> {
  const found = kv.check(ctx);
  if (!found.ok) return found;
  const { term } = found.value;
  const header =
    ctx.replicaRead || ctx.staleRead ? { ...ctx, replicaRead: false, staleRead: false } : ctx;
  return kv.read(header, (peer) => {
    // It waited for the log, and leadership moved: what others have written may not be applied yet.
    if (peer.term !== term || !peer.isLeader) {
      return regionFailure({ kind: "staleCommand", message: "stale command" });
    }
    const outside = keysFailure(keys, peer);
    return outside ?? ok({ peer, term, snapshot: kv.snapshot(peer) });
  });
}

/** Deadline of requests that name none, ms: TiKV's DEFAULT_EXECUTION_DURATION_LIMIT. */
const DEFAULT_EXECUTION_MS = 24 * 3600 * 1000;

/** Returns the moment, by the monotonic clock, after which nobody waits for the answer. */
export function deadlineOf({ maxExecutionMs }: TxnContext, nowMs: number): number {
  return nowMs + (maxExecutionMs > 0 ? maxExecutionMs : DEFAULT_EXECUTION_MS);
}
