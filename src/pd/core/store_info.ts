/**
 * A store as PD knows it: what it registered, what it last reported, and the state that follows.
 * Values are immutable. Not here: rules between stores (basic_cluster.ts), storage.
 */

/** PERSISTED (metapb.StoreState): do not renumber. */
export const STORE_STATE = { up: 0, offline: 1, tombstone: 2 } as const;
/** PERSISTED (metapb.NodeState): do not renumber. */
export const NODE_STATE = { preparing: 0, serving: 1, removing: 2, removed: 3 } as const;

export interface StoreLabel {
  readonly key: string;
  readonly value: string;
}

/** metapb.Store. */
export interface StoreMeta {
  readonly id: bigint;
  /** host:port, without a scheme. */
  readonly address: string;
  readonly state: number;
  readonly labels: readonly StoreLabel[];
  readonly version: string;
  readonly peerAddress: string;
  readonly statusAddress: string;
  readonly gitHash: string;
  /** Seconds since the Unix epoch. */
  readonly startTimestamp: bigint;
  readonly deployPath: string;
  /** Nanoseconds since the Unix epoch. */
  readonly lastHeartbeat: bigint;
  readonly physicallyDestroyed: boolean;
  readonly nodeState: number;
}

/** pdpb.StoreStats, the part that is shown and judged; sizes in bytes. */
export interface StoreStats {
  readonly capacity: bigint;
  readonly available: bigint;
  readonly usedSize: bigint;
  readonly regionCount: number;
  readonly sendingSnapCount: number;
  readonly receivingSnapCount: number;
  readonly applyingSnapCount: number;
  readonly isBusy: boolean;
  readonly slowScore: bigint;
  /** Seconds since the Unix epoch; tells one process of a store from the next. */
  readonly startTime: number;
}

export interface StoreInfo {
  readonly meta: StoreMeta;
  /** Absent until the first heartbeat after PD's start. */
  readonly stats: StoreStats | undefined;
  /**
   * `startTime` of the newest process that sent a heartbeat since the store last registered;
   * 0 = none yet.
   */
  readonly instanceStartTime: number;
  /**
   * Monotonic milliseconds of the last registration or heartbeat that this process took, or of its
   * start: scheduling must not believe that stores are dead because PD was, or because the wall
   * clock jumped.
   */
  readonly seenMs: number;
}

/** Source: pd pkg/core/store.go storeDisconnectDuration. */
export const STORE_DISCONNECT_MS = 20_000;
/** Silence after which a store counts as unhealthy in metrics. Source: pd storeUnhealthyDuration. */
export const STORE_UNHEALTHY_MS = 10 * 60_000;
/** Stores with fewer regions may fill up further. Source: pd initialMinSpace's companion. */
const FEW_REGIONS = 100;
/** Free bytes that a store with few regions needs to take one more. */
const FEW_REGIONS_FREE_BYTES = 1n << 30n;

/** Names of store states in PD's HTTP API. */
export type StoreStateName = "Up" | "Disconnected" | "Down" | "Offline" | "Tombstone";

const NANOS_PER_MS = 1_000_000n;

/** Returns milliseconds since the last heartbeat; a clock that went back counts as 0. */
export function heartbeatAgeMs(meta: StoreMeta, nowMs: number): number {
  return Math.max(0, nowMs - Number(meta.lastHeartbeat / NANOS_PER_MS));
}

/**
 * Returns the state that PD shows: a store that is Up but silent is Disconnected after 20 s and
 * Down after `downMs` (max-store-down-time).
 */
export function storeStateName(meta: StoreMeta, nowMs: number, downMs: number): StoreStateName {
  if (meta.state === STORE_STATE.tombstone) return "Tombstone";
  if (meta.state === STORE_STATE.offline) return "Offline";
  const age = heartbeatAgeMs(meta, nowMs);
  if (age > downMs) return "Down";
  return age > STORE_DISCONNECT_MS ? "Disconnected" : "Up";
}

/** Returns milliseconds since PD last heard of the store, on the monotonic clock. */
export function silenceMs(store: StoreInfo, nowMs: number): number {
  return Math.max(0, nowMs - store.seenMs);
}

/** Returns whether the store is missing for a moment, as far as scheduling is concerned. */
export function isDisconnected(store: StoreInfo, nowMs: number): boolean {
  return silenceMs(store, nowMs) > STORE_DISCONNECT_MS;
}

/** Returns whether the store is being removed: its replicas have to go elsewhere. */
export function isRemoving(meta: StoreMeta): boolean {
  return meta.nodeState === NODE_STATE.removing || meta.state === STORE_STATE.offline;
}

/**
 * Returns whether the store has too little space for more regions: a share of its disk below
 * 1 - lowSpaceRatio is free. A store that holds few regions may go on down to 1 GiB (PD: 8 GiB, too
 * much for a cluster on one laptop).
 */
export function isLowSpace(
  stats: StoreStats | undefined,
  regionCount: number,
  lowSpaceRatio: number,
): boolean {
  if (stats === undefined || stats.capacity === 0n) return false;
  if (regionCount < FEW_REGIONS && stats.available > FEW_REGIONS_FREE_BYTES) return false;
  return Number(stats.available) / Number(stats.capacity) < 1 - lowSpaceRatio;
}

/** Returns whether the store left the cluster for good; its id is never used again. */
export function isRemoved(meta: StoreMeta): boolean {
  return meta.nodeState === NODE_STATE.removed || meta.state === STORE_STATE.tombstone;
}

/** Returns the name of `nodeState` as PD's HTTP API has it. */
export function nodeStateName(nodeState: number): string {
  return ["Preparing", "Serving", "Removing", "Removed"][nodeState] ?? String(nodeState);
}

/**
 * Returns old labels overwritten and extended by new ones; a label set to "" is removed. Keys
 * compare without case. Source: pd pkg/core/store.go MergeLabels.
 */
export function mergeLabels(
  known: readonly StoreLabel[],
  given: readonly StoreLabel[],
): StoreLabel[] {
  const merged = known.map((label) => ({ ...label }));
  for (const label of given) {
    const at = merged.findIndex((old) => old.key.toLowerCase() === label.key.toLowerCase());
    if (at >= 0) merged[at] = { key: (merged[at] as StoreLabel).key, value: label.value };
    else merged.push({ ...label });
  }
  return merged.filter((label) => label.value !== "");
}

/** Returns the store as Go prints its protobuf; error texts carry it. */
export function storeText(meta: StoreMeta): string {
  const parts: string[] = [];
  const field = (name: string, value: string): void => {
    if (value !== "") parts.push(`${name}:${JSON.stringify(value)}`);
  };
  if (meta.id !== 0n) parts.push(`id:${meta.id}`);
  field("address", meta.address);
  if (meta.state === STORE_STATE.offline) parts.push("state:Offline");
  if (meta.state === STORE_STATE.tombstone) parts.push("state:Tombstone");
  for (const label of meta.labels) {
    parts.push(`labels:<key:${JSON.stringify(label.key)} value:${JSON.stringify(label.value)} >`);
  }
  field("version", meta.version);
  field("peer_address", meta.peerAddress);
  field("status_address", meta.statusAddress);
  field("git_hash", meta.gitHash);
  if (meta.startTimestamp !== 0n) parts.push(`start_timestamp:${meta.startTimestamp}`);
  field("deploy_path", meta.deployPath);
  if (meta.lastHeartbeat !== 0n) parts.push(`last_heartbeat:${meta.lastHeartbeat}`);
  if (meta.nodeState !== NODE_STATE.preparing) {
    parts.push(`node_state:${nodeStateName(meta.nodeState)}`);
  }
  return `${parts.join(" ")} `;
}
