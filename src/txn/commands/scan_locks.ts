/** The read phase of commands that concern all locks of a region: one batch of keys at a time. */
import { EMPTY_BYTES, ok, type Result } from "../../base/index.js";
import type { Lock } from "../../codec/index.js";
import type { CommandState, ProcessContext } from "../command.js";
import type { TxnError } from "../errors.js";
import type { TxnCommandKind } from "../requests.js";
import { withReader } from "./with_reader.js";

/** Locks that one batch may concern, as TiKV's RESOLVE_LOCK_BATCH_SIZE. */
export const LOCK_BATCH_SIZE = 256;
/** Locks that are looked at for one batch, so that a region of many does not hold up the rest. */
export const LOCK_SCAN_MAX = 1024;

/**
 * Returns the state with the keys of the next batch, from its `resumeKey` on; locks in memory are
 * among them. `resumeKey` of the result: there may be more. undefined = there is none.
 */
export function scanLockedKeys<K extends TxnCommandKind>(
  { request, resumeKey }: CommandState<K>,
  context: Pick<ProcessContext, "snapshot" | "statistics">,
  filter: (lock: Lock) => boolean,
): Result<CommandState<K> | undefined, TxnError> {
  return withReader(context, (reader) => {
    const start = resumeKey ?? EMPTY_BYTES;
    const found = reader.scanLocks(
      start,
      EMPTY_BYTES,
      (_, lock) => filter(lock),
      LOCK_BATCH_SIZE,
      LOCK_SCAN_MAX,
    );
    const scannedKeys = found.locks.map(({ key }) => key);
    if (found.hasRemaining) return ok({ request, scannedKeys, resumeKey: found.nextKey });
    return ok(scannedKeys.length > 0 ? { request, scannedKeys } : undefined);
  });
}
