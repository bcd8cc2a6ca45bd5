/**
 * What the gRPC layer asks of storage: raw commands under a checked region context.
 * Point reads answer synchronously while the leader holds its lease; long reads, reads that the log
 * has to confirm, and writes answer with a promise.
 * Every method checks the context in TiKV's order before it touches data (request_check.ts in
 * raftstore).
 */
import type { Result } from "../base/index.js";
import type { ApiVersion } from "../codec/index.js";
import type { ArenaGet, ArenaGetResult, CfName } from "../engine/index.js";
import type { ReadDelegate, RegionError, RegionInfo, RequestHeader } from "../raftstore/index.js";
import type { LockInfo } from "../txn/index.js";
import type { ReadCheck } from "./read_check.js";
import type { LeaderInfo } from "./resolved_ts/advance.js";
import type { TxnStorage } from "./txn_types.js";

export { API_VERSION, type ApiVersion } from "../codec/index.js";
export type { PeerInfo, RegionError, RegionInfo } from "../raftstore/index.js";
export type { ReadCheck } from "./read_check.js";

/** kvrpcpb.Context, the part that storage checks; absent fields are 0. */
export interface RequestContext {
  readonly regionId: bigint;
  readonly confVer: bigint;
  readonly version: bigint;
  readonly peerId: bigint;
  readonly storeId: bigint;
  readonly term: bigint;
  readonly apiVersion: number;
  readonly keyspaceId: number;
  /** A follower may answer, at the index that the leader confirms. Writes ignore it. */
  readonly replicaRead: boolean;
  /** Any replica may answer from what it has applied. Writes ignore it. */
  readonly staleRead: boolean;
}

/** A region error (routing) or a key error text (the `error` field of a Raw response). */
export type StorageError =
  | { readonly type: "region"; readonly error: RegionError }
  | { readonly type: "key"; readonly message: string };

export interface KvPair {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

/** `ttl` in seconds; 0 = lives for ever. */
export interface RawPair extends KvPair {
  readonly ttl: bigint;
}

/** `[startKey, endKey)`; with `reverse`, startKey is the exclusive upper and endKey the lower bound. */
export interface RawScanOptions {
  readonly startKey: Uint8Array;
  readonly endKey: Uint8Array;
  /** u32; 0 returns nothing. */
  readonly limit: number;
  readonly keyOnly: boolean;
  readonly reverse: boolean;
}

export interface ChecksumResult {
  readonly checksum: bigint;
  readonly totalKvs: bigint;
  readonly totalBytes: bigint;
}

export type Reply<T> = Result<T, StorageError>;
/** A promise only when the log has to confirm the read. */
export type ReadReply<T> = Reply<T> | Promise<Reply<T>>;

/**
 * The region state against which the batch path compares contexts without per-item calls.
 * All ids are below 2^53, asserted where they are loaded.
 */
export interface RegionView {
  readonly id: number;
  readonly confVer: number;
  readonly version: number;
  readonly peerId: number;
  readonly storeId: number;
  readonly term: number;
  readonly startKey: Uint8Array;
  readonly endKey: Uint8Array;
  readonly region: RegionInfo;
  /** The peer that leads it here. */
  readonly peer: ReadDelegate;
  /** What a command of the region is proposed with. */
  readonly header: RequestHeader;
}

/** Raw commands; `cf` is the wire text, "" = default; another name is a key error. */
export interface RawStorage {
  get(ctx: RequestContext, cf: string, key: Uint8Array): ReadReply<Uint8Array | undefined>;
  /** Missing keys are left out. */
  batchGet(ctx: RequestContext, cf: string, keys: readonly Uint8Array[]): ReadReply<KvPair[]>;
  /** Seconds left, 0n = no TTL, undefined = no such key. */
  getKeyTtl(ctx: RequestContext, cf: string, key: Uint8Array): ReadReply<bigint | undefined>;
  put(ctx: RequestContext, cf: string, pair: RawPair, forCas: boolean): Promise<Reply<void>>;
  batchPut(
    ctx: RequestContext,
    cf: string,
    pairs: readonly RawPair[],
    forCas: boolean,
  ): Promise<Reply<void>>;
  delete(ctx: RequestContext, cf: string, key: Uint8Array, forCas: boolean): Promise<Reply<void>>;
  batchDelete(
    ctx: RequestContext,
    cf: string,
    keys: readonly Uint8Array[],
    forCas: boolean,
  ): Promise<Reply<void>>;
  deleteRange(
    ctx: RequestContext,
    cf: string,
    startKey: Uint8Array,
    endKey: Uint8Array,
  ): Promise<Reply<void>>;
  scan(ctx: RequestContext, cf: string, options: RawScanOptions): Promise<Reply<KvPair[]>>;
  batchScan(
    ctx: RequestContext,
    cf: string,
    ranges: readonly { readonly startKey: Uint8Array; readonly endKey: Uint8Array }[],
    eachLimit: number,
    options: { readonly keyOnly: boolean; readonly reverse: boolean },
  ): Promise<Reply<KvPair[]>>;
  /** `previous` undefined = the key must not exist. */
  compareAndSwap(
    ctx: RequestContext,
    cf: string,
    key: Uint8Array,
    previous: Uint8Array | undefined,
    value: Uint8Array,
    ttl: bigint,
    remove: boolean,
  ): Promise<Reply<{ readonly swapped: boolean; readonly previous: Uint8Array | undefined }>>;
  checksum(
    ctx: RequestContext,
    ranges: readonly { readonly startKey: Uint8Array; readonly endKey: Uint8Array }[],
  ): Promise<Reply<ChecksumResult>>;
}

/** What the batch path uses when the context matches and the command is plain. */
export interface BatchPath {
  readonly apiVersion: ApiVersion;
  /** Longest user key; a longer one belongs to `RawStorage`, which answers KeyTooLarge. */
  readonly keySizeMaxBytes: number;
  /** Largest key + value of one command; a larger one belongs to `RawStorage` as well. */
  readonly entrySizeMaxBytes: number;
  /**
   * The CF-prefixed data key prefix of raw user keys: cf byte, then "z". V1 and V1TTL only: in V2, keys are
   * encoded and versioned, so the caller hands every V2 command to `RawStorage`.
   */
  readonly rawKeyPrefix: Uint8Array;
  /**
   * The region with this id if its peer here leads it and holds the lease at this moment: ask once
   * for each context, after decoding, and read in this turn. Another object once it has changed.
   */
  region(id: number): RegionView | undefined;
  /** Seconds since the epoch, for TTL decisions of this turn. */
  nowSeconds(): number;
  /** Reads for regions that were judged in this turn; the caller counts the flow of each. */
  multiGetArena(request: ArenaGet): ArenaGetResult;
  /**
   * Replicates the representation of a WriteBatch for a region that was judged in this turn; the
   * bytes are copied. They count against the write quota; over it the answer is ServerIsBusy.
   */
  writeBytes(region: RegionView, representation: Uint8Array): Promise<Reply<void>>;
}

/** What a replica read asked the leader: the index up to which to apply, or the lock that it met. */
export type ReadIndexResult = { readonly readIndex: bigint } | { readonly locked: LockInfo };

/** Commands on regions. */
export interface RegionAdmin {
  /**
   * Splits a region at user keys, raw ones or those of transactions. Resolves with the resulting
   * regions in key order. Err as the peer says: not the leader, another epoch, keys outside.
   */
  split(
    ctx: RequestContext,
    userKeys: readonly Uint8Array[],
    isRaw: boolean,
  ): Promise<Reply<readonly RegionInfo[]>>;
  /**
   * Resolves with an index that covers all that is acknowledged; any replica is asked. With a check,
   * max_ts of the leader is raised to its `ts`, and a memory lock of the leader that blocks such a
   * read is the answer instead.
   */
  readIndex(ctx: RequestContext, check?: ReadCheck): Promise<Reply<ReadIndexResult>>;
}

/** The records of a region on disk, as bytes of raft_serverpb messages. */
export interface RegionRecords {
  readonly raftState: Uint8Array | undefined;
  readonly applyState: Uint8Array | undefined;
  readonly regionState: Uint8Array | undefined;
}

/** For people who look for a fault. */
export interface StoreDebug {
  /** Regions with a peer here, ascending. */
  regionIds(): bigint[];
  /** undefined when this store has nothing of the region, not even a tombstone. */
  regionRecords(id: bigint): RegionRecords | undefined;
}

export interface Storage {
  readonly raw: RawStorage;
  readonly txn: TxnStorage;
  readonly debug: StoreDebug;
  readonly regions: RegionAdmin;
  readonly batch: BatchPath;
  readonly clusterId: bigint;
  readonly storeId: bigint;
  /** Deletes all data of `[startKey, endKey)` on this store, past regions and epochs. */
  unsafeDestroyRange(startKey: Uint8Array, endKey: Uint8Array): Promise<Reply<void>>;
  cfOf(name: string): CfName | undefined;
  /**
   * Takes what leaders of other stores say about regions; returns the ids of those whose leader this
   * store knows in the same way.
   */
  onLeaders(regions: readonly LeaderInfo[]): bigint[];
}
