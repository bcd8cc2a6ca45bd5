/** Splits and scatters that clients ask for: starts operators, waits for splits to show. */
import { setTimeout as delay } from "node:timers/promises";
import type { RaftCluster } from "./cluster.js";

/** Looks between two steps of waiting, milliseconds: first and longest. Source: pd splitter. */
const WAIT_FIRST_MS = 20;
const WAIT_MAX_MS = 1000;
/** Looks without a limit of the request. Source: pd defaultRetryLimit, watchInterval. */
const RETRY_LIMIT = 10;
const RETRY_LIMIT_MAX = 100;

export interface SplitResult {
  /** Share of the keys that are region boundaries now, 0 to 100. */
  readonly percentage: number;
  /** Regions that start at one of the keys. */
  readonly regionIds: readonly bigint[];
}

/** Splits at `keys`, waiting for it as often as `retryLimit` says (0 = 10 times). */
export async function splitRegions(
  cluster: RaftCluster,
  keys: readonly Uint8Array[],
  retryLimit: number,
): Promise<SplitResult> {
  const { splitter } = cluster.coordinator;
  const tries = Math.min(RETRY_LIMIT_MAX, Number(retryLimit) || RETRY_LIMIT);
  let waitMs = WAIT_FIRST_MS;
  for (let tried = 0; splitter.found(keys).length < keys.length && tried < tries; tried++) {
    splitter.split(keys);
    await delay(waitMs);
    waitMs = Math.min(WAIT_MAX_MS, waitMs * 2);
  }
  const found = splitter.found(keys);
  const percentage = keys.length === 0 ? 100 : Math.floor((found.length * 100) / keys.length);
  return { percentage, regionIds: [...new Set(found)] };
}

export interface ScatterResult {
  /** Share of the regions that are placed or on their way, 0 to 100. */
  readonly percentage: number;
  readonly failedIds: readonly bigint[];
  /** Why, in the order of failedIds. */
  readonly failures: readonly string[];
}

/** Scatters regions of one group. */
export function scatterRegions(
  cluster: RaftCluster,
  ids: readonly bigint[],
  group: string,
): ScatterResult {
  const failedIds: bigint[] = [];
  const failures: string[] = [];
  for (const id of ids) {
    const region = cluster.basic.getRegion(id);
    const outcome =
      region === undefined
        ? { ok: false as const, reason: `region ${id} not found` }
        : cluster.coordinator.scatterer.scatter(region, group);
    if (outcome.ok) continue;
    failedIds.push(id);
    failures.push(outcome.reason);
  }
  const done = ids.length - failedIds.length;
  const percentage = ids.length === 0 ? 100 : Math.floor((done * 100) / ids.length);
  return { percentage, failedIds, failures };
}
