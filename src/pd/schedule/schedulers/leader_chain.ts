/**
 * Finds how a store without leaders can get one when those that could spare one share no region
 * with it: a chain of stores, each following a region that the next one leads, up to a store that
 * leads two or more. The link at that far end goes first, so that no store on the way is left
 * without; the empty store's turn comes when its neighbour leads two. PURE.
 */
import type { RegionInfo } from "../../core/index.js";
import { followersOf, idleRegions, type LeaderRound } from "./leader_round.js";

/** Stores and regions of each that are looked at. */
const STORES_MAX = 64;
const REGIONS_MAX = 256;

export interface ChainLink {
  readonly region: RegionInfo;
  /** The store that shall lead it. */
  readonly to: bigint;
}

/** Returns the transfer at the rich end of a shortest chain to `storeId`; undefined: no chain. */
export function leaderChain(round: LeaderRound, storeId: bigint): ChainLink | undefined {
  const seen = new Set([storeId]);
  const queue = [storeId];
  for (let to = queue.shift(); to !== undefined && seen.size <= STORES_MAX; to = queue.shift()) {
    for (const region of idleRegions(round, to, "follower", REGIONS_MAX)) {
      const from = region.leader?.storeId;
      if (from === undefined || seen.has(from) || !followersOf(round, region).includes(to))
        continue;
      if (round.score(from) >= 2) return { region, to };
      seen.add(from);
      queue.push(from);
    }
  }
  return undefined;
}
