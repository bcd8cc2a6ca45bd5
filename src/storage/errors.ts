/** Constructors of storage errors, with TiKV's texts. */
import { err } from "../base/index.js";
import type { RegionError } from "../raftstore/index.js";
import type { StorageError } from "./types.js";

export type Failure = { readonly ok: false; readonly error: StorageError };

/** Returns a failure that the client sees in the `error` field. */
export function keyFailure(message: string): Failure {
  return err({ type: "key", message });
}

/** Returns a failure that the client sees in the `region_error` field. */
export function regionFailure(error: RegionError): Failure {
  return err({ type: "region", error });
}

/** Too many bytes of writes, or too many reads, are under way. TiKV sends no message with it. */
export function busyFailure(reason = "scheduler is busy"): Failure {
  return regionFailure({ kind: "serverIsBusy", message: "", reason, backoffMs: 0 });
}

/** The store is stopping; clients retry elsewhere or later. */
export function closingFailure(): Failure {
  return regionFailure({ kind: "other", message: "TiKV is Closing" });
}

/** One command is larger than a raft entry may be; clients give up on it. */
export function entryTooLargeFailure(regionId: bigint, entrySize: number): Failure {
  const message = `raft entry is too large, region ${regionId}, entry size ${entrySize}`;
  return regionFailure({ kind: "raftEntryTooLarge", message, regionId, entrySize });
}

/** The disk's reserve is reached. */
export function diskFullFailure(storeId: bigint): Failure {
  const reason =
    "propose failed: tikv disk full, cmd diskFullOpt=AllowedOnAlmostFull, " +
    "leader diskUsage=AlreadyFull";
  const message = `store ids [${storeId}], errmsg ${reason}`;
  return regionFailure({ kind: "diskFull", message, storeIds: [storeId], reason });
}
