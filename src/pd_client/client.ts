/**
 * The client of a placement driver, for stores and for clients alike. Outcomes are returned
 * (PdReply); a rejected promise is a bug. A PdClient satisfies raftstore's PdPort and SchedulePort.
 *
 * Nothing here waits for PD to come: a call that finds no leader says "unavailable" and the caller
 * decides how long to go on. Not here: region caches, the store's heartbeat schedule.
 */
import { err, ok } from "../base/index.js";
import { methodInfo, toBigInt } from "../pb/index.js";
import { Caller } from "./caller.js";
import { keyspaceInfo, regionMessage, storeMessage } from "./convert.js";
import { unavailable } from "./failure.js";
import * as gc from "./gc.js";
import { type OnRegionOrder, RegionHeartbeats, storeHeartbeat } from "./heartbeat.js";
import { Members } from "./members.js";
import { PD_CLIENT_DEFAULTS, type PdClientOptions } from "./options.js";
import * as region from "./region.js";
import { askBatchSplit, reportBatchSplit } from "./split.js";
import { TsoClient } from "./tso.js";
import type {
  CallOptions,
  KeyspaceInfo,
  KnownRegion,
  LocatedRegion,
  MemberInfo,
  PdReply,
  RegionInfo,
  RegionReport,
  SplitIds,
  StoreAddress,
  StoreInfo,
  StoreRecord,
  StoreStats,
} from "./types.js";

const BOOTSTRAP = methodInfo("pdpb.PD", "Bootstrap");
const IS_BOOTSTRAPPED = methodInfo("pdpb.PD", "IsBootstrapped");
const ALLOC_ID = methodInfo("pdpb.PD", "AllocID");
const PUT_STORE = methodInfo("pdpb.PD", "PutStore");
const GET_CLUSTER_CONFIG = methodInfo("pdpb.PD", "GetClusterConfig");
const LOAD_KEYSPACE = methodInfo("keyspacepb.Keyspace", "LoadKeyspace");

/** The options that a PdClient needs and those that it may be given. */
export type PdClientConfig = Pick<PdClientOptions, "endpoints"> & Partial<PdClientOptions>;

export class PdClient {
  readonly #members: Members;
  readonly #caller: Caller;
  readonly #tso: TsoClient;
  readonly #heartbeats: RegionHeartbeats;

  /** Opens nothing yet; the first call does. */
  constructor(config: PdClientConfig) {
    const options: PdClientOptions = { ...PD_CLIENT_DEFAULTS, ...config };
    this.#members = new Members(options);
    this.#caller = new Caller(this.#members, options);
    this.#tso = new TsoClient(this.#members, options);
    this.#heartbeats = new RegionHeartbeats(this.#caller);
  }

  /** Returns the cluster's id, as GetMembers told it. */
  async clusterId(): Promise<PdReply<bigint>> {
    const leader = await this.#members.leader();
    return leader.ok ? ok(leader.value.clusterId) : leader;
  }

  /** Returns PD's members, asked anew. */
  getMembers(): Promise<PdReply<readonly MemberInfo[]>> {
    return this.#members.refresh();
  }

  /** Returns an id that nobody else has or will get. */
  async allocId(): Promise<PdReply<bigint>> {
    const reply = await this.#caller.call(ALLOC_ID, (header) => ({ header, count: 1 }));
    return reply.ok ? ok(toBigInt(reply.value.id)) : reply;
  }

  /** Returns whether the cluster has its first region. */
  async isBootstrapped(): Promise<PdReply<boolean>> {
    const reply = await this.#caller.call(IS_BOOTSTRAPPED, (header) => ({ header }));
    return reply.ok ? ok(reply.value.bootstrapped) : reply;
  }

  /**
   * Registers the first store and the first region. Not repeated by itself: after "unavailable" it
   * may have happened.
   */
  async bootstrap(store: StoreInfo, first: RegionInfo): Promise<PdReply<void>> {
    const body = { store: storeMessage(store), region: regionMessage(first) };
    const reply = await this.#caller.call(
      BOOTSTRAP,
      (header) => ({ header, ...body }),
      undefined,
      false,
    );
    return reply.ok ? ok(undefined) : reply;
  }

  /** Registers a store, or its new address, labels and version. */
  async putStore(store: StoreInfo): Promise<PdReply<void>> {
    const message = storeMessage(store);
    const reply = await this.#caller.call(PUT_STORE, (header) => ({ header, store: message }));
    return reply.ok ? ok(undefined) : reply;
  }

  /** Returns a store; undefined if PD does not know it. */
  getStore(id: bigint, options?: CallOptions): Promise<PdReply<StoreRecord | undefined>> {
    return region.getStore(this.#caller, id, options);
  }

  /** Returns all stores, those that are gone only with `withTombstones`. */
  getAllStores(withTombstones = false, options?: CallOptions): Promise<PdReply<StoreRecord[]>> {
    return region.getAllStores(this.#caller, withTombstones, options);
  }

  /** Returns the largest number of replicas that PD wants, from the cluster's config. */
  async getClusterConfig(): Promise<PdReply<{ id: bigint; maxPeerCount: number }>> {
    const reply = await this.#caller.call(GET_CLUSTER_CONFIG, (header) => ({ header }));
    if (!reply.ok) return reply;
    const cluster = reply.value.cluster;
    if (cluster === null) return err(unavailable("PD has no cluster config"));
    return ok({ id: toBigInt(cluster.id), maxPeerCount: cluster.maxPeerCount });
  }

  /** Returns the region that holds `key`, which is encoded as region boundaries are. */
  getRegion(key: Uint8Array, options?: CallOptions): Promise<PdReply<LocatedRegion | undefined>> {
    return region.getRegion(this.#caller, key, options);
  }

  /** Returns the region before the one that holds `key`. */
  getPrevRegion(
    key: Uint8Array,
    options?: CallOptions,
  ): Promise<PdReply<LocatedRegion | undefined>> {
    return region.getPrevRegion(this.#caller, key, options);
  }

  /** Returns the region with this id and who leads it. */
  async getRegionById(id: bigint): Promise<PdReply<KnownRegion | undefined>> {
    const reply = await region.getRegionById(this.#caller, id);
    if (!reply.ok || reply.value === undefined) return reply.ok ? ok(undefined) : reply;
    return ok({ region: reply.value, leader: reply.value.leader });
  }

  /** Returns the region with this id with all that PD knows of it. */
  locateRegionById(id: bigint, options?: CallOptions): Promise<PdReply<LocatedRegion | undefined>> {
    return region.getRegionById(this.#caller, id, options);
  }

  /** Returns where a store is; refused when PD does not know it. */
  async getStoreAddress(id: bigint): Promise<PdReply<StoreAddress>> {
    const reply = await region.getStore(this.#caller, id);
    if (!reply.ok) return reply;
    if (reply.value === undefined) {
      return err({ kind: "refused", message: `PD knows no store ${id}` });
    }
    return ok({ address: reply.value.address, removed: reply.value.removed });
  }

  /** Returns ids for `count` regions to split off; refused when PD knows a newer epoch. */
  askBatchSplit(of: RegionInfo, count: number): Promise<PdReply<readonly SplitIds[]>> {
    return askBatchSplit(this.#caller, of, count);
  }

  /** Tells PD which regions came out of a split, in key order. */
  reportBatchSplit(regions: readonly RegionInfo[]): Promise<PdReply<void>> {
    return reportBatchSplit(this.#caller, regions);
  }

  /** Returns up to `limit` regions, in key order, that overlap `[startKey, endKey)`. */
  scanRegions(
    startKey: Uint8Array,
    endKey: Uint8Array,
    limit: number,
    options?: CallOptions,
  ): Promise<PdReply<LocatedRegion[]>> {
    return region.scanRegions(this.#caller, startKey, endKey, limit, options);
  }

  /** Returns a keyspace by its name. */
  async loadKeyspace(name: string): Promise<PdReply<KeyspaceInfo>> {
    const reply = await this.#caller.call(LOAD_KEYSPACE, (header) => ({ header, name }));
    if (!reply.ok) return reply;
    const meta = reply.value.keyspace;
    if (meta === null) return err({ kind: "refused", message: `PD has no keyspace "${name}"` });
    return ok(keyspaceInfo(meta));
  }

  /** Sends a store's heartbeat. */
  storeHeartbeat(stats: StoreStats): Promise<PdReply<void>> {
    return storeHeartbeat(this.#caller, stats);
  }

  /** Hands a region's heartbeat to the stream; ok does not mean that PD has read it. */
  regionHeartbeat(report: RegionReport): Promise<PdReply<void>> {
    return this.#heartbeats.send(report);
  }

  /** Sets who gets PD's orders to region leaders; they come at any time. */
  onOrder(take: OnRegionOrder): void {
    this.#heartbeats.onOrder(take);
  }

  /** Sets what is called when PD may have lost what it was told of regions. */
  onReportsLost(again: () => void): void {
    this.#heartbeats.onReportsLost(again);
  }

  /** Returns the largest of `count` new timestamps; the others are the ones just below it. */
  getTimestamps(count: number): Promise<PdReply<bigint>> {
    return this.#tso.get(count);
  }

  /** Returns the GC safe point; 0n until one is set. */
  getGcSafePoint(): Promise<PdReply<bigint>> {
    return gc.getGcSafePoint(this.#caller);
  }

  /** Returns GC's safe points and barriers. */
  getGcState(): Promise<PdReply<gc.GcState>> {
    return gc.getGcState(this.#caller);
  }

  /** Sets a GC barrier, or moves one; `ttlSeconds` undefined = for ever. */
  setGcBarrier(
    id: string,
    ts: bigint,
    ttlSeconds: bigint | undefined,
  ): Promise<PdReply<gc.GcBarrier>> {
    return gc.setGcBarrier(this.#caller, id, ts, ttlSeconds);
  }

  /** Removes a GC barrier; returns it, undefined when there was none. */
  deleteGcBarrier(id: string): Promise<PdReply<gc.GcBarrier | undefined>> {
    return gc.deleteGcBarrier(this.#caller, id);
  }

  /** Moves the txn safe point towards `target`. For a GC leader only: PD's own one stops then. */
  advanceTxnSafePoint(target: bigint): Promise<PdReply<gc.TxnSafePointAdvance>> {
    return gc.advanceTxnSafePoint(this.#caller, target);
  }

  /** Moves the GC safe point to `target`; returns where it is. For a GC leader only. */
  advanceGcSafePoint(target: bigint): Promise<PdReply<bigint>> {
    return gc.advanceGcSafePoint(this.#caller, target);
  }

  /** Ends all streams and calls. The client cannot be used again. */
  close(): void {
    this.#tso.close();
    this.#heartbeats.close();
    this.#members.close();
  }
}
