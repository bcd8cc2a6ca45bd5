/** One log line for a command that took long, with what it cost. */
import { type Logger, redact } from "../base/index.js";
import type { MvccCf, Statistics } from "../mvcc/index.js";
import type { StorageOptions } from "./options.js";
import type { ExecDetails, TxnContext } from "./txn_types.js";

/** A command or read that has ended. */
export interface SlowCandidate {
  readonly ctx: TxnContext;
  readonly command: { readonly tag: string };
  readonly keys: ArrayLike<Uint8Array>;
  readonly details: ExecDetails;
}

const millis = (ms: number): number => Math.round(ms * 100) / 100;

/** Logs a command that took `slow-log-threshold` or longer. */
export function logIfSlow(
  { logger, options }: { readonly logger: Logger; readonly options: StorageOptions },
  { ctx, command, keys, details }: SlowCandidate,
  totalMs: number,
): void {
  if (totalMs < options.txn.slowLogThresholdMs) return;
  const { statistics } = details;
  const first = keys[0];
  logger.warn("slow command", {
    command: command.tag,
    region_id: ctx.regionId,
    keys: keys.length,
    first_key: first === undefined ? "" : redact(first),
    total_ms: millis(totalMs),
    latch_wait_ms: millis(details.latchWaitMs),
    snapshot_wait_ms: millis(details.waitMs),
    process_ms: millis(details.processMs),
    write_ms: millis(details.writeMs),
    lock_wait_ms: millis(details.lockWaitMs),
    total_versions: statistics.totalVersions,
    processed_versions: statistics.write.processedKeys,
    processed_bytes: statistics.processedSize,
    lock_scan: scanOf(statistics, "lock"),
    write_scan: scanOf(statistics, "write"),
    default_scan: scanOf(statistics, "default"),
  });
}

/** "get 1 next 3 seek 1": what was done in a column family, without what was not. */
function scanOf(statistics: Statistics, cf: MvccCf): string {
  const { get, next, prev, seek, seekForPrev } = statistics.of(cf);
  const done = { get, next, prev, seek, seek_for_prev: seekForPrev };
  return Object.entries(done)
    .filter(([, count]) => count > 0)
    .map(([what, count]) => `${what} ${count}`)
    .join(" ");
}
