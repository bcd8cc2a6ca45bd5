/**
 * What a client needs from the world. The real ones are a PdClient, an RpcPool and REAL_TIME; a
 * simulator brings its own and runs the client as it is.
 */
import type { Timers } from "../base/index.js";
import type { PdClient } from "../pd_client/index.js";
import type { BackoffDeps } from "./backoff.js";
import type { SendReply } from "./batch_conn.js";
import type { CommandName } from "./commands.js";

/** Regions, stores and timestamps. */
export type ClientPd = Pick<
  PdClient,
  "getRegion" | "getPrevRegion" | "getStore" | "getTimestamps" | "close"
>;

/** Requests to stores. */
export interface StoreRpc {
  /** Sends a request whose context is set to the store at host:port; never rejects. */
  send(
    address: string,
    command: CommandName,
    request: object,
    timeoutMs: number,
    signal?: AbortSignal,
  ): Promise<SendReply>;
  /** Closes all connections; what waits fails. */
  close(): void;
}

/** Monotonic time, waiting and chance. */
export interface ClientTime extends BackoffDeps, Timers {}
