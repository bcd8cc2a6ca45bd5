/**
 * Scatter: spreads the regions of a group over the stores, replicas and leaders each, whatever the
 * stores hold otherwise; for regions that were just split and will be loaded. PURE.
 * Source: pd pkg/schedule/scatter/region_scatterer.go.
 */
import {
  distinctScore,
  isHealthy,
  learners,
  type PeerMeta,
  type RegionInfo,
  type StoreInfo,
} from "../../core/index.js";
import type { Built } from "../builder.js";
import { moveRegionOperator } from "../create_operator.js";
import {
  breaksIsolation,
  type FilterContext,
  leaderTarget,
  regionTargetLasting,
} from "../filters.js";
import type { OperatorController } from "../operator_controller.js";

/** Groups remembered; the one unused for longest goes first. */
const GROUPS_MAX = 128;

/** What became of one region. `scheduled`: false when it is well placed already. */
export type ScatterOutcome =
  | { readonly ok: true; readonly scheduled: boolean }
  | { readonly ok: false; readonly reason: string };

interface Group {
  /** How many replicas and leaders of the group each store was given. */
  readonly peers: Map<bigint, number>;
  readonly leaders: Map<bigint, number>;
}

export class RegionScatterer {
  private readonly operators: OperatorController;
  private readonly groups = new Map<string, Group>();

  constructor(operators: OperatorController) {
    this.operators = operators;
  }

  /** Places one region of a group; "" is a group of its own. */
  scatter(region: RegionInfo, groupName: string): ScatterOutcome {
    const { context } = this.operators;
    const unfit = this.unfit(region);
    if (unfit !== undefined) return { ok: false, reason: unfit };
    const group = this.group(groupName);
    const chosen = choosePeers(context, region, group);
    const leader = chooseLeader(context, region, chosen, group);
    const built: Built = moveRegionOperator(context, region, chosen, leader, {
      desc: "scatter-region",
      kind: "admin",
    });
    const unchanged =
      leader === region.leader?.storeId &&
      region.meta.peers.every(({ storeId }) => chosen.includes(storeId));
    if (!unchanged && !built.ok) return { ok: false, reason: built.error };
    if (!unchanged && built.ok) {
      const refused = this.operators.add(built.value);
      if (refused !== undefined) return { ok: false, reason: refused };
    }
    for (const storeId of chosen) grow(group.peers, storeId);
    if (leader !== undefined) grow(group.leaders, leader);
    return { ok: true, scheduled: !unchanged };
  }

  private unfit(region: RegionInfo): string | undefined {
    const { id, peers } = region.meta;
    const { maxReplicas } = this.operators.context.cluster.config;
    if (region.leader === undefined) return `region ${id} has no leader`;
    if (learners(region.meta).length > 0 || peers.length !== maxReplicas) {
      return `region ${id} is not fully replicated`;
    }
    if (!isHealthy(region)) return `region ${id} is not healthy`;
    const running = this.operators.get(id);
    return running === undefined ? undefined : `region ${id} has an operator: ${running.desc}`;
  }

  private group(name: string): Group {
    const group = this.groups.get(name) ?? { peers: new Map(), leaders: new Map() };
    this.groups.delete(name);
    this.groups.set(name, group);
    if (this.groups.size > GROUPS_MAX) {
      for (const [oldest] of this.groups) {
        this.groups.delete(oldest);
        break;
      }
    }
    return group;
  }
}

function grow(counts: Map<bigint, number>, storeId: bigint): void {
  counts.set(storeId, (counts.get(storeId) ?? 0) + 1);
}

/** Returns a store for each peer: the least used of the group that is as isolated, or its own. */
function choosePeers(context: FilterContext, region: RegionInfo, group: Group): bigint[] {
  const { basic } = context.cluster;
  const usable = basic
    .getStores()
    .filter((store) => regionTargetLasting(context, store) === undefined);
  const holders = new Map(region.meta.peers.map((peer) => [peer.id, peer.storeId]));
  for (const peer of region.meta.peers) {
    holders.set(peer.id, chooseStore(context, peer, [...holders.values()], usable, group));
  }
  return [...holders.values()];
}

function chooseStore(
  context: FilterContext,
  peer: PeerMeta,
  holders: readonly bigint[],
  usable: readonly StoreInfo[],
  group: Group,
): bigint {
  const { basic, config } = context.cluster;
  const own = basic.getStore(peer.storeId);
  const others = holders
    .filter((storeId) => storeId !== peer.storeId)
    .map((storeId) => basic.getStore(storeId))
    .filter((store) => store !== undefined);
  const used = (storeId: bigint): number => group.peers.get(storeId) ?? 0;
  const isolation = own === undefined ? 0 : distinctScore(config.locationLabels, others, own);
  let best = peer.storeId;
  for (const store of usable) {
    const { id } = store.meta;
    if (holders.includes(id) || used(id) >= used(best)) continue;
    if (breaksIsolation(context, others, store)) continue;
    if (distinctScore(config.locationLabels, others, store) >= isolation) best = id;
  }
  return best;
}

/** Returns the store with fewest leaders of the group, the present one among equals. */
function chooseLeader(
  context: FilterContext,
  region: RegionInfo,
  chosen: readonly bigint[],
  group: Group,
): bigint | undefined {
  const now = region.leader?.storeId;
  const led = (storeId: bigint): number => group.leaders.get(storeId) ?? 0;
  const fit = chosen.filter((storeId) => {
    const store = context.cluster.basic.getStore(storeId);
    return store !== undefined && leaderTarget(context, store) === undefined;
  });
  return fit.sort((a, b) => led(a) - led(b) || (a === now ? -1 : b === now ? 1 : 0))[0];
}
