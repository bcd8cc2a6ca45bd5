/** What a store and its leaders tell PD and the metrics. Source: tikv raftstore/store/worker/pd.rs. */
import { idToNumber } from "../base/index.js";
import type { Engine } from "../engine/index.js";
import type { DiskMonitor } from "./disk.js";
import type { RaftstoreGauges } from "./metrics.js";
import type { RegionReport, StoreStats, TimeInterval } from "./pd_port.js";
import type { Peer } from "./peer.js";
import { downPeers } from "./peer_health.js";
import type { SnapshotStats } from "./snapshot/types.js";
import { approximate } from "./split/approximate.js";

export interface StatsSources {
  readonly engine: Engine;
  readonly disk: DiskMonitor;
  /** raftstore.capacity, bytes; 0 = that of the disk. */
  readonly capacityBytes: number;
}

/** Returns the space of the store, within its configured capacity. */
export function storeSpace({ engine, disk, capacityBytes }: StatsSources): {
  readonly capacity: number;
  readonly available: number;
  readonly used: number;
} {
  const { capacity, available } = disk.current();
  const used = engine.stats().sizeBytes;
  if (capacityBytes === 0 || capacityBytes >= capacity) return { capacity, available, used };
  const left = Math.max(0, Math.min(available, capacityBytes - used));
  return { capacity: capacityBytes, available: left, used };
}

/** Returns what a scrape reads. */
export function storeGauges(sources: StatsSources, peers: Iterable<Peer>): RaftstoreGauges {
  let regionCount = 0;
  let leaderCount = 0;
  for (const peer of peers) {
    if (!peer.storage.isInitialized) continue;
    regionCount++;
    if (peer.isLeader) leaderCount++;
  }
  return { regionCount, leaderCount, ...storeSpace(sources) };
}

/** Returns the numbers of a store heartbeat; takes the peers' flow. */
export function storeStats(
  sources: StatsSources,
  peers: Iterable<Peer>,
  store: {
    readonly storeId: bigint;
    readonly startTime: number;
    readonly isBusy: boolean;
    readonly snapshots: SnapshotStats;
    readonly interval: TimeInterval;
  },
): StoreStats {
  const { capacity, available, used } = storeSpace(sources);
  const flow = { bytesWritten: 0, keysWritten: 0, bytesRead: 0, keysRead: 0 };
  let regionCount = 0;
  for (const peer of peers) {
    if (peer.storage.isInitialized) regionCount++;
    const part = peer.storeFlow.take();
    flow.bytesWritten += part.bytesWritten;
    flow.keysWritten += part.keysWritten;
    flow.bytesRead += part.bytesRead;
    flow.keysRead += part.keysRead;
  }
  const { storeId, startTime, isBusy, interval } = store;
  return {
    storeId,
    capacity,
    available,
    usedSize: used,
    regionCount,
    startTime,
    isBusy,
    ...flow,
    sendingSnapCount: store.snapshots.sendingCount,
    receivingSnapCount: store.snapshots.receivingCount,
    applyingSnapCount: store.snapshots.applyingCount,
    interval,
  };
}

/** Returns a leader's report of its region; takes the peer's flow. */
export function regionReport(
  engine: Engine,
  peer: Peer,
  maxDownMs: number,
  interval: TimeInterval,
): RegionReport {
  const { region, self } = peer;
  const { sizeBytes, keys } = peer.split.sizes() ?? approximate(engine, region);
  const pending = peer.pendingPeers();
  peer.pendingTold = new Set(pending.map(({ id }) => idToNumber(id)));
  return {
    region,
    leaderPeerId: peer.peerId,
    term: peer.term,
    ...peer.regionFlow.take(),
    approximateSize: sizeBytes,
    approximateKeys: keys,
    interval,
    downPeers: downPeers(region, self, (id) => peer.silentMs(Number(id)), maxDownMs),
    pendingPeers: pending,
  };
}
