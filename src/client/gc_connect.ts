/** A client that does nothing but resolve locks for GC. */
import type { Logger } from "../base/index.js";
import { connectParts, newBackoffer } from "./connect.js";
import { GcLocks, type GcLocksResult, gcKeyRange } from "./gc_locks.js";
import { type ApiVersionName, CLIENT_DEFAULTS } from "./options.js";

export interface GcLockService {
  /** See GcLocks.resolve. */
  resolve(safePoint: bigint, now: bigint): Promise<GcLocksResult>;
  /** Ends what is under way; it rejects. */
  close(): void;
}

/**
 * Connects to a cluster whose stores have this API version; for V2 only the keyspace DEFAULT, which
 * is the only one. Throws ClientError when PD does not answer.
 */
export async function connectGcLocks(
  pdEndpoints: readonly string[],
  apiVersion: ApiVersionName,
  log: Logger,
): Promise<GcLockService> {
  const options = { ...CLIENT_DEFAULTS, pdEndpoints, apiVersion, log };
  const parts = await connectParts(options, "txn");
  const closing = new AbortController();
  const newOp = () => newBackoffer(options, parts.time, {}, closing.signal);
  const locks = new GcLocks({ ...parts, newOp, ...gcKeyRange(apiVersion === "V2") });
  return {
    resolve: (safePoint, now) => locks.resolve(safePoint, now),
    close: () => {
      closing.abort();
      parts.rpc.close();
      parts.pd.close();
    },
  };
}
