/**
 * Which stores may give or take regions and leaders. A filter answers why not, in PD's words; they
 * are metric labels and reasons. PURE. Source: pd pkg/schedule/filter/filters.go.
 */
import {
  isDisconnected,
  isLowSpace,
  isRemoved,
  isRemoving,
  labelValue,
  type StoreInfo,
  silenceMs,
} from "../core/index.js";
import type { ScheduleCluster } from "./cluster.js";
import type { StoreLimits } from "./store_limit.js";

/** Why a store is not chosen. */
export type Refusal =
  | "tombstone"
  | "down"
  | "offline"
  | "disconnected"
  | "busy"
  | "exceed-remove-limit"
  | "exceed-add-limit"
  | "too-many-snapshot"
  | "too-many-pending-peer"
  | "low-space"
  | "isolation";

/** What filters look at. */
export interface FilterContext {
  readonly cluster: ScheduleCluster;
  readonly limits: StoreLimits;
}

/** Returns why no leader should be moved off a store. */
export function leaderSource({ cluster }: FilterContext, store: StoreInfo): Refusal | undefined {
  if (isRemoved(store.meta)) return "tombstone";
  const nowMs = cluster.nowMs();
  if (silenceMs(store, nowMs) > cluster.config.maxStoreDownTimeMs) return "down";
  return isDisconnected(store, nowMs) ? "disconnected" : undefined;
}

/** Returns why a store cannot take a leader. */
export function leaderTarget(context: FilterContext, store: StoreInfo): Refusal | undefined {
  const missing = leaderSource(context, store);
  if (missing !== undefined) return missing;
  if (isRemoving(store.meta)) return "offline";
  return store.stats?.isBusy ? "busy" : undefined;
}

function hasSnapshots({ cluster }: FilterContext, { stats }: StoreInfo): boolean {
  const most = cluster.config.maxSnapshotCount;
  const { sendingSnapCount = 0, receivingSnapCount = 0 } = stats ?? {};
  return sendingSnapCount > most || receivingSnapCount > most;
}

/** Returns why no region should be moved off a store. */
export function regionSource(context: FilterContext, store: StoreInfo): Refusal | undefined {
  if (store.stats?.isBusy) return "busy";
  const { cluster, limits } = context;
  if (!limits.available(store.meta.id, "remove-peer", cluster.nowMs())) {
    return "exceed-remove-limit";
  }
  return hasSnapshots(context, store) ? "too-many-snapshot" : undefined;
}

/**
 * Returns why a store cannot take a region for good: it is gone, leaves, is dead or full. Replicas
 * are placed as if what passes soon had passed, so that they need not move twice.
 */
export function regionTargetLasting(
  { cluster }: FilterContext,
  store: StoreInfo,
): Refusal | undefined {
  if (isRemoved(store.meta)) return "tombstone";
  if (isRemoving(store.meta)) return "offline";
  const { config, basic } = cluster;
  if (silenceMs(store, cluster.nowMs()) > config.maxStoreDownTimeMs) return "down";
  const { regionCount } = basic.storeLoad(store.meta.id);
  return isLowSpace(store.stats, regionCount, config.lowSpaceRatio) ? "low-space" : undefined;
}

/** Returns why a store cannot take a region now. */
export function regionTarget(context: FilterContext, store: StoreInfo): Refusal | undefined {
  const lasting = regionTargetLasting(context, store);
  if (lasting !== undefined) return lasting;
  const { cluster, limits } = context;
  const nowMs = cluster.nowMs();
  if (isDisconnected(store, nowMs)) return "disconnected";
  if (store.stats?.isBusy) return "busy";
  if (!limits.available(store.meta.id, "add-peer", nowMs)) return "exceed-add-limit";
  if (hasSnapshots(context, store)) return "too-many-snapshot";
  const { pendingCount } = cluster.basic.storeLoad(store.meta.id);
  return pendingCount > cluster.config.maxPendingPeerCount ? "too-many-pending-peer" : undefined;
}

/**
 * Returns whether a store shares its place, down to the isolation level, with one of `others`.
 * Without such a level nothing is shared.
 */
export function breaksIsolation(
  { cluster }: FilterContext,
  others: readonly StoreInfo[],
  store: StoreInfo,
): boolean {
  const { isolationLevel, locationLabels } = cluster.config;
  const level = locationLabels.indexOf(isolationLevel);
  if (level < 0) return false;
  const place = locationLabels.slice(0, level + 1);
  return others.some((other) =>
    place.every((label) => {
      const [here, there] = [labelValue(store, label), labelValue(other, label)];
      return here !== "" && here.toLowerCase() === there.toLowerCase();
    }),
  );
}
