/** Constructors of storage errors, with TiKV's texts. */
import { err } from "../base/index.js";
import type { ReadDelegate, RegionError } from "../raftstore/index.js";
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

/** Returns why a message did not reach its peer: its mailbox is full, or it is not here. */
export function undelivered(why: "full" | "closed" | "notFound", regionId: bigint): RegionError {
  if (why === "full") {
    return { kind: "serverIsBusy", message: "", reason: "raftstore is busy", backoffMs: 0 };
  }
  return { kind: "regionNotFound", message: `region ${regionId} not found`, regionId };
}

/** A replica whose data is not whole cannot answer a stale read; clients then ask the leader. */
export function dataIsNotReadyFailure({ region, peerId }: ReadDelegate): Failure {
  return regionFailure({
    kind: "dataIsNotReady",
    message: `peer ${peerId} is not ready, safe_ts 0, region ${region.id}`,
    regionId: region.id,
    peerId,
    safeTs: 0n,
  });
}
