/**
 * Where replicas go: the best isolation first, the lowest score among equals; which replica is the
 * least useful. PURE. Source: pd pkg/schedule/checker/replica_strategy.go.
 */
import {
  distinctScore,
  type RegionInfo,
  regionScore,
  type StoreInfo,
  storeIds,
} from "../../core/index.js";
import {
  breaksIsolation,
  type FilterContext,
  type Refusal,
  regionSource,
  regionTarget,
  regionTargetLasting,
} from "../filters.js";

/** A store, or why there is none, by the refusals met. */
export type Choice =
  | { readonly storeId: bigint }
  | { readonly storeId: undefined; readonly reason: string };

/** Returns the score of a store as it is. */
export function storeScore({ cluster }: FilterContext, store: StoreInfo): number {
  const { balanceSizeMiB } = cluster.basic.storeLoad(store.meta.id);
  return regionScore(store.stats, balanceSizeMiB, 0, cluster.config.lowSpaceRatio);
}

function best<T>(items: readonly T[], score: (item: T) => number): T[] {
  let top = Number.NEGATIVE_INFINITY;
  let found: T[] = [];
  for (const item of items) {
    const value = score(item);
    if (value > top) [top, found] = [value, [item]];
    else if (value === top) found.push(item);
  }
  return found;
}

function reasonOf(refusals: ReadonlyMap<Refusal, number>): string {
  const parts = [...refusals].map(([refusal, stores]) => `${refusal} (${stores})`);
  return parts.length === 0 ? "no other store" : `no store to choose: ${parts.join(", ")}`;
}

/**
 * Returns the store for one more replica next to `others`. Isolation is judged among the stores
 * that can take it in the long run; if all of the best are prevented for the moment, none is chosen
 * rather than a worse one.
 */
export function storeToAdd(
  context: FilterContext,
  region: RegionInfo,
  others: readonly StoreInfo[],
  isFit: (store: StoreInfo) => boolean = () => true,
): Choice {
  const { cluster } = context;
  const taken = new Set(storeIds(region.meta));
  const refusals = new Map<Refusal, number>();
  const refused = (refusal: Refusal | undefined): boolean => {
    if (refusal !== undefined) refusals.set(refusal, (refusals.get(refusal) ?? 0) + 1);
    return refusal !== undefined;
  };
  const lasting = cluster.basic.getStores().filter((store) => {
    if (taken.has(store.meta.id) || refused(regionTargetLasting(context, store))) return false;
    if (breaksIsolation(context, others, store)) return !refused("isolation");
    return isFit(store);
  });
  const labels = cluster.config.locationLabels;
  const isolated = best(lasting, (store) => distinctScore(labels, others, store));
  const ready = isolated.filter((store) => !refused(regionTarget(context, store)));
  const [chosen] = best(ready, (store) => -storeScore(context, store));
  if (chosen !== undefined) return { storeId: chosen.meta.id };
  return { storeId: undefined, reason: reasonOf(refusals) };
}

/**
 * Returns the store whose replica adds least to isolation, of equals the one with the highest
 * score; undefined when none may lose a replica now. The leader's store is taken last.
 */
export function storeToRemove(
  context: FilterContext,
  region: RegionInfo,
  stores: readonly StoreInfo[],
): StoreInfo | undefined {
  const labels = context.cluster.config.locationLabels;
  const free = stores.filter((store) => regionSource(context, store) === undefined);
  const leastIsolated = best(free, (store) => -distinctScore(labels, stores, store));
  const leader = region.leader?.storeId;
  return best(leastIsolated, (store) => storeScore(context, store)).sort((a, b) =>
    a.meta.id === leader ? 1 : b.meta.id === leader ? -1 : 0,
  )[0];
}
