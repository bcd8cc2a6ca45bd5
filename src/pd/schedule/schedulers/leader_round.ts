/** One round of balance-leader: which stores take part, and which regions may be touched. PURE. */
import { PEER_ROLE, type RegionInfo, type StoreInfo } from "../../core/index.js";
import { isIdle, SAMPLE_REGIONS, type ScheduleContext } from "./scheduler.js";

/** The state of one round. */
export interface LeaderRound {
  readonly context: ScheduleContext;
  readonly sources: readonly StoreInfo[];
  readonly targets: ReadonlyMap<bigint, StoreInfo>;
  readonly tolerance: number;
  /** Regions that this round moves already. */
  readonly used: Set<bigint>;
  /** Leaders of a store with what is under way and planned. */
  score(storeId: bigint): number;
}

/** Returns the stores that could lead `region` instead, fewest leaders first. */
export function followersOf(round: LeaderRound, region: RegionInfo): bigint[] {
  return region.meta.peers
    .filter((peer) => peer.role === PEER_ROLE.voter && peer.id !== region.leader?.id)
    .map((peer) => peer.storeId)
    .filter((storeId) => round.targets.has(storeId))
    .sort((a, b) => round.score(a) - round.score(b) || (a < b ? -1 : 1));
}

/** Returns regions of a store in a role that may be touched in this round. */
export function idleRegions(
  round: LeaderRound,
  storeId: bigint,
  role: "leader" | "follower",
  count = SAMPLE_REGIONS,
): RegionInfo[] {
  const { cluster } = round.context;
  return cluster.basic
    .sampleRegions(storeId, role, cluster.prng, count)
    .filter((region) => !round.used.has(region.meta.id) && isIdle(round.context, region));
}
