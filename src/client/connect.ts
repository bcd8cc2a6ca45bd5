/** What a client consists of, and how it comes to be: PD first, then the keyspace, then the rest. */
import { setMaxListeners } from "node:events";
import { PdClient, type PdReply } from "../pd_client/index.js";
import { Backoffer } from "./backoff.js";
import { ClientError, invalidArgument } from "./errors.js";
import { type KeyMode, keyModeOf } from "./key_mode.js";
import type { ClientOptions } from "./options.js";
import type { ClientPd, ClientTime, StoreRpc } from "./ports.js";
import { REAL_TIME } from "./real_time.js";
import { onPdFailure, RegionLocator } from "./region_locator.js";
import { RegionSender } from "./region_request.js";
import { RpcPool } from "./rpc_pool.js";
import { StoreCache } from "./store_cache.js";
import type { OperationOptions } from "./types.js";

/** The world as a client sees it once PD has told what it belongs to. */
export interface ClientPorts {
  readonly pd: ClientPd;
  readonly rpc: StoreRpc;
  readonly time: ClientTime;
  readonly mode: KeyMode;
  readonly clusterId: bigint;
}

export interface ClientParts extends ClientPorts {
  readonly locator: RegionLocator;
  readonly sender: RegionSender;
}

/** Returns the retries of one operation; `closing` fires when the client is closed. */
export function newBackoffer(
  options: Pick<ClientOptions, "timeoutMs" | "retryBudgetMs">,
  time: ClientTime,
  operation: OperationOptions = {},
  closing?: AbortSignal,
): Backoffer {
  const timeoutMs = operation.timeoutMs ?? options.timeoutMs;
  const { signal } = operation;
  // One signal may end thousands of operations, which is no leak.
  if (signal !== undefined) setMaxListeners(0, signal);
  return new Backoffer({ budgetMs: options.retryBudgetMs, timeoutMs, signal, closing }, time);
}

/** Asks PD until it answers; throws what onPdFailure throws. */
export async function untilAnswered<T>(op: Backoffer, ask: () => Promise<PdReply<T>>): Promise<T> {
  for (;;) {
    const reply = await ask();
    if (reply.ok) return reply.value;
    op.check();
    await onPdFailure(op, reply.error);
  }
}

/** Puts a client together. */
export function assembleParts(
  ports: ClientPorts,
  options: Pick<ClientOptions, "regionCacheMax" | "regionTtlMs" | "requestTimeoutMs">,
): ClientParts {
  const { clusterId, mode, pd, rpc, time } = ports;
  const { requestTimeoutMs } = options;
  const locator = new RegionLocator(pd, mode, options, () => time.nowMs());
  const stores = new StoreCache(pd);
  const sender = new RegionSender({ locator, stores, rpc, mode, clusterId, requestTimeoutMs });
  return { ...ports, locator, sender };
}

/**
 * Connects to PD. Throws PdUnavailable, PdRefused, InvalidArgument; nothing is open then. `kind` says
 * whose keys are meant.
 */
export async function connectParts(
  options: ClientOptions,
  kind: "raw" | "txn",
): Promise<ClientParts & { readonly pd: PdClient }> {
  const { apiVersion, keyspace, log, pdEndpoints } = options;
  if (pdEndpoints.length === 0) throw invalidArgument("pdEndpoints is empty");
  const pd = new PdClient({ endpoints: pdEndpoints, log });
  try {
    const op = newBackoffer(options, REAL_TIME);
    const clusterId = await untilAnswered(op, () => pd.clusterId());
    let keyspaceId = 0;
    if (apiVersion === "V2") {
      const meta = await untilAnswered(op, () => pd.loadKeyspace(keyspace));
      if (!meta.enabled) {
        throw new ClientError("RUTILE:Client:PdRefused", `keyspace "${keyspace}" is not enabled`);
      }
      keyspaceId = meta.id;
    }
    const mode = keyModeOf(apiVersion, kind, keyspaceId);
    const rpc = new RpcPool(options);
    return { ...assembleParts({ pd, rpc, time: REAL_TIME, mode, clusterId }, options), pd };
  } catch (error) {
    pd.close();
    throw error;
  }
}
