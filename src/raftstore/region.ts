/**
 * Regions and region errors as plain values, the vocabulary that storage, raftstore and the gRPC
 * layer share. Not here: the checks (request_check.ts), persistence (local_state.ts).
 */
import { EMPTY_BYTES, equalBytes, toHex } from "../base/index.js";

/**
 * metapb.PeerRole. IncomingVoter and DemotingVoter exist in a joint state only.
 * PERSISTED: do not renumber.
 */
export const PEER_ROLE = { Voter: 0, Learner: 1, IncomingVoter: 2, DemotingVoter: 3 } as const;
export type PeerRole = (typeof PEER_ROLE)[keyof typeof PEER_ROLE];

/** metapb.Peer; witnesses are not supported. */
export interface PeerInfo {
  readonly id: bigint;
  readonly storeId: bigint;
  readonly role: PeerRole;
}

/** metapb.Region; keys as stored in the region, without the data prefix. */
export interface RegionInfo {
  readonly id: bigint;
  readonly startKey: Uint8Array;
  readonly endKey: Uint8Array;
  readonly confVer: bigint;
  readonly version: bigint;
  readonly peers: readonly PeerInfo[];
}

/** Epoch of a region at bootstrap. Source: tikv raftstore/store/peer_storage.rs. */
export const INIT_EPOCH_CONF_VER = 1n;
export const INIT_EPOCH_VER = 1n;

/** errorpb.Error as a value; `message` is TiKV's text. server/error_map.ts turns it into protobuf. */
export type RegionError = { readonly message: string } & (
  | { readonly kind: "notLeader"; readonly regionId: bigint; readonly leader?: PeerInfo }
  | { readonly kind: "regionNotFound"; readonly regionId: bigint }
  | {
      readonly kind: "keyNotInRegion";
      readonly key: Uint8Array;
      readonly regionId: bigint;
      readonly startKey: Uint8Array;
      readonly endKey: Uint8Array;
    }
  | { readonly kind: "epochNotMatch"; readonly currentRegions: readonly RegionInfo[] }
  | { readonly kind: "serverIsBusy"; readonly reason: string; readonly backoffMs: number }
  | { readonly kind: "staleCommand" }
  | {
      readonly kind: "storeNotMatch";
      readonly requestStoreId: bigint;
      readonly actualStoreId: bigint;
    }
  | { readonly kind: "raftEntryTooLarge"; readonly regionId: bigint; readonly entrySize: number }
  | {
      readonly kind: "mismatchPeerId";
      readonly requestPeerId: bigint;
      readonly storePeerId: bigint;
    }
  /** A read at an index has to wait for a split or merge: clients retry. */
  | { readonly kind: "readIndexNotReady"; readonly regionId: bigint; readonly reason: string }
  /** The peer has not got its first snapshot. */
  | { readonly kind: "regionNotInitialized"; readonly regionId: bigint }
  /** A stale read above the safe timestamp of this replica. */
  | {
      readonly kind: "dataIsNotReady";
      readonly regionId: bigint;
      readonly peerId: bigint;
      readonly safeTs: bigint;
    }
  /** The leader's max_ts does not cover its predecessors' reads yet: clients retry. */
  | { readonly kind: "maxTimestampNotSynced"; readonly regionId: bigint }
  | { readonly kind: "diskFull"; readonly storeIds: readonly bigint[]; readonly reason: string }
  /** Only the message is set: "TiKV is Closing". */
  | { readonly kind: "other" }
);

/** Returns the region that a store bootstraps a cluster with: the whole key space, one peer. */
export function initialRegion(storeId: bigint, regionId: bigint, peerId: bigint): RegionInfo {
  return {
    id: regionId,
    startKey: EMPTY_BYTES,
    endKey: EMPTY_BYTES,
    confVer: INIT_EPOCH_CONF_VER,
    version: INIT_EPOCH_VER,
    peers: [{ id: peerId, storeId, role: PEER_ROLE.Voter }],
  };
}

/** Returns whether two regions are the same in every field; peers compare in order. */
export function equalRegions(a: RegionInfo, b: RegionInfo): boolean {
  return (
    a.id === b.id &&
    a.confVer === b.confVer &&
    a.version === b.version &&
    equalBytes(a.startKey, b.startKey) &&
    equalBytes(a.endKey, b.endKey) &&
    a.peers.length === b.peers.length &&
    a.peers.every((peer, i) => {
      const other = b.peers[i] as PeerInfo;
      return peer.id === other.id && peer.storeId === other.storeId && peer.role === other.role;
    })
  );
}

/** Returns the error for `key` outside `region`. Source: tikv raftstore/errors.rs. */
export function keyNotInRegion(key: Uint8Array, region: RegionInfo): RegionError {
  const hex = (bytes: Uint8Array): string => toHex(bytes).toUpperCase();
  return {
    kind: "keyNotInRegion",
    message:
      `key ${hex(key)} is not in region key range ` +
      `[${hex(region.startKey)}, ${hex(region.endKey)}) for region ${region.id}`,
    key,
    regionId: region.id,
    startKey: region.startKey,
    endKey: region.endKey,
  };
}
