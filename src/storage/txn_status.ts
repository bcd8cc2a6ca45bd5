/**
 * What transactions on this store are doing, as JSON for people: GET /txn of the status server, and
 * `rutile ctl txn`. Timestamps are strings, since JSON's numbers do not hold them; keys are hex, or
 * "?" where they are redacted.
 */
import { redact } from "../base/index.js";
import type { ResolvedTsView } from "./resolved_ts/metrics.js";
import type { TxnGauges } from "./txn_metrics.js";
import type { Running } from "./txn_tasks.js";
import type { LockWait } from "./txn_types.js";

/** Commands and lock waits that are listed, the oldest of each; all are counted. */
export const COMMANDS_SHOWN = 64;
const WAITS_SHOWN = 256;

/** What the parts of storage tell. */
export interface TxnStatusSources {
  readonly gauges: TxnGauges;
  /** By the monotonic clock, ms. */
  readonly nowMs: number;
  readonly oldestCommands: readonly Running[];
  readonly latches: { readonly held: number; readonly waiting: number };
  readonly lockWaits: readonly LockWait[];
  readonly detector: {
    readonly role: string;
    readonly edges: number;
    readonly metrics: { readonly deadlocks: number };
  };
  readonly pessimisticLocks: { readonly count: number; readonly bytes: number };
  /** undefined without GC. */
  readonly gcSafePoint: bigint | undefined;
  readonly resolvedTs: ResolvedTsView;
}

/** Returns the answer. */
export function txnStatus(from: TxnStatusSources): object {
  const { detector, gauges, lockWaits, resolvedTs } = from;
  const { memory, memoryLocks, pessimisticLocks, runningCommands } = gauges;
  return {
    commands: {
      running: runningCommands,
      memory_bytes: memory.usedBytes,
      memory_quota_bytes: memory.maxBytes,
      oldest: from.oldestCommands.map(({ command, ctx, keys, startedMs }) => ({
        command: command.tag,
        region_id: Number(ctx.regionId),
        keys: keys.length,
        first_key: keys[0] === undefined ? null : redact(keys[0]),
        age_ms: Math.round(from.nowMs - startedMs),
      })),
    },
    latches: from.latches,
    lock_waits_total: lockWaits.length,
    lock_waits: lockWaits.slice(0, WAITS_SHOWN).map(({ key, txn, waitForTxn, waitMs }) => ({
      txn: txn.toString(),
      wait_for_txn: waitForTxn.toString(),
      key: redact(key),
      wait_ms: Math.round(waitMs),
    })),
    deadlocks: { role: detector.role, edges: detector.edges, found: detector.metrics.deadlocks },
    prewrites_in_memory: { count: memoryLocks.count, min_ts: textOf(memoryLocks.minTs) },
    pessimistic_locks_in_memory: { ...from.pessimisticLocks, ...pessimisticLocks },
    max_ts: gauges.maxTs.toString(),
    max_ts_limit: textOf(gauges.maxTsLimit),
    gc: { safe_point: textOf(from.gcSafePoint) },
    resolved_ts: {
      min: textOf(resolvedTs.all?.ts),
      min_region: resolvedTs.all?.regionId ?? null,
      regions: resolvedTs.resolved,
      regions_without: resolvedTs.unresolved,
    },
  };
}

const textOf = (ts: bigint | undefined): string | null => ts?.toString() ?? null;
