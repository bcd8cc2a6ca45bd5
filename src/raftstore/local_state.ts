/**
 * The records of a store on disk, as bytes: StoreIdent, the prepare-bootstrap region, and per
 * region its state, raft state and apply state. TiKV's keys and raft_serverpb messages.
 * Not here: when they are written (bootstrap.ts).
 *
 * RaftLocalState lies in CF raft beside the others: raft log and data share one engine here
 * (design.md section 3), TiKV keeps it in its raft engine under the same key.
 */
import { idToNumber, TikvError } from "../base/index.js";
import {
  applyStateKey,
  PREPARE_BOOTSTRAP_KEY,
  raftStateKey,
  regionStateKey,
  STORE_IDENT_KEY,
} from "../codec/index.js";
import type { Engine, Snapshot } from "../engine/index.js";
import {
  fieldSize,
  fromBigInt,
  metapb,
  raft_serverpb,
  toBigInt,
  type Wire64,
  WireWriter,
} from "../pb/index.js";
import { PEER_ROLE, type PeerInfo, type PeerRole, type RegionInfo } from "./region.js";

/** Index and term of a peer that was born without log: TiKV's RAFT_INIT_LOG_INDEX and _TERM. */
export const RAFT_INIT_LOG_INDEX = 5;
export const RAFT_INIT_LOG_TERM = 5;

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
  readonly term: number;
  readonly vote: number;
  readonly commit: number;
  readonly lastIndex: number;
}

export interface RaftApplyState {
  readonly appliedIndex: number;
  readonly commitIndex: number;
  readonly commitTerm: number;
  readonly truncatedIndex: number;
  readonly truncatedTerm: number;
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

/** As `field`, for terms and indexes. */
function count(value: number): ReturnType<typeof fromBigInt> | null {
  return field(BigInt(value));
}

/** Returns a decoded term or index. Throws above 2^53 - 1, which only damage can bring. */
function safeNumber(value: Wire64 | null | undefined): number {
  return idToNumber(toBigInt((value ?? 0) as Wire64));
}

/** Returns metapb.Peer for encoding. */
export function peerToPb({ id, storeId, role }: PeerInfo): metapb.IPeer {
  return { id: field(id), storeId: field(storeId), role: role === 0 ? null : role };
}

/** Returns a decoded metapb.Peer as a value. Throws for a role that does not exist. */
export function peerFromPb(peer: metapb.IPeer): PeerInfo {
  const role = peer.role ?? PEER_ROLE.Voter;
  if (role < PEER_ROLE.Voter || role > PEER_ROLE.DemotingVoter) {
    throw new RangeError(`peer role ${role}`);
  }
  return {
    id: toBigInt((peer.id ?? 0) as Wire64),
    storeId: toBigInt((peer.storeId ?? 0) as Wire64),
    role: role as PeerRole,
  };
}

/** Returns metapb.Region for encoding. */
export function regionToPb(region: RegionInfo): metapb.IRegion {
  return {
    id: field(region.id),
    startKey: region.startKey.length === 0 ? null : region.startKey,
    endKey: region.endKey.length === 0 ? null : region.endKey,
    regionEpoch: { confVer: field(region.confVer), version: field(region.version) },
    peers: region.peers.map(peerToPb),
  };
}

/** Returns a decoded metapb.Region as a value; its keys are copies. */
export function regionFromPb(region: metapb.Region): RegionInfo {
  const epoch = region.regionEpoch;
  return {
    id: toBigInt(region.id),
    // Not `slice`, which shares memory when the decoder has made Buffers.
    startKey: new Uint8Array(region.startKey),
    endKey: new Uint8Array(region.endKey),
    confVer: epoch == null ? 0n : toBigInt(epoch.confVer as Wire64),
    version: epoch == null ? 0n : toBigInt(epoch.version as Wire64),
    peers: region.peers.map(peerFromPb),
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
    vote: 0,
    commit: RAFT_INIT_LOG_INDEX,
    lastIndex: RAFT_INIT_LOG_INDEX,
  };
}

export function encodeRaftLocalState(state: RaftLocalState): Uint8Array {
  return raft_serverpb.RaftLocalState.encode({
    hardState: {
      term: count(state.term),
      vote: count(state.vote),
      commit: count(state.commit),
    },
    lastIndex: count(state.lastIndex),
  }).finish();
}

export function decodeRaftLocalState(bytes: Uint8Array): RaftLocalState {
  return decoded("raft state", () => {
    const { hardState, lastIndex } = raft_serverpb.RaftLocalState.decode(bytes);
    return {
      term: safeNumber(hardState?.term),
      vote: safeNumber(hardState?.vote),
      commit: safeNumber(hardState?.commit),
      lastIndex: safeNumber(lastIndex),
    };
  });
}

/** Returns the raft state of a region, or undefined when it was never written. */
export function readRaftLocalState(reader: Reader, regionId: bigint): RaftLocalState | undefined {
  const bytes = reader.get("raft", raftStateKey(regionId));
  return bytes === undefined ? undefined : decodeRaftLocalState(bytes);
}

/** Returns the initial apply state of a peer without log: everything up to 5 is truncated. */
export function initialApplyState(): RaftApplyState {
  return {
    appliedIndex: RAFT_INIT_LOG_INDEX,
    commitIndex: 0,
    commitTerm: 0,
    truncatedIndex: RAFT_INIT_LOG_INDEX,
    truncatedTerm: RAFT_INIT_LOG_TERM,
  };
}

/** By hand: written once for each region of each apply round. */
export function encodeRaftApplyState(state: RaftApplyState): Uint8Array {
  const { appliedIndex, commitIndex, commitTerm, truncatedIndex, truncatedTerm } = state;
  const truncated = fieldSize(truncatedIndex) + fieldSize(truncatedTerm);
  const size =
    fieldSize(appliedIndex) + 2 + truncated + fieldSize(commitIndex) + fieldSize(commitTerm);
  const out = new WireWriter(new Uint8Array(size));
  out.field(0x08, appliedIndex);
  out.open(0x12, truncated);
  out.field(0x08, truncatedIndex);
  out.field(0x10, truncatedTerm);
  out.field(0x20, commitIndex);
  out.field(0x28, commitTerm);
  return out.finish();
}

/** Returns the index up to which the data of `reader` was applied; undefined without the region. */
export function appliedIndexOf(reader: Reader, regionId: bigint): number | undefined {
  return readRaftApplyState(reader, regionId)?.appliedIndex;
}

/** Returns the apply state of a region, or undefined when it was never written. */
export function readRaftApplyState(reader: Reader, regionId: bigint): RaftApplyState | undefined {
  const bytes = reader.get("raft", applyStateKey(regionId));
  if (bytes === undefined) return undefined;
  return decoded("apply state", () => {
    const state = raft_serverpb.RaftApplyState.decode(bytes);
    return {
      appliedIndex: safeNumber(state.appliedIndex),
      commitIndex: safeNumber(state.commitIndex),
      commitTerm: safeNumber(state.commitTerm),
      truncatedIndex: safeNumber(state.truncatedState?.index),
      truncatedTerm: safeNumber(state.truncatedState?.term),
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
