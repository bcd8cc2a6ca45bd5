/**
 * Rules of registering stores and of their heartbeats. PURE.
 * Source: pd server/cluster/cluster.go putStoreImpl, server/util.go checkBootstrapRequest.
 *
 * Beyond PD: the same store id at two addresses. A copied data directory registers under the id of
 * the store it was copied from. If PD took the new address, clients would be sent to stale data. So
 * a store that moves is asked for at its old address (the driver does it): who still answers there
 * as this store, in this cluster, wins, and the newcomer is refused. A process that is unreachable
 * for PD but alive is found later: of two processes with different start times that send heartbeats
 * for one id, the one that started earlier is refused.
 */
import type { RegionMeta } from "./region_info.js";
import {
  isRemoved,
  mergeLabels,
  NODE_STATE,
  STORE_STATE,
  type StoreInfo,
  type StoreMeta,
  type StoreStats,
  storeText,
} from "./store_info.js";

/** An expected refusal, with the text that PD answers. */
export interface Refusal {
  readonly kind: "invalid" | "tombstone" | "duplicate" | "cloned" | "unknown" | "conflict";
  readonly message: string;
}

const VERSION = /^v?\d+\.\d+\.\d+(?:[-+][0-9A-Za-z.+-]*)?$/;

/**
 * Returns why `store` cannot register, or undefined. `known` are all stores of the cluster.
 * Removed stores do not hold their address.
 */
export function checkPutStore(store: StoreMeta, known: readonly StoreInfo[]): Refusal | undefined {
  const same = known.find((other) => other.meta.id === store.id);
  if (same !== undefined && isRemoved(same.meta)) {
    return { kind: "tombstone", message: "store is tombstone" };
  }
  if (store.id === 0n) {
    return { kind: "invalid", message: `invalid put store ${storeText(store)}` };
  }
  if (store.version !== "" && !VERSION.test(store.version)) {
    const reason = `error: invalid version ${JSON.stringify(store.version)}`;
    return { kind: "invalid", message: `invalid put store ${storeText(store)}, ${reason}` };
  }
  for (const { meta } of known) {
    if (meta.id === store.id || isRemoved(meta) || meta.physicallyDestroyed) continue;
    const collides = (address: string): boolean =>
      address === meta.address || (meta.peerAddress !== "" && address === meta.peerAddress);
    const already = `${storeText(store)}, already registered by ${storeText(meta)}`;
    if (collides(store.address)) {
      return { kind: "duplicate", message: `duplicated store address: ${already}` };
    }
    if (store.peerAddress !== "" && collides(store.peerAddress)) {
      return { kind: "duplicate", message: `duplicated store peer address: ${already}` };
    }
  }
  return undefined;
}

/**
 * Returns the store after it registered (again): what PD holds of it is kept. `seenMs` is the
 * monotonic time of now.
 */
export function registeredStore(
  store: StoreMeta,
  known: StoreInfo | undefined,
  seenMs: number,
): StoreInfo {
  if (known === undefined) {
    const meta = { ...store, state: STORE_STATE.up, nodeState: NODE_STATE.serving };
    return { meta, stats: undefined, instanceStartTime: 0, seenMs };
  }
  const meta: StoreMeta = {
    ...known.meta,
    address: store.address,
    statusAddress: store.statusAddress,
    peerAddress: store.peerAddress,
    version: store.version,
    gitHash: store.gitHash,
    labels: mergeLabels(known.meta.labels, store.labels),
    startTimestamp: store.startTimestamp,
    deployPath: store.deployPath,
  };
  return { meta, stats: known.stats, instanceStartTime: 0, seenMs };
}

/**
 * What the old address of a moving store answered when asked for that store.
 * - same: it is this store of this cluster. - other: another store, cluster or service.
 * - gone: nothing listens. - silent: something accepted the connection and did not answer in time.
 */
export type ProbeAnswer = "same" | "other" | "gone" | "silent";

/**
 * Returns why a store may not move to `store.address`, or undefined. A silent address counts as
 * alive while its last heartbeat is younger than the disconnect time (a process that was stopped
 * or swaps), `heartbeatRecent`.
 */
export function checkMove(
  store: StoreMeta,
  known: StoreMeta,
  answer: ProbeAnswer,
  heartbeatRecent: boolean,
): Refusal | undefined {
  const alive = answer === "same" || (answer === "silent" && heartbeatRecent);
  if (!alive) return undefined;
  const message =
    `duplicated store id: store ${store.id} is alive at ${known.address} and cannot also be at ` +
    `${store.address}; a data directory that was copied belongs to one store only: ` +
    `remove the copy and start it empty (${storeText(store)}, already registered by ${storeText(known)})`;
  return { kind: "cloned", message };
}

/**
 * Returns the store after a heartbeat, or why the heartbeat is refused. `nowMs` is the wall clock,
 * `seenMs` the monotonic one.
 */
export function storeAfterHeartbeat(
  id: bigint,
  known: StoreInfo | undefined,
  stats: StoreStats,
  nowMs: number,
  seenMs: number,
): StoreInfo | Refusal {
  if (known === undefined) return { kind: "unknown", message: `store ${id} not found` };
  if (isRemoved(known.meta)) return { kind: "tombstone", message: "store is tombstone" };
  if (stats.startTime !== 0 && stats.startTime < known.instanceStartTime) {
    const message =
      `duplicated store id: two processes send heartbeats as store ${id}, started at ` +
      `${known.instanceStartTime} and ${stats.startTime}; the older one is refused`;
    return { kind: "cloned", message };
  }
  return {
    meta: { ...known.meta, lastHeartbeat: BigInt(nowMs) * 1_000_000n },
    stats,
    instanceStartTime: Math.max(known.instanceStartTime, stats.startTime),
    seenMs,
  };
}

/** Returns what is wrong with a bootstrap request, or undefined. */
export function checkBootstrap(
  store: StoreMeta | undefined,
  region: RegionMeta | undefined,
  clusterId: bigint,
): string | undefined {
  const forCluster = `for bootstrap ${clusterId}`;
  if (store === undefined) return `missing store meta ${forCluster}`;
  if (store.id === 0n) return "invalid zero store id";
  if (region === undefined) return `missing region meta ${forCluster}`;
  if (region.startKey.length > 0 || region.endKey.length > 0) {
    return `invalid first region key range, must all be empty ${forCluster}`;
  }
  if (region.id === 0n) return "invalid zero region id";
  const [peer] = region.peers;
  if (peer === undefined || region.peers.length !== 1) {
    return `invalid first region peer count ${region.peers.length}, must be 1 ${forCluster}`;
  }
  if (peer.storeId !== store.id) {
    return `invalid peer store id ${peer.storeId} != ${store.id} ${forCluster}`;
  }
  return peer.id === 0n ? "invalid zero peer id" : undefined;
}

/**
 * Returns the store on its way out, or why it may not leave: without it there would be fewer stores
 * than replicas. One whose data is destroyed may always leave; a store that is on its way already
 * only takes the note that it is destroyed. Source: pd server/cluster/cluster.go RemoveStore.
 */
export function removedStore(
  id: bigint,
  stores: readonly StoreInfo[],
  maxReplicas: number,
  physicallyDestroyed: boolean,
): StoreInfo | Refusal {
  const store = stores.find(({ meta }) => meta.id === id);
  if (store === undefined) return { kind: "unknown", message: `store ${id} not found` };
  if (isRemoved(store.meta)) {
    return { kind: "tombstone", message: `The store ${id} has been removed` };
  }
  const up = stores.filter(({ meta }) => meta.state === STORE_STATE.up && !isRemoved(meta)).length;
  const leaves = store.meta.state === STORE_STATE.up;
  if (leaves && !physicallyDestroyed && up - 1 < maxReplicas) {
    const message =
      `can not remove store ${id} since there are no extra up store to store the replica: ` +
      `${up} up, ${maxReplicas} replicas`;
    return { kind: "conflict", message };
  }
  const meta = {
    ...store.meta,
    state: STORE_STATE.offline,
    nodeState: NODE_STATE.removing,
    physicallyDestroyed: store.meta.physicallyDestroyed || physicallyDestroyed,
  };
  return { ...store, meta };
}

/** Returns the store in service again, or why not: it is gone, or its data is. */
export function restoredStore(id: bigint, known: StoreInfo | undefined): StoreInfo | Refusal {
  if (known === undefined) return { kind: "unknown", message: `store ${id} not found` };
  const { meta } = known;
  if (isRemoved(meta)) return { kind: "tombstone", message: `The store ${id} has been removed` };
  if (meta.physicallyDestroyed) {
    return { kind: "conflict", message: `The store ${id} has been physically destroyed` };
  }
  return { ...known, meta: { ...meta, state: STORE_STATE.up, nodeState: NODE_STATE.serving } };
}

/** Returns the store as gone for good. Only one that leaves and holds no region may be. */
export function buriedStore(known: StoreInfo): StoreInfo {
  const { tombstone } = STORE_STATE;
  return { ...known, meta: { ...known.meta, state: tombstone, nodeState: NODE_STATE.removed } };
}
