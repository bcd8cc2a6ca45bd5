/** Who leads a region once its peers have changed. PURE. Source: pd builder.go allowLeader. */
import { isRemoving, type RegionInfo, storePeer } from "../core/index.js";
import type { TargetPeer } from "./builder.js";
import { type FilterContext, leaderTarget } from "./filters.js";
import type { StepPeer } from "./steps.js";

/** Returns whether a store may lead: a voter to be, on a store that may take leaders. */
export function canLead(
  context: FilterContext,
  region: RegionInfo,
  target: readonly TargetPeer[],
  storeId: bigint,
): boolean {
  const role = target.find((peer) => peer.storeId === storeId)?.role;
  if (role !== "voter") return false;
  if (region.leader?.storeId === storeId) return true;
  const store = context.cluster.basic.getStore(storeId);
  if (store === undefined || leaderTarget(context, store) !== undefined) return false;
  const peer = storePeer(region.meta, storeId);
  return peer === undefined || !region.downPeers.some((down) => down.peer.id === peer.id);
}

/**
 * Returns the store that leads best: not one that leaves, the present leader, a peer that votes
 * already, the one with fewest leaders. Undefined if none can lead.
 */
export function pickLeader(
  context: FilterContext,
  region: RegionInfo,
  target: readonly TargetPeer[],
  promoted: readonly StepPeer[],
): bigint | undefined {
  const { basic } = context.cluster;
  const rank = (storeId: bigint): number[] => {
    const meta = basic.getStore(storeId)?.meta;
    return [
      meta === undefined || isRemoving(meta) ? 1 : 0,
      region.leader?.storeId === storeId ? 0 : 1,
      promoted.some((peer) => peer.storeId === storeId) ? 1 : 0,
      region.pendingPeers.some((peer) => peer.storeId === storeId) ? 1 : 0,
      basic.storeLoad(storeId).leaderCount,
    ];
  };
  const candidates = target
    .filter(({ storeId }) => canLead(context, region, target, storeId))
    .map(({ storeId }) => ({ storeId, rank: rank(storeId) }))
    .sort((a, b) => compareRanks(a.rank, b.rank) || (a.storeId < b.storeId ? -1 : 1));
  return candidates[0]?.storeId;
}

function compareRanks(a: readonly number[], b: readonly number[]): number {
  for (const [at, value] of a.entries()) {
    const other = b[at] as number;
    if (value !== other) return value - other;
  }
  return 0;
}
