/**
 * What a store needs of PD. pd_client satisfies it in node/; tests bring a fake.
 * Outcomes that a store must react to are returned; a rejected promise is a bug of the port.
 */
import type { Result } from "../base/index.js";
import type { PeerInfo, RegionInfo } from "./region.js";

/**
 * - unavailable: no answer, no leader, not started: the store waits and asks again.
 * - alreadyBootstrapped: the header error ALREADY_BOOTSTRAPPED.
 * - storeTombstone: the header error STORE_TOMBSTONE.
 * - clusterMismatch: PD belongs to another cluster than the request.
 * - refused: PD says no for good ("duplicated store address", "invalid put store" ...).
 * `message` is PD's text.
 */
export interface PdFailure {
  readonly kind:
    | "unavailable"
    | "alreadyBootstrapped"
    | "storeTombstone"
    | "clusterMismatch"
    | "refused";
  readonly message: string;
}

export type PdReply<T> = Result<T, PdFailure>;

/** metapb.Store, the part that a store says of itself. */
export interface StoreInfo {
  readonly id: bigint;
  /** host:port, without a scheme. */
  readonly address: string;
  readonly statusAddress: string;
  readonly version: string;
  readonly gitHash: string;
  /** Seconds since the Unix epoch. */
  readonly startTimestamp: number;
  readonly deployPath: string;
  readonly labels: readonly { readonly key: string; readonly value: string }[];
}

/** pdpb.TimeInterval, seconds since the Unix epoch. */
export interface TimeInterval {
  readonly start: number;
  readonly end: number;
}

/** pdpb.StoreStats; sizes in bytes, counters since the last heartbeat. */
export interface StoreStats {
  readonly storeId: bigint;
  readonly capacity: number;
  readonly available: number;
  readonly usedSize: number;
  readonly regionCount: number;
  readonly startTime: number;
  readonly isBusy: boolean;
  readonly bytesWritten: number;
  readonly keysWritten: number;
  readonly bytesRead: number;
  readonly keysRead: number;
  /** Snapshots that are sent, received and applied now; absent = none. */
  readonly sendingSnapCount?: number;
  readonly receivingSnapCount?: number;
  readonly applyingSnapCount?: number;
  readonly interval: TimeInterval;
}

/** pdpb.RegionHeartbeatRequest of a leader; size in bytes (PD's field is `approximate_size`). */
export interface RegionReport {
  readonly region: RegionInfo;
  /** Peer id of the leader. */
  readonly leaderPeerId: bigint;
  readonly term: bigint;
  readonly bytesWritten: number;
  readonly keysWritten: number;
  readonly bytesRead: number;
  readonly keysRead: number;
  readonly approximateSize: number;
  readonly approximateKeys: number;
  readonly interval: TimeInterval;
  /** Peers that were silent for max-peer-down-duration or longer. */
  readonly downPeers?: readonly { readonly peer: PeerInfo; readonly downSeconds: number }[];
  /** Peers whose log lags behind the first index that is kept, or that have no data yet. */
  readonly pendingPeers?: readonly PeerInfo[];
}

/**
 * An order of PD's to the leader of a region: exactly one of the optional parts, or none. It holds
 * for the epoch that it carries only.
 */
export interface RegionOrder {
  readonly regionId: bigint;
  readonly confVer: bigint;
  readonly version: bigint;
  /** The leader as PD knows it. */
  readonly targetPeer: PeerInfo | undefined;
  /** One change is simple, several are joint, an empty list leaves the joint state. */
  readonly changePeers?: readonly { readonly type: 0 | 1 | 2; readonly peer: PeerInfo }[];
  /** Any of these may lead next; the first that can. */
  readonly transferLeader?: readonly PeerInfo[];
  /** Empty keys: halve the region by size. Keys are region keys. */
  readonly splitRegion?: { readonly keys: readonly Uint8Array[] };
}

/** Ids for one new region: its own and one for each peer. */
export interface SplitIds {
  readonly newRegionId: bigint;
  readonly newPeerIds: readonly bigint[];
}

/** A region as PD knows it. */
export interface KnownRegion {
  readonly region: RegionInfo;
  readonly leader: PeerInfo | undefined;
}

/** Where a store is; `removed`: given up for good, nothing is sent to it any more. */
export interface StoreAddress {
  readonly address: string;
  readonly removed: boolean;
}

/** What a store needs of PD once several stores share regions. */
export interface SchedulePort {
  /** Ids for `count` new regions; refused when PD knows a newer epoch of the region. */
  askBatchSplit(region: RegionInfo, count: number): Promise<PdReply<readonly SplitIds[]>>;
  reportBatchSplit(regions: readonly RegionInfo[]): Promise<PdReply<void>>;
  getRegionById(id: bigint): Promise<PdReply<KnownRegion | undefined>>;
  getStoreAddress(id: bigint): Promise<PdReply<StoreAddress>>;
  /** Sets who takes PD's orders; they come at any time. */
  onOrder(take: (order: RegionOrder) => void): void;
  /**
   * Sets what is called when the way to PD broke: what it was told of regions may be lost, or it
   * is another PD that never heard it. Absent where that cannot happen.
   */
  onReportsLost?(again: () => void): void;
}

export interface PdPort {
  /** The cluster's id, learned from PD (GetMembers). */
  clusterId(): Promise<PdReply<bigint>>;
  allocId(): Promise<PdReply<bigint>>;
  isBootstrapped(): Promise<PdReply<boolean>>;
  bootstrap(store: StoreInfo, region: RegionInfo): Promise<PdReply<void>>;
  /** The region that holds `key`, as encoded in region boundaries; undefined when PD has none. */
  getRegion(key: Uint8Array): Promise<PdReply<RegionInfo | undefined>>;
  putStore(store: StoreInfo): Promise<PdReply<void>>;
  storeHeartbeat(stats: StoreStats): Promise<PdReply<void>>;
  /** Sends on the heartbeat stream; orders come back through SchedulePort.onRegionOrder. */
  regionHeartbeat(report: RegionReport): Promise<PdReply<void>>;
  /** `count` timestamps; returns the largest, the others are the ones just below it. */
  getTimestamps(count: number): Promise<PdReply<bigint>>;
  /** Below it versions that are hidden at it may be deleted; 0n = none. Absent: no GC. */
  getGcSafePoint?(): Promise<PdReply<bigint>>;
}
