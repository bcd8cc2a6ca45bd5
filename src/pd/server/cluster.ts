/**
 * The cluster: rules of ../core applied to what arrives, and persisted. One object serves gRPC,
 * etcd and HTTP. Memory changes first and at once, so rules never see a half-done change; the
 * answer waits for the disk.
 */
import type { Clock, Logger } from "../../base/index.js";
import {
  BasicCluster,
  checkBootstrap,
  checkMove,
  checkPutStore,
  isDisconnected,
  type Refusal,
  type RegionInfo,
  type RegionMeta,
  type RegionOutcome,
  regionFromMeta,
  registeredStore,
  type StoreInfo,
  type StoreMeta,
  type StoreStats,
  storeAfterHeartbeat,
} from "../core/index.js";
import {
  bootstrapTimeChange,
  type ClusterMeta,
  clusterChange,
  type Kv,
  type KvChange,
  loadBootstrapTime,
  loadCluster,
  loadGcSafePoint,
  loadRegions,
  loadStores,
  regionChange,
  regionRemoval,
  storeChange,
} from "../storage/index.js";
import type { StoreProbe } from "./store_probe.js";

/** Heartbeats of a store that only move its time are persisted this often. Source: pd. */
const STORE_PERSIST_INTERVAL_MS = 5 * 60_000;
/** Times that a registration looks again because the store moved while its old address was asked. */
const MOVE_TRIES_MAX = 3;
const NANOS_PER_MS = 1_000_000n;

export interface ClusterOptions {
  readonly maxReplicas: number;
  readonly probeTimeoutMs: number;
}

export interface ClusterDeps {
  readonly kv: Kv;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly probe: StoreProbe;
  /** Called with a failed write; PD cannot go on. */
  readonly onFatal: (error: Error) => void;
}

export type BootstrapOutcome =
  | { readonly kind: "ok" }
  | { readonly kind: "already" }
  | { readonly kind: "invalid"; readonly message: string };

export class RaftCluster {
  readonly id: bigint;
  readonly basic = new BasicCluster();
  private readonly options: ClusterOptions;
  private readonly deps: ClusterDeps;
  private meta: ClusterMeta | undefined;
  private bootstrapTimeNanos = 0n;
  private gcSafePoint = 0n;
  /** Resolves when the bootstrap, if any, is on disk: losers of the race are told only then. */
  private bootstrapSaved: Promise<void> = Promise.resolve();
  private readonly storeSavedMs = new Map<bigint, number>();

  /** Loads what the directory holds. Err KV:Engine:Codec thrown for damaged records. */
  constructor(id: bigint, options: ClusterOptions, deps: ClusterDeps) {
    this.id = id;
    this.options = options;
    this.deps = deps;
    const { clock, kv } = deps;
    // A PD that started just now has not had the time to see a heartbeat.
    const seenMs = clock.monotonicMs();
    this.meta = loadCluster(kv, id);
    this.bootstrapTimeNanos = loadBootstrapTime(kv, id);
    this.gcSafePoint = loadGcSafePoint(kv, id);
    loadStores(kv, id, (meta) => {
      this.basic.putStore({ meta, stats: undefined, instanceStartTime: 0, seenMs });
    });
    loadRegions(kv, id, (meta) => {
      this.basic.putRegion(regionFromMeta(meta));
    });
  }

  get bootstrapped(): boolean {
    return this.meta !== undefined;
  }

  /** metapb.Cluster; before bootstrap what it will be. */
  get clusterMeta(): ClusterMeta {
    return this.meta ?? { id: this.id, maxPeerCount: this.options.maxReplicas };
  }

  get raftBootstrapTimeMs(): number {
    return Number(this.bootstrapTimeNanos / NANOS_PER_MS);
  }

  get safePoint(): bigint {
    return this.gcSafePoint;
  }

  /**
   * Makes the first store and region. Of several at once exactly one wins: the check and the
   * change of memory are one synchronous step.
   */
  async bootstrap(
    store: StoreMeta | undefined,
    region: RegionMeta | undefined,
  ): Promise<BootstrapOutcome> {
    if (this.meta !== undefined) {
      await this.bootstrapSaved;
      return { kind: "already" };
    }
    const wrong = checkBootstrap(store, region, this.id);
    if (wrong !== undefined || store === undefined || region === undefined) {
      return { kind: "invalid", message: wrong ?? "" };
    }
    const first = registeredStore(store, undefined, this.deps.clock.monotonicMs());
    const meta: ClusterMeta = { id: this.id, maxPeerCount: this.options.maxReplicas };
    const nanos = BigInt(this.deps.clock.nowMs()) * NANOS_PER_MS;
    this.meta = meta;
    this.bootstrapTimeNanos = nanos;
    this.basic.putStore(first);
    this.basic.putRegion(regionFromMeta(region));
    this.bootstrapSaved = this.save([
      clusterChange(meta),
      bootstrapTimeChange(this.id, nanos),
      storeChange(this.id, first.meta),
      regionChange(this.id, region),
    ]);
    await this.bootstrapSaved;
    this.deps.logger.info("cluster bootstrapped", { cluster_id: this.id, store_id: store.id });
    return { kind: "ok" };
  }

  /** Replaces metapb.Cluster, all but its id. */
  async putClusterConfig(maxPeerCount: number): Promise<void> {
    this.meta = { id: this.id, maxPeerCount };
    await this.save([clusterChange(this.meta)]);
  }

  /** Registers a store, or again, perhaps at another address. Returns why not, if refused. */
  async putStore(store: StoreMeta): Promise<Refusal | undefined> {
    for (let tries = 0; tries < MOVE_TRIES_MAX; tries++) {
      const wrong = checkPutStore(store, this.basic.getStores());
      if (wrong !== undefined) return this.refused(store, wrong);
      const known = this.basic.getStore(store.id);
      const moves = known !== undefined && known.meta.address !== store.address;
      if (!moves) return this.register(store, known);
      const clone = await this.askOldAddress(store, known);
      if (clone !== undefined) return this.refused(store, clone);
      // Another process may have registered under this id while the old address was asked.
      const now = this.basic.getStore(store.id);
      if (now?.meta.address !== known.meta.address) continue;
      const taken = checkPutStore(store, this.basic.getStores());
      if (taken !== undefined) return this.refused(store, taken);
      const fields = { store_id: store.id, from: known.meta.address, to: store.address };
      this.deps.logger.info("store moved", fields);
      return this.register(store, now);
    }
    const message = `duplicated store id: store ${store.id} registers at several addresses at once`;
    return this.refused(store, { kind: "cloned", message });
  }

  /** Takes the heartbeat of a store. Returns why not, if refused. */
  async storeHeartbeat(id: bigint, stats: StoreStats): Promise<Refusal | undefined> {
    const { clock } = this.deps;
    const monotonicMs = clock.monotonicMs();
    const known = this.basic.getStore(id);
    const next = storeAfterHeartbeat(id, known, stats, clock.nowMs(), monotonicMs);
    if ("message" in next) {
      if (next.kind === "cloned") this.deps.logger.error(next.message, { store_id: id });
      return next;
    }
    this.basic.putStore(next);
    const savedMs = this.storeSavedMs.get(id);
    if (savedMs !== undefined && monotonicMs - savedMs < STORE_PERSIST_INTERVAL_MS)
      return undefined;
    this.storeSavedMs.set(id, monotonicMs);
    await this.save([storeChange(this.id, next.meta)]);
    return undefined;
  }

  /** Takes the heartbeat of a region; what it changes is persisted in the background. */
  regionHeartbeat(region: RegionInfo): RegionOutcome {
    const outcome = this.basic.putRegion(region);
    if (outcome.kind !== "ok") return outcome;
    const changes: KvChange[] = outcome.evicted.map((old) => regionRemoval(this.id, old.meta.id));
    if (outcome.save) changes.push(regionChange(this.id, region.meta));
    // A failed write was reported to onFatal; nobody waits for this one.
    if (changes.length > 0) this.save(changes).catch(() => {});
    return outcome;
  }

  private async register(store: StoreMeta, known: StoreInfo | undefined): Promise<undefined> {
    const next = registeredStore(store, known, this.deps.clock.monotonicMs());
    this.basic.putStore(next);
    await this.save([storeChange(this.id, next.meta)]);
    this.deps.logger.info("put store ok", { store_id: store.id, address: store.address });
    return undefined;
  }

  private async askOldAddress(store: StoreMeta, known: StoreInfo): Promise<Refusal | undefined> {
    const { clock, probe } = this.deps;
    const old = known.meta;
    const answer = await probe(old.address, store.id, this.id, this.options.probeTimeoutMs);
    return checkMove(store, old, answer, !isDisconnected(known, clock.monotonicMs()));
  }

  private refused(store: StoreMeta, refusal: Refusal): Refusal {
    const fields = { store_id: store.id, address: store.address, reason: refusal.message };
    this.deps.logger.warn("put store refused", fields);
    return refusal;
  }

  private async save(changes: readonly KvChange[]): Promise<void> {
    try {
      await this.deps.kv.save(changes);
    } catch (error) {
      this.deps.onFatal(error as Error);
      throw error;
    }
  }
}
