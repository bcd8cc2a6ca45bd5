/** A client that does nothing but resolve locks for GC. */
import type { Logger } from "../../base/index.js";
import { assembleParts, type ClientParts, type ClientPorts, connectParts } from "../connect.js";
import type { ApiVersionName } from "../options.js";
import { TxnContext } from "./context.js";
import { GcLocks, type GcLocksResult } from "./gc_locks.js";
import { LockResolver } from "./lock_resolver.js";
import { TXN_CLIENT_DEFAULTS, type TxnClientOptions } from "./options.js";

export interface GcLockService {
  /**
   * Resolves the locks of transactions that began at or before `safePoint`. Rejects with ClientError
   * when one cannot be resolved; see GcLocks.
   */
  resolve(safePoint: bigint): Promise<GcLocksResult>;
  /** Ends what is under way; it rejects. */
  close(): void;
}

/** Connects to a cluster whose stores have this API version. Throws when PD does not answer. */
export async function connectGcLocks(
  pdEndpoints: readonly string[],
  apiVersion: ApiVersionName,
  log: Logger,
): Promise<GcLockService> {
  const options = { ...TXN_CLIENT_DEFAULTS, pdEndpoints, apiVersion, log };
  return serviceOf(await connectParts(options, "txn"), options);
}

/** Returns the same on other ports than sockets, for tests and simulators. */
export function gcLocksOver(
  ports: ClientPorts,
  config: Partial<TxnClientOptions> = {},
): GcLockService {
  const options = { ...TXN_CLIENT_DEFAULTS, pdEndpoints: [], ...config };
  return serviceOf(assembleParts(ports, options), options);
}

function serviceOf(parts: ClientParts, options: TxnClientOptions): GcLockService {
  const closing = new AbortController();
  const context = new TxnContext(parts, options, closing.signal);
  const resolver = new LockResolver(context);
  return {
    resolve: (safePoint) => new GcLocks(context, resolver, safePoint).resolve(),
    close: () => {
      closing.abort();
      parts.rpc.close();
      parts.pd.close();
    },
  };
}
