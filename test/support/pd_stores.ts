/** Stores as PD's scheduling sees them, for unit tests and the fake cluster. */
import {
  NODE_STATE,
  STORE_STATE,
  type StoreInfo,
  type StoreStats,
} from "../../src/pd/core/index.js";

const GIB = 1n << 30n;

/** Statistics of a store with a disk of `capacityGiB`, half of what is taken being its own. */
export function scheduleStats(capacityGiB: number, availableGiB: number): StoreStats {
  const [capacity, available] = [BigInt(capacityGiB) * GIB, BigInt(availableGiB) * GIB];
  return {
    capacity,
    available,
    usedSize: (capacity - available) / 2n,
    regionCount: 0,
    sendingSnapCount: 0,
    receivingSnapCount: 0,
    applyingSnapCount: 0,
    isBusy: false,
    slowScore: 0n,
    startTime: 1,
  };
}

/** A store that is up and was heard of at `seenMs` of the monotonic clock. */
export function scheduleStore(
  id: bigint,
  labels: Readonly<Record<string, string>> = {},
  seenMs = 0,
): StoreInfo {
  return {
    meta: {
      id,
      address: `store-${id}:20160`,
      state: STORE_STATE.up,
      labels: Object.entries(labels).map(([key, value]) => ({ key, value })),
      version: "8.5.0",
      peerAddress: "",
      statusAddress: "",
      gitHash: "",
      startTimestamp: 1n,
      deployPath: "",
      lastHeartbeat: 0n,
      physicallyDestroyed: false,
      nodeState: NODE_STATE.serving,
    },
    stats: scheduleStats(1000, 900),
    instanceStartTime: 1,
    seenMs,
  };
}
