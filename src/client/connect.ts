/** What a client consists of, and how it comes to be: PD first, then the keyspace, then the rest. */
import { setMaxListeners } from "node:events";
import { PdClient, type PdReply } from "../pd_client/index.js";
import { Backoffer } from "./backoff.js";
import { ClientError, invalidArgument } from "./errors.js";
import { type KeyMode, keyModeOf } from "./key_mode.js";
import type { RawClientOptions } from "./options.js";
import type { OperationOptions } from "./rawkv_types.js";
import { REAL_TIME } from "./real_time.js";
import { onPdFailure, RegionLocator } from "./region_locator.js";
import { RegionSender } from "./region_request.js";
import { RpcPool } from "./rpc_pool.js";
import { StoreCache } from "./store_cache.js";

export interface ClientParts {
  readonly pd: PdClient;
  readonly mode: KeyMode;
  readonly locator: RegionLocator;
  readonly sender: RegionSender;
  readonly pool: RpcPool;
}

/** Returns the retries of one operation; `closing` fires when the client is closed. */
export function newBackoffer(
  options: RawClientOptions,
  operation: OperationOptions = {},
  closing?: AbortSignal,
): Backoffer {
  const timeoutMs = operation.timeoutMs ?? options.timeoutMs;
  const { signal } = operation;
  // One signal may end thousands of operations, which is no leak.
  if (signal !== undefined) setMaxListeners(0, signal);
  return new Backoffer({ budgetMs: options.retryBudgetMs, timeoutMs, signal, closing }, REAL_TIME);
}

async function untilAnswered<T>(op: Backoffer, ask: () => Promise<PdReply<T>>): Promise<T> {
  for (;;) {
    const reply = await ask();
    if (reply.ok) return reply.value;
    await onPdFailure(op, reply.error);
  }
}

/** Connects to PD. Throws PdUnavailable, PdRefused, InvalidArgument; nothing is open then. */
export async function connectParts(options: RawClientOptions): Promise<ClientParts> {
  const { apiVersion, keyspace, log, pdEndpoints, requestTimeoutMs } = options;
  if (pdEndpoints.length === 0) throw invalidArgument("pdEndpoints is empty");
  const pd = new PdClient({ endpoints: pdEndpoints, log });
  try {
    const op = newBackoffer(options);
    const clusterId = await untilAnswered(op, () => pd.clusterId());
    let keyspaceId = 0;
    if (apiVersion === "V2") {
      const meta = await untilAnswered(op, () => pd.loadKeyspace(keyspace));
      if (!meta.enabled) {
        throw new ClientError("RUTILE:Client:PdRefused", `keyspace "${keyspace}" is not enabled`);
      }
      keyspaceId = meta.id;
    }
    const mode = keyModeOf(apiVersion, keyspaceId);
    const locator = new RegionLocator(pd, mode, options);
    const pool = new RpcPool(options);
    const stores = new StoreCache(pd);
    const sender = new RegionSender({ locator, stores, pool, mode, clusterId, requestTimeoutMs });
    return { pd, mode, locator, sender, pool };
  } catch (error) {
    pd.close();
    throw error;
  }
}
