/**
 * Replica checker: each region has max-replicas voters, on live stores that stay, as far apart as
 * the location labels allow. Looks in the order of urgency: a peer on a dead store, one on a store
 * that leaves, too few, too many, a better place. PURE.
 * Source: pd pkg/schedule/checker/replica_checker.go.
 */
import {
  differsAt,
  distinctScore,
  isRemoved,
  isRemoving,
  type RegionInfo,
  type StoreInfo,
  silenceMs,
  voters,
} from "../../core/index.js";
import type { Built } from "../builder.js";
import { regionStores } from "../cluster.js";
import { addPeerOperator, movePeerOperator, removePeerOperator } from "../create_operator.js";
import type { Operator } from "../operator.js";
import type { CheckContext } from "./context.js";
import { storeToAdd, storeToRemove } from "./replica_strategy.js";

const NAME = "replica_checker";

type Status = "down" | "offline";

/** Returns the operator that the region needs most, if it needs one and one is possible. */
export function checkReplicas(context: CheckContext, region: RegionInfo): Operator | undefined {
  const { metrics } = context;
  metrics.checker(NAME, "check");
  const { config } = context.cluster;
  if (config.enableRemoveDownReplica) {
    const lost = downPeerStore(context, region);
    if (lost !== undefined) return fixPeer(context, region, lost, "down");
  }
  if (config.enableReplaceOfflineReplica) {
    const leaving = leavingStore(context, region);
    if (leaving !== undefined) return fixPeer(context, region, leaving, "offline");
  }
  if (region.meta.peers.length < config.maxReplicas) {
    return config.enableMakeUpReplica ? makeUp(context, region) : undefined;
  }
  if (voters(region.meta).length > config.maxReplicas) {
    return config.enableRemoveExtraReplica ? removeExtra(context, region) : undefined;
  }
  return config.enableLocationReplacement ? improveLocation(context, region) : undefined;
}

/** The store's silence counts, not how long the peer was: a peer alone may come back any time. */
function downPeerStore({ cluster }: CheckContext, region: RegionInfo): bigint | undefined {
  for (const { peer } of region.downPeers) {
    const store = cluster.basic.getStore(peer.storeId);
    if (store === undefined) continue;
    const silentMs = silenceMs(store, cluster.nowMs());
    if (silentMs > cluster.config.maxStoreDownTimeMs) return peer.storeId;
  }
  return undefined;
}

function leavingStore({ cluster }: CheckContext, { meta }: RegionInfo): bigint | undefined {
  return meta.peers.find(({ storeId }) => {
    const store = cluster.basic.getStore(storeId);
    return store !== undefined && (isRemoving(store.meta) || isRemoved(store.meta));
  })?.storeId;
}

function done(context: CheckContext, region: RegionInfo, built: Built): Operator | undefined {
  context.metrics.checker(NAME, built.ok ? "new-operator" : "create-operator-fail");
  if (!built.ok) context.explain(region, NAME, built.error);
  return built.ok ? built.value : undefined;
}

function stuck(context: CheckContext, region: RegionInfo, event: string, reason: string) {
  context.metrics.checker(NAME, event);
  context.explain(region, NAME, reason);
  return undefined;
}

function fixPeer(
  context: CheckContext,
  region: RegionInfo,
  storeId: bigint,
  status: Status,
): Operator | undefined {
  const { maxReplicas } = context.cluster.config;
  const making = { kind: "replica", isUrgent: true } as const;
  if (voters(region.meta).length > maxReplicas) {
    const desc = `remove-extra-${status}-replica`;
    return done(context, region, removePeerOperator(context, region, storeId, { desc, ...making }));
  }
  const others = regionStores(context.cluster, region).filter(({ meta }) => meta.id !== storeId);
  const choice = storeToAdd(context, region, others);
  if (choice.storeId === undefined) {
    return stuck(context, region, `no-store-${status}`, `replace-${status}: ${choice.reason}`);
  }
  const desc = `replace-${status}-replica`;
  const to = choice.storeId;
  const built = movePeerOperator(context, region, storeId, to, { desc, ...making }, true);
  return done(context, region, built);
}

function makeUp(context: CheckContext, region: RegionInfo): Operator | undefined {
  const choice = storeToAdd(context, region, regionStores(context.cluster, region));
  if (choice.storeId === undefined) {
    return stuck(context, region, "no-target-store", `make-up: ${choice.reason}`);
  }
  const peer = { storeId: choice.storeId, role: "voter" } as const;
  const making = { desc: "make-up-replica", kind: "replica", isUrgent: true } as const;
  return done(context, region, addPeerOperator(context, region, peer, making));
}

function removeExtra(context: CheckContext, region: RegionInfo): Operator | undefined {
  const old = storeToRemove(context, region, regionStores(context.cluster, region));
  if (old === undefined) {
    return stuck(context, region, "no-worst-peer", "remove-extra: no store may lose a replica");
  }
  const making = { desc: "remove-extra-replica", kind: "replica" } as const;
  return done(context, region, removePeerOperator(context, region, old.meta.id, making));
}

/** Returns whether all stores differ in the broadest label: no place is better. */
function allApart(stores: readonly StoreInfo[], labels: readonly string[]): boolean {
  const broadest = labels.slice(0, 1);
  return stores.every((store, at) =>
    stores.slice(at + 1).every((other) => differsAt(store, other, broadest) === 0),
  );
}

/** Moves the replica that adds least to isolation, if another store adds more. */
function improveLocation(context: CheckContext, region: RegionInfo): Operator | undefined {
  const labels = context.cluster.config.locationLabels;
  if (labels.length === 0) return undefined;
  const stores = regionStores(context.cluster, region);
  if (allApart(stores, labels)) return undefined;
  const old = storeToRemove(context, region, stores);
  if (old === undefined) return undefined;
  const others = stores.filter(({ meta }) => meta.id !== old.meta.id);
  const before = distinctScore(labels, others, old);
  const isBetter = (store: StoreInfo): boolean => distinctScore(labels, others, store) > before;
  const choice = storeToAdd(context, region, others, isBetter);
  if (choice.storeId === undefined) {
    context.metrics.checker(NAME, "not-better");
    return undefined;
  }
  const making = { desc: "move-to-better-location", kind: "replica" } as const;
  const to = choice.storeId;
  return done(context, region, movePeerOperator(context, region, old.meta.id, to, making));
}
