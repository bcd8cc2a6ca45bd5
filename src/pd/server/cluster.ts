/**
 * The cluster: rules of ../core applied to what arrives, and persisted. One object serves gRPC,
 * etcd and HTTP. Memory changes first and at once, so rules never see a half-done change; the
 * answer waits for the disk.
 */
import { type Clock, err, type Logger, ok, type Prng, type Result } from "../../base/index.js";
import {
  BasicCluster,
  buriedStore,
  checkBootstrap,
  checkMove,
  checkPutStore,
  isDisconnected,
  isRemoved,
  isRemoving,
  mergeLabels,
  type Refusal,
  type RegionInfo,
  type RegionMeta,
  type RegionOutcome,
  regionFromMeta,
  registeredStore,
  removedStore,
  restoredStore,
  type StoreInfo,
  type StoreLabel,
  type StoreMeta,
  type StoreStats,
  storeAfterHeartbeat,
} from "../core/index.js";
import type { Coordinator, OrderSink, ScheduleConfig } from "../schedule/index.js";
import {
  bootstrapTimeChange,
  type ClusterMeta,
  clusterChange,
  configChange,
  type Kv,
  type KvChange,
  loadBootstrapTime,
  loadCluster,
  loadConfigChanges,
  loadRegions,
  loadStores,
  regionChange,
  regionRemoval,
  storeChange,
  storeRemoval,
} from "../storage/index.js";
import type { IdService } from "./id.js";
import { type ConfigChanges, changedConfig } from "./schedule_config.js";
import { Scheduling } from "./scheduling.js";
import { checkAskSplit, checkReportSplit, type SplitIds, splitIds } from "./split_ids.js";
import type { StoreProbe } from "./store_probe.js";

/** Heartbeats of a store that only move its time are persisted this often. Source: pd. */
const STORE_PERSIST_INTERVAL_MS = 5 * 60_000;
/** Times that a registration looks again because the store moved while its old address was asked. */
const MOVE_TRIES_MAX = 3;
const NANOS_PER_MS = 1_000_000n;

/** Stores that leave are looked at this often. */
const CHECK_STORES_MS = 1000;

export interface ClusterOptions {
  /** As configured; what was changed while PD ran is applied on top. */
  readonly schedule: ScheduleConfig;
  readonly probeTimeoutMs: number;
}

export interface ClusterDeps {
  readonly kv: Kv;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly probe: StoreProbe;
  readonly ids: IdService;
  readonly prng: Prng;
  /** Takes orders to region leaders; called from inside other calls. */
  readonly sendOrder: OrderSink;
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
  private readonly scheduling: Scheduling;
  private configChanges: ConfigChanges;
  private nextStoreCheckMs = 0;
  private bootstrapTimeNanos = 0n;
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
    loadStores(kv, id, (meta) => {
      this.basic.putStore({ meta, stats: undefined, instanceStartTime: 0, seenMs });
    });
    loadRegions(kv, id, (meta) => {
      this.basic.putRegion(regionFromMeta(meta));
    });
    this.configChanges = loadConfigChanges(kv, id);
    const config = changedConfig(options.schedule, this.configChanges);
    if (!config.ok) deps.logger.error("config changes are not applied", { reason: config.error });
    const { ids, prng, sendOrder } = deps;
    this.scheduling = new Scheduling(this.basic, config.ok ? config.value : options.schedule, {
      clock,
      prng,
      sendOrder,
      takeId: () => ids.take(),
    });
  }

  get coordinator(): Coordinator {
    return this.scheduling.coordinator;
  }

  get config(): ScheduleConfig {
    return this.scheduling.config;
  }

  get bootstrapped(): boolean {
    return this.meta !== undefined;
  }

  /** metapb.Cluster; before bootstrap what it will be. */
  get clusterMeta(): ClusterMeta {
    return { id: this.id, maxPeerCount: this.config.maxReplicas };
  }

  get raftBootstrapTimeMs(): number {
    return Number(this.bootstrapTimeNanos / NANOS_PER_MS);
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
    const meta: ClusterMeta = { id: this.id, maxPeerCount: this.config.maxReplicas };
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

  /** Changes the configuration for good. Returns which change is no good; then none is applied. */
  async changeConfig(changes: ConfigChanges): Promise<string | undefined> {
    const next = changedConfig(this.config, changes);
    if (!next.ok) return next.error;
    this.scheduling.config = next.value;
    this.configChanges = { ...this.configChanges, ...changes };
    const saved = [configChange(this.id, this.configChanges)];
    if (this.meta !== undefined) {
      this.meta = { id: this.id, maxPeerCount: next.value.maxReplicas };
      saved.push(clusterChange(this.meta));
    }
    await this.save(saved);
    return undefined;
  }

  /** Lets scheduling go on and buries stores that are empty; to be called every few milliseconds. */
  tick(): void {
    if (!this.bootstrapped) return;
    this.coordinator.tick();
    const nowMs = this.deps.clock.monotonicMs();
    if (nowMs < this.nextStoreCheckMs) return;
    this.nextStoreCheckMs = nowMs + CHECK_STORES_MS;
    this.buryEmptyStores();
  }

  /** Takes a store out of service, its regions moved off first. Returns why not, if refused. */
  async removeStore(id: bigint, physicallyDestroyed: boolean): Promise<Refusal | undefined> {
    const { maxReplicas } = this.config;
    const next = removedStore(id, this.basic.getStores(), maxReplicas, physicallyDestroyed);
    if ("message" in next) return next;
    const fields = { store_id: id, physically_destroyed: physicallyDestroyed };
    this.deps.logger.warn("store is being removed", fields);
    return this.putChangedStore(next);
  }

  /** Takes a store that is being removed into service again. Returns why not, if refused. */
  async restoreStore(id: bigint): Promise<Refusal | undefined> {
    const next = restoredStore(id, this.basic.getStore(id));
    if ("message" in next) return next;
    this.deps.logger.warn("store is up again", { store_id: id });
    return this.putChangedStore(next);
  }

  /** Sets labels of a store, "" removes one; with `force` those not given go. */
  async setStoreLabels(
    id: bigint,
    labels: readonly StoreLabel[],
    force: boolean,
  ): Promise<Refusal | undefined> {
    const known = this.basic.getStore(id);
    if (known === undefined) return { kind: "unknown", message: `store ${id} not found` };
    const merged = mergeLabels(force ? [] : known.meta.labels, labels);
    return this.putChangedStore({ ...known, meta: { ...known.meta, labels: merged } });
  }

  /** Forgets the stores that are gone for good; returns how many. */
  async removeTombstones(): Promise<number> {
    const gone = this.basic.getStores().filter(({ meta }) => {
      return isRemoved(meta) && this.basic.storeLoad(meta.id).regionCount === 0;
    });
    for (const { meta } of gone) this.basic.removeStore(meta.id);
    if (gone.length > 0) await this.save(gone.map(({ meta }) => storeRemoval(this.id, meta.id)));
    return gone.length;
  }

  /** Returns ids for `count` regions to split off `region`, or why they are refused. */
  async askSplit(region: RegionMeta, count: number): Promise<Result<SplitIds[], string>> {
    if (this.config.haltScheduling) return err("region split is not allowed: scheduling is halted");
    const wrong = checkAskSplit(this.basic, region, count);
    if (wrong !== undefined) return err(wrong);
    const peers = region.peers.length;
    const last = await this.deps.ids.alloc(BigInt(count * (peers + 1)));
    return last === undefined ? err("id is exhausted") : ok(splitIds(last, count, peers));
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

  /** Takes a report of regions that came out of one split; returns what is wrong with it. */
  reportSplit(regions: readonly RegionMeta[]): string | undefined {
    const wrong = checkReportSplit(regions);
    const ids = regions.map(({ id }) => id.toString()).join(",");
    if (wrong === undefined) this.deps.logger.info("region split", { region_ids: ids });
    else this.deps.logger.warn("report split refused", { region_ids: ids, reason: wrong });
    return wrong;
  }

  /** Takes the heartbeat of a region; what it changes is persisted in the background. */
  regionHeartbeat(region: RegionInfo): RegionOutcome {
    const outcome = this.basic.putRegion(region);
    if (outcome.kind !== "ok") return outcome;
    this.coordinator.heartbeat(region, outcome.changed);
    const changes: KvChange[] = outcome.evicted.map((old) => regionRemoval(this.id, old.meta.id));
    if (outcome.save) changes.push(regionChange(this.id, region.meta));
    // A failed write was reported to onFatal; nobody waits for this one.
    if (changes.length > 0) this.save(changes).catch(() => {});
    return outcome;
  }

  private async putChangedStore(next: StoreInfo): Promise<undefined> {
    this.basic.putStore(next);
    await this.save([storeChange(this.id, next.meta)]);
    return undefined;
  }

  /** A store that leaves and holds no region any more is gone for good. */
  private buryEmptyStores(): void {
    for (const store of this.basic.getStores()) {
      const { id } = store.meta;
      if (!isRemoving(store.meta) || isRemoved(store.meta)) continue;
      const influence = this.coordinator.operators.influence().of(id);
      if (this.basic.storeLoad(id).regionCount > 0 || influence.regionCount > 0) continue;
      this.deps.logger.warn("store is gone for good", { store_id: id });
      this.coordinator.operators.limits.forget(id);
      // A failed write was reported to onFatal; nobody waits for this one.
      this.putChangedStore(buriedStore(store)).catch(() => {});
    }
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
