/** What the raw commands share: the format of the data, the engine, the clock, the counters. */
import type { Clock } from "../base/index.js";
import { checkKeysInRegion, type ReadDelegate } from "../raftstore/index.js";
import {
  checkApiVersion,
  checkApiVersionRanges,
  type RawCommand,
  type RawFormat,
  type UserRange,
} from "../raw/index.js";
import { type Failure, keyFailure, regionFailure } from "./errors.js";
import type { KvEngine } from "./kv_engine.js";
import type { StorageMetrics } from "./metrics.js";
import type { StorageOptions } from "./options.js";
import type { RequestContext } from "./types.js";

export interface RawDeps {
  readonly format: RawFormat;
  readonly options: StorageOptions;
  readonly kv: KvEngine;
  readonly clock: Clock;
  readonly metrics: StorageMetrics;
}

/** Seconds since the epoch by the wall clock: TTLs are compared with it, as in TiKV. */
export function nowSeconds(clock: Clock): number {
  return Math.floor(clock.nowMs() / 1000);
}

/** Checks API version and key mode; these come before everything else. */
export function versionFailure(
  deps: RawDeps,
  ctx: RequestContext,
  command: RawCommand,
  keys: readonly Uint8Array[],
): Failure | undefined {
  const check = { storage: deps.options.apiVersion, request: ctx.apiVersion, command };
  const text = checkApiVersion(check, keys);
  return text === undefined ? undefined : keyFailure(text);
}

/** As `versionFailure`, for commands on ranges. */
export function rangeVersionFailure(
  deps: RawDeps,
  ctx: RequestContext,
  command: RawCommand,
  ranges: readonly UserRange[],
): Failure | undefined {
  const check = { storage: deps.options.apiVersion, request: ctx.apiVersion, command };
  const text = checkApiVersionRanges(check, ranges);
  return text === undefined ? undefined : keyFailure(text);
}

/** Checks that encoded keys lie in the peer's region. */
export function keysFailure(keys: readonly Uint8Array[], peer: ReadDelegate): Failure | undefined {
  const outside = checkKeysInRegion(keys, peer.region);
  return outside === undefined ? undefined : regionFailure(outside);
}
