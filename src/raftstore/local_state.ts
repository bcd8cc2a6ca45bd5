/**
 * The records of a store on disk, as bytes: StoreIdent, the prepare-bootstrap region, and per
 * region its state, raft state and apply state. TiKV's keys and raft_serverpb messages.
 * Not here: when they are written (bootstrap.ts).
 *
 * RaftLocalState lies in CF raft beside the others: raft log and data share one engine here
 * (design.md section 3), TiKV keeps it in its raft engine under the same key.
 */
import { TikvError } from "../base/index.js";
import {
  applyStateKey,
  PREPARE_BOOTSTRAP_KEY,
  raftStateKey,
  regionStateKey,
  STORE_IDENT_KEY,
} from "../codec/index.js";
import type { Engine, Snapshot } from "../engine/index.js";
import { fromBigInt, metapb, raft_serverpb, toBigInt, type Wire64 } from "../pb/index.js";
import type { RegionInfo } from "./region.js";

/** Index and term of a peer that was born without log: TiKV's RAFT_INIT_LOG_INDEX and _TERM. */
export const RAFT_INIT_LOG_INDEX = 5n;
export const RAFT_INIT_LOG_TERM = 5n;

export interface StoreIdent {
  readonly clusterId: bigint;
  readonly storeId: bigint;
  /** kvrpcpb.APIVersion. */
  readonly apiVersion: number;
}

/** raft_serverpb.PeerState. PERSISTED: do not renumber. */
export const PEER_STATE = {
  Normal: 0,
  Applying: 1,
  Tombstone: 2,
  Merging: 3,
  Unavailable: 4,
} as const;

export interface RegionLocalState {
  readonly state: number;
  readonly region: RegionInfo;
}

export interface RaftLocalState {
  readonly term: bigint;
  readonly vote: bigint;
  readonly commit: bigint;
  readonly lastIndex: bigint;
}

export interface RaftApplyState {
  readonly appliedIndex: bigint;
  readonly commitIndex: bigint;
  readonly commitTerm: bigint;
  readonly truncatedIndex: bigint;
  readonly truncatedTerm: bigint;
}

type Reader = Pick<Engine | Snapshot, "get">;

/** Returns `decode(bytes)`; damage becomes a TikvError that names the record. */
function decoded<T>(what: string, decode: () => T): T {
  try {
    return decode();
  } catch (cause) {
    throw new TikvError("KV:Engine:Codec", `bad ${what} record`, { cause });
  }
}

/** A u64 field for encoding; 0 is left out, as TiKV's encoder does. */
function field(value: bigint): ReturnType<typeof fromBigInt> | null {
  return value === 0n ? null : fromBigInt(value);
}

/** Returns metapb.Region for encoding. */
export function regionToPb(region: RegionInfo): metapb.IRegion {
  return {
    id: field(region.id),
    startKey: region.startKey.length === 0 ? null : region.startKey,
    endKey: region.endKey.length === 0 ? null : region.endKey,
    regionEpoch: { confVer: field(region.confVer), version: field(region.version) },
    peers: region.peers.map((peer) => ({ id: field(peer.id), storeId: field(peer.storeId) })),
  };
}

/** Returns a decoded metapb.Region as a value; its keys are copies. */
export function regionFromPb(region: metapb.Region): RegionInfo {
  const epoch = region.regionEpoch;
  return {
    id: toBigInt(region.id),
    startKey: region.startKey.slice(),
    endKey: region.endKey.slice(),
    confVer: epoch == null ? 0n : toBigInt(epoch.confVer as Wire64),
    version: epoch == null ? 0n : toBigInt(epoch.version as Wire64),
    peers: region.peers.map((peer) => ({
      id: toBigInt(peer.id as Wire64),
      storeId: toBigInt(peer.storeId as Wire64),
    })),
  };
}

/** Returns StoreIdent, or undefined in a directory that no store has bootstrapped. */
export function readStoreIdent(reader: Reader): StoreIdent | undefined {
  const bytes = reader.get("default", STORE_IDENT_KEY);
  if (bytes === undefined) return undefined;
  return decoded("store ident", () => {
    const ident = raft_serverpb.StoreIdent.decode(bytes);
    return {
      clusterId: toBigInt(ident.clusterId),
      storeId: toBigInt(ident.storeId),
      apiVersion: ident.apiVersion,
    };
  });
}

export function encodeStoreIdent(ident: StoreIdent): Uint8Array {
  return raft_serverpb.StoreIdent.encode({
    clusterId: field(ident.clusterId),
    storeId: field(ident.storeId),
    apiVersion: ident.apiVersion === 0 ? null : ident.apiVersion,
  }).finish();
}

/** Returns the region that this store has prepared and not yet finished bootstrapping. */
export function readPreparedRegion(reader: Reader): RegionInfo | undefined {
  const bytes = reader.get("default", PREPARE_BOOTSTRAP_KEY);
  if (bytes === undefined) return undefined;
  return decoded("prepare bootstrap", () => regionFromPb(metapb.Region.decode(bytes)));
}

export function encodeRegion(region: RegionInfo): Uint8Array {
  return metapb.Region.encode(regionToPb(region)).finish();
}

export function encodeRegionLocalState({ state, region }: RegionLocalState): Uint8Array {
  return raft_serverpb.RegionLocalState.encode({
    state: state === 0 ? null : state,
    region: regionToPb(region),
  }).finish();
}

export function decodeRegionLocalState(bytes: Uint8Array): RegionLocalState {
  return decoded("region state", () => {
    const { state, region } = raft_serverpb.RegionLocalState.decode(bytes);
    return { state, region: regionFromPb((region ?? {}) as metapb.Region) };
  });
}

/** Returns the initial raft state of a peer without log. */
export function initialRaftState(): RaftLocalState {
  return {
    term: RAFT_INIT_LOG_TERM,
    vote: 0n,
    commit: RAFT_INIT_LOG_INDEX,
    lastIndex: RAFT_INIT_LOG_INDEX,
  };
}

export function encodeRaftLocalState(state: RaftLocalState): Uint8Array {
  return raft_serverpb.RaftLocalState.encode({
    hardState: {
      term: field(state.term),
      vote: field(state.vote),
      commit: field(state.commit),
    },
    lastIndex: field(state.lastIndex),
  }).finish();
}

/** Returns the raft state of a region, or undefined when it was never written. */
export function readRaftLocalState(reader: Reader, regionId: bigint): RaftLocalState | undefined {
  const bytes = reader.get("raft", raftStateKey(regionId));
  if (bytes === undefined) return undefined;
  return decoded("raft state", () => {
    const { hardState, lastIndex } = raft_serverpb.RaftLocalState.decode(bytes);
    return {
      term: toBigInt((hardState?.term ?? 0) as Wire64),
      vote: toBigInt((hardState?.vote ?? 0) as Wire64),
      commit: toBigInt((hardState?.commit ?? 0) as Wire64),
      lastIndex: toBigInt(lastIndex),
    };
  });
}

/** Returns the initial apply state of a peer without log: everything up to 5 is truncated. */
export function initialApplyState(): RaftApplyState {
  return {
    appliedIndex: RAFT_INIT_LOG_INDEX,
    commitIndex: 0n,
    commitTerm: 0n,
    truncatedIndex: RAFT_INIT_LOG_INDEX,
    truncatedTerm: RAFT_INIT_LOG_TERM,
  };
}

export function encodeRaftApplyState(state: RaftApplyState): Uint8Array {
  return raft_serverpb.RaftApplyState.encode({
    appliedIndex: field(state.appliedIndex),
    commitIndex: field(state.commitIndex),
    commitTerm: field(state.commitTerm),
    truncatedState: { index: field(state.truncatedIndex), term: field(state.truncatedTerm) },
  }).finish();
}

/** Returns the apply state of a region, or undefined when it was never written. */
export function readRaftApplyState(reader: Reader, regionId: bigint): RaftApplyState | undefined {
  const bytes = reader.get("raft", applyStateKey(regionId));
  if (bytes === undefined) return undefined;
  return decoded("apply state", () => {
    const state = raft_serverpb.RaftApplyState.decode(bytes);
    return {
      appliedIndex: toBigInt(state.appliedIndex),
      commitIndex: toBigInt(state.commitIndex),
      commitTerm: toBigInt(state.commitTerm),
      truncatedIndex: toBigInt((state.truncatedState?.index ?? 0) as Wire64),
      truncatedTerm: toBigInt((state.truncatedState?.term ?? 0) as Wire64),
    };
  });
}

/** Returns the state of a region, or undefined when this store has no replica of it. */
export function readRegionLocalState(
  reader: Reader,
  regionId: bigint,
): RegionLocalState | undefined {
  const bytes = reader.get("raft", regionStateKey(regionId));
  return bytes === undefined ? undefined : decodeRegionLocalState(bytes);
}
