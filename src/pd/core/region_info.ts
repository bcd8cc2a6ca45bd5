/**
 * A region as PD knows it: its metadata and what its leader last reported. Values are immutable;
 * a heartbeat makes a new one. Not here: where it lies among others (region_tree.ts), storage.
 */
import { compareBytes, equalBytes, toHex } from "../../base/index.js";

/** metapb.PeerRole by number: voter, learner, incoming voter, demoting voter (peers.ts). */
export type PeerRole = 0 | 1 | 2 | 3;

/** metapb.Peer. */
export interface PeerMeta {
  readonly id: bigint;
  readonly storeId: bigint;
  readonly role: PeerRole;
  readonly isWitness: boolean;
}

/** metapb.Region. The range is `[startKey, endKey)`; an empty endKey is +inf. */
export interface RegionMeta {
  readonly id: bigint;
  readonly startKey: Uint8Array;
  readonly endKey: Uint8Array;
  readonly confVer: bigint;
  readonly version: bigint;
  readonly peers: readonly PeerMeta[];
  readonly isInFlashback: boolean;
  readonly flashbackStartTs: bigint;
}

/** A peer that its leader has not heard of for `seconds`. */
export interface DownPeer {
  readonly peer: PeerMeta;
  readonly seconds: bigint;
}

/** metapb.Buckets without their statistics. */
export interface RegionBuckets {
  readonly version: bigint;
  readonly keys: readonly Uint8Array[];
}

/** What a heartbeat reports besides metadata. Counters are since the last heartbeat. */
export interface RegionStats {
  readonly term: bigint;
  /** MiB, as PD keeps it; the heartbeat carries bytes. */
  readonly approximateSizeMiB: bigint;
  readonly approximateKeys: bigint;
  readonly bytesWritten: bigint;
  readonly bytesRead: bigint;
  readonly keysWritten: bigint;
  readonly keysRead: bigint;
}

export interface RegionInfo {
  readonly meta: RegionMeta;
  /** Absent until the first heartbeat after a start. */
  readonly leader: PeerMeta | undefined;
  readonly downPeers: readonly DownPeer[];
  readonly pendingPeers: readonly PeerMeta[];
  readonly buckets: RegionBuckets | undefined;
  readonly stats: RegionStats;
}

const NO_STATS: RegionStats = {
  term: 0n,
  approximateSizeMiB: 0n,
  approximateKeys: 0n,
  bytesWritten: 0n,
  bytesRead: 0n,
  keysWritten: 0n,
  keysRead: 0n,
};

/** Returns the region as loaded from storage or bootstrapped: nothing reported yet. */
export function regionFromMeta(meta: RegionMeta): RegionInfo {
  return {
    meta,
    leader: undefined,
    downPeers: [],
    pendingPeers: [],
    buckets: undefined,
    stats: NO_STATS,
  };
}

/** Returns whether `region` contains `key`. */
export function regionContains(meta: RegionMeta, key: Uint8Array): boolean {
  return (
    compareBytes(meta.startKey, key) <= 0 &&
    (meta.endKey.length === 0 || compareBytes(key, meta.endKey) < 0)
  );
}

/** Returns whether two regions cover the same range. */
export function equalRange(a: RegionMeta, b: RegionMeta): boolean {
  return equalBytes(a.startKey, b.startKey) && equalBytes(a.endKey, b.endKey);
}

/** Returns whether two peers are the same in every field. */
export function equalPeer(a: PeerMeta, b: PeerMeta): boolean {
  return (
    a.id === b.id && a.storeId === b.storeId && a.role === b.role && a.isWitness === b.isWitness
  );
}

/** Returns the region as Go prints its protobuf, keys as hex; error texts carry it. */
export function regionText(meta: RegionMeta): string {
  const parts = [`id:${meta.id}`];
  if (meta.startKey.length > 0) parts.push(`start_key:"${toHex(meta.startKey).toUpperCase()}"`);
  if (meta.endKey.length > 0) parts.push(`end_key:"${toHex(meta.endKey).toUpperCase()}"`);
  parts.push(`region_epoch:<conf_ver:${meta.confVer} version:${meta.version} >`);
  for (const peer of meta.peers) parts.push(`peers:<id:${peer.id} store_id:${peer.storeId} >`);
  return `${parts.join(" ")} `;
}
