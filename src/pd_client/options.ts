/** What a PdClient can be told, with defaults. Source of the defaults: pd client/opt/option.go. */
import { type Logger, NULL_LOGGER } from "../base/index.js";

export interface PdClientOptions {
  /** "host:port" or "http://host:port"; at least one. */
  readonly endpoints: readonly string[];
  /** Longest time for one call, leader discovery included, ms. */
  readonly requestTimeoutMs: number;
  /** Longest time for one GetMembers call, ms. */
  readonly memberTimeoutMs: number;
  /** How often the list of members is read again, ms; it also is after failures. */
  readonly memberRefreshMs: number;
  /** Callers that may wait for a timestamp at once; more are refused. */
  readonly tsoWaitersMax: number;
  /** Unsent region heartbeats that the stream may buffer; more are refused. */
  readonly regionHeartbeatsMax: number;
  readonly log: Logger;
}

export const PD_CLIENT_DEFAULTS: Omit<PdClientOptions, "endpoints"> = {
  requestTimeoutMs: 3000,
  memberTimeoutMs: 1000,
  memberRefreshMs: 60_000,
  tsoWaitersMax: 65_536,
  regionHeartbeatsMax: 4096,
  log: NULL_LOGGER,
};

/** Returns `url` as host:port; undefined if it is no address of an unencrypted server. */
export function addressOf(url: string): string | undefined {
  const match = /^(?:http:\/\/)?([^\s/]+:\d+)\/?$/.exec(url.trim());
  return match?.[1];
}
