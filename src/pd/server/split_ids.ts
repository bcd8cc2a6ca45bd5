/**
 * Ids for regions that split: what is asked must not be older than what is known, and each new
 * region gets an id of its own and one for each peer. PURE.
 * Source: pd server/cluster/cluster_worker.go HandleAskBatchSplit, ValidRegion.
 */
import { EMPTY_BYTES, equalBytes } from "../../base/index.js";
import { type BasicCluster, type RegionMeta, regionText } from "../core/index.js";

/** Ids for one new region: its own and one for each peer, in the order of the peers. */
export interface SplitIds {
  readonly newRegionId: bigint;
  readonly newPeerIds: readonly bigint[];
}

/** New regions of one request; more are refused. */
const SPLIT_COUNT_MAX = 1024;

/** Returns why `region` gets no ids, or undefined. */
export function checkAskSplit(
  basic: BasicCluster,
  region: RegionMeta,
  count: number,
): string | undefined {
  if (count < 1 || count > SPLIT_COUNT_MAX) return `split count ${count} is not 1 to 1024`;
  if (region.peers.length === 0) return "missing region for split";
  const current = basic.tree.search(region.startKey);
  if (current === undefined) return `region ${region.id} not found, request region`;
  const { version, confVer } = current.meta;
  if (region.version < version || region.confVer < confVer) {
    return `invalid region epoch, request: ${regionText(region)}, current: ${regionText(current.meta)}`;
  }
  return undefined;
}

/** Returns `count` groups of ids that end with `last`; `peers` ids for peers each. */
export function splitIds(last: bigint, count: number, peers: number): SplitIds[] {
  let next = last - BigInt(count * (peers + 1)) + 1n;
  return Array.from({ length: count }, () => ({
    newRegionId: next++,
    newPeerIds: Array.from({ length: peers }, () => next++),
  }));
}

/** Returns what is wrong with regions that are said to come out of one split, in key order. */
export function checkReportSplit(regions: readonly RegionMeta[]): string | undefined {
  if (regions.length < 2) return "invalid split region: fewer than two";
  for (const [at, region] of regions.entries()) {
    const before = regions[at - 1];
    const meets =
      before?.endKey.length !== 0 && equalBytes(before?.endKey ?? EMPTY_BYTES, region.startKey);
    if (before !== undefined && !meets) {
      return "invalid split region: the ranges do not meet";
    }
    if (region.peers.length !== regions[0]?.peers.length) {
      return "invalid split region: the numbers of peers differ";
    }
  }
  return undefined;
}
