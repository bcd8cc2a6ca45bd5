/**
 * What each store holds, by the regions known: which it leads, follows, learns, and their sizes.
 * Kept up to date region by region, so that schedulers need no scan. PURE.
 */
import type { Prng } from "../../base/index.js";
import { IdSet } from "./id_set.js";
import { isLearner, isPending } from "./peers.js";
import type { RegionInfo } from "./region_info.js";

/** What a store holds. Sizes in MiB. */
export interface StoreLoad {
  readonly leaderCount: number;
  readonly regionCount: number;
  readonly learnerCount: number;
  /** Peers that their leader reports as lagging. */
  readonly pendingCount: number;
  readonly leaderSizeMiB: number;
  readonly regionSizeMiB: number;
  /** As regionSizeMiB with at least 1 a region: empty regions are worth balancing too. */
  readonly balanceSizeMiB: number;
}

/** Which regions of a store to pick from. */
export type RegionRole = "leader" | "follower" | "learner" | "pending";

interface StoreRegions {
  readonly leader: IdSet;
  readonly follower: IdSet;
  readonly learner: IdSet;
  readonly pending: IdSet;
  leaderSizeMiB: number;
  regionSizeMiB: number;
  balanceSizeMiB: number;
}

/** Returns the size by which a region is balanced: MiB, at least 1. */
export function balanceSize(region: RegionInfo): number {
  return Math.max(1, Number(region.stats.approximateSizeMiB));
}

function emptyRegions(): StoreRegions {
  const [leader, follower, learner, pending] = [new IdSet(), new IdSet(), new IdSet(), new IdSet()];
  const sizes = { leaderSizeMiB: 0, regionSizeMiB: 0, balanceSizeMiB: 0 };
  return { leader, follower, learner, pending, ...sizes };
}

export class RegionsByStore {
  private readonly stores = new Map<bigint, StoreRegions>();

  /** Takes what `region` puts on its stores. */
  add(region: RegionInfo): void {
    const id = region.meta.id;
    for (const peer of region.meta.peers) {
      const held = this.of(peer.storeId);
      const leads = region.leader?.id === peer.id;
      held[leads ? "leader" : isLearner(peer) ? "learner" : "follower"].add(id);
      if (isPending(region, peer.id)) held.pending.add(id);
      this.size(held, region, leads, 1);
    }
  }

  /** Takes back what `add` of the same value did. */
  remove(region: RegionInfo): void {
    const id = region.meta.id;
    for (const peer of region.meta.peers) {
      const held = this.of(peer.storeId);
      for (const role of ["leader", "follower", "learner", "pending"] as const)
        held[role].delete(id);
      this.size(held, region, region.leader?.id === peer.id, -1);
    }
  }

  load(storeId: bigint): StoreLoad {
    const held = this.stores.get(storeId) ?? emptyRegions();
    return {
      leaderCount: held.leader.size,
      regionCount: held.leader.size + held.follower.size + held.learner.size,
      learnerCount: held.learner.size,
      pendingCount: held.pending.size,
      leaderSizeMiB: held.leaderSizeMiB,
      regionSizeMiB: held.regionSizeMiB,
      balanceSizeMiB: held.balanceSizeMiB,
    };
  }

  /** Returns up to `count` different regions of a store, from a random place on. */
  sample(storeId: bigint, role: RegionRole, prng: Prng, count: number): bigint[] {
    return this.stores.get(storeId)?.[role].sample(prng, count) ?? [];
  }

  private of(storeId: bigint): StoreRegions {
    let held = this.stores.get(storeId);
    if (held === undefined) {
      held = emptyRegions();
      this.stores.set(storeId, held);
    }
    return held;
  }

  private size(held: StoreRegions, region: RegionInfo, leads: boolean, sign: 1 | -1): void {
    const sizeMiB = Number(region.stats.approximateSizeMiB) * sign;
    held.regionSizeMiB += sizeMiB;
    held.balanceSizeMiB += balanceSize(region) * sign;
    if (leads) held.leaderSizeMiB += sizeMiB;
  }
}
