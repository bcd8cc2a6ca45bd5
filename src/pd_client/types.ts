/**
 * What PD says, as plain values. RegionInfo, StoreInfo, StoreStats and PdFailure have the shape that
 * a store's PdPort asks for, so that a PdClient can be handed to it as it is.
 */
import type { Result } from "../base/index.js";

/**
 * - unavailable: no answer, no leader, not started; asking again later may help.
 * - alreadyBootstrapped, storeTombstone: the header error of that name.
 * - clusterMismatch: PD belongs to another cluster than the one this client first spoke to.
 * - refused: PD says no for good, or answered something that makes no sense.
 * `message` is PD's text. `grpcStatus` is set when the call itself failed.
 */
export interface PdFailure {
  readonly kind:
    | "unavailable"
    | "alreadyBootstrapped"
    | "storeTombstone"
    | "clusterMismatch"
    | "refused";
  readonly message: string;
  readonly grpcStatus?: number;
}

export type PdReply<T> = Result<T, PdFailure>;

/** metapb.PeerRole: Voter, Learner, IncomingVoter, DemotingVoter. */
export type PeerRole = 0 | 1 | 2 | 3;

/** metapb.Peer. */
export interface PeerInfo {
  readonly id: bigint;
  readonly storeId: bigint;
  readonly role: PeerRole;
}

/** metapb.Region; keys as PD keeps them, `[startKey, endKey)`, an empty endKey is +inf. */
export interface RegionInfo {
  readonly id: bigint;
  readonly startKey: Uint8Array;
  readonly endKey: Uint8Array;
  readonly confVer: bigint;
  readonly version: bigint;
  readonly peers: readonly PeerInfo[];
}

/** A region with what PD knows about its leader; undefined while there is none. */
export interface LocatedRegion extends RegionInfo {
  readonly leader: PeerInfo | undefined;
  readonly downPeerIds: readonly bigint[];
  readonly pendingPeerIds: readonly bigint[];
}

/** A region and who leads it; what a store asks for. */
export interface KnownRegion {
  readonly region: RegionInfo;
  readonly leader: PeerInfo | undefined;
}

/** Ids for one new region: its own and one for each peer. */
export interface SplitIds {
  readonly newRegionId: bigint;
  readonly newPeerIds: readonly bigint[];
}

/** Where a store is; `removed`: given up for good. */
export interface StoreAddress {
  readonly address: string;
  readonly removed: boolean;
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
  /** eraftpb.ConfChangeType; one change is simple, several are joint, none leaves the joint state. */
  readonly changePeers?: readonly { readonly type: 0 | 1 | 2; readonly peer: PeerInfo }[];
  /** Any of these may lead next. */
  readonly transferLeader?: readonly PeerInfo[];
  /** Empty keys: halve the region by size. */
  readonly splitRegion?: { readonly keys: readonly Uint8Array[] };
}

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

/** metapb.StoreState in words. */
export type StoreStateName = "Up" | "Offline" | "Tombstone";

/** A store with what PD adds. */
export interface StoreRecord extends StoreInfo {
  readonly state: StoreStateName;
  /** Whether PD has given the store up for good (tombstone, or node state Removed). */
  readonly removed: boolean;
  /** Nanoseconds since the Unix epoch; 0n before the first heartbeat. */
  readonly lastHeartbeat: bigint;
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

/** pdpb.RegionHeartbeatRequest of a leader; size in bytes. */
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
  /** Peers that have been silent for long. */
  readonly downPeers?: readonly { readonly peer: PeerInfo; readonly downSeconds: number }[];
  /** Peers whose log lags behind what is kept, or that have no data yet. */
  readonly pendingPeers?: readonly PeerInfo[];
}

/** A placement driver. */
export interface MemberInfo {
  readonly id: bigint;
  readonly name: string;
  /** With a scheme. */
  readonly clientUrls: readonly string[];
  readonly isLeader: boolean;
}

/** keyspacepb.KeyspaceMeta, as far as a client needs it. */
export interface KeyspaceInfo {
  /** Below 2^24. */
  readonly id: number;
  readonly name: string;
  readonly enabled: boolean;
}

/** How long a call may take, and what may end it earlier. */
export interface CallOptions {
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}
