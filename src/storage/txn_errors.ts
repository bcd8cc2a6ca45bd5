/** Failures of transactional requests: from those of regions and from what commands answer. */
import type { RegionError } from "../raftstore/index.js";
import type { TxnError } from "../txn/index.js";
import type { Failure } from "./errors.js";
import type { TxnStorageError } from "./txn_types.js";

export type TxnFailure = { readonly ok: false; readonly error: TxnStorageError };

/** Returns a failure that the client sees in the `region_error` field. */
export function txnRegionFailure(error: RegionError): TxnFailure {
  return { ok: false, error: { type: "region", error } };
}

/** Returns what a command answers instead of a result, for a request to this region. */
export function txnFailure(error: TxnError, regionId: bigint): TxnFailure {
  if (error.kind === "maxTimestampNotSynced") {
    const message = `max timestamp not synced, region ${regionId}, start_ts ${error.startTs}`;
    return txnRegionFailure({ kind: "maxTimestampNotSynced", message, regionId });
  }
  return { ok: false, error: { type: "txn", error } };
}

/** Returns the answer of a read that cannot tell a value. */
export const failed = (error: TxnError): TxnFailure => ({
  ok: false,
  error: { type: "txn", error },
});

/** Returns a failure of a request that no client should send. */
export function invalidRequest(message: string): TxnFailure {
  return { ok: false, error: { type: "txn", error: { kind: "invalidRequest", message } } };
}

/** Returns the same failure for a transactional request. */
export function fromFailure({ error }: Failure): TxnFailure {
  return error.type === "region" ? txnRegionFailure(error.error) : invalidRequest(error.message);
}

/** The request took longer than its client waits. Clients know it by either text. */
export function deadlineFailure(): TxnFailure {
  const reason = "deadline is exceeded";
  return txnRegionFailure({
    kind: "serverIsBusy",
    message: "Deadline is exceeded",
    reason,
    backoffMs: 0,
  });
}

/** A timestamp too far ahead of PD's clock; a region error, since clients ask nobody else then. */
export function invalidMaxTsFailure(ts: bigint, limit: bigint): TxnFailure {
  const message = `invalid max_ts update: ${ts} exceeds the limit ${limit}`;
  return txnRegionFailure({ kind: "other", message });
}

/** Whether a reply says that the store has too much to do. */
export function isBusy(error: TxnStorageError): boolean {
  return error.type === "region" && error.error.kind === "serverIsBusy";
}
