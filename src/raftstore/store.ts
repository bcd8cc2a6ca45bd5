/**
 * A store: its identity, the peers it holds, and its dialogue with PD. Opening it runs the first
 * start (bootstrap.ts) as far as it is not done yet. Until the Raft store lands, a peer leads its
 * region alone; what asks a peer for its state (request_check.ts) does not know that.
 * Not here: data (storage/).
 * Source: tikv src/server/raft_server.rs.
 */
import {
  assert,
  type Clock,
  err,
  type Logger,
  type MetricsRegistry,
  ok,
  type Result,
  type TikvError,
} from "../base/index.js";
import { dataRange, REGION_META_MAX_KEY, REGION_META_MIN_KEY } from "../codec/index.js";
import type { CfName, Engine } from "../engine/index.js";
import {
  bootstrapStore,
  checkApiVersion,
  checkStore,
  clearPrepareBootstrapCluster,
  clearPrepareBootstrapKey,
  prepareBootstrapCluster,
} from "./bootstrap.js";
import { DiskMonitor, type StatFs } from "./disk.js";
import {
  decodeRegionLocalState,
  PEER_STATE,
  RAFT_INIT_LOG_TERM,
  readPreparedRegion,
  readRaftLocalState,
  type StoreIdent,
} from "./local_state.js";
import { bindRaftstoreMetrics, RaftstoreMetrics } from "./metrics.js";
import type { RaftstoreOptions } from "./options.js";
import type { PdPort, StoreInfo } from "./pd_port.js";
import { Peer } from "./peer.js";
import { equalRegions, initialRegion, type RegionError, type RegionInfo } from "./region.js";
import { checkRequest, type PeerView, type RequestHeader } from "./request_check.js";
import { PdRetry, pdError } from "./retry.js";
import { PdWorker } from "./workers/pd.js";

export interface StoreDeps {
  readonly engine: Engine;
  readonly pd: PdPort;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
  readonly statFs: StatFs;
  /** Ends the waits of the start when aborted. */
  readonly signal: AbortSignal;
  /** PD has removed this store: the process must end with the error's words. */
  readonly onFatal: (error: TikvError) => void;
  /** Called after each durable step of the first start; tests stop there. */
  readonly onStep?: (step: BootstrapStep) => void;
}

export type BootstrapStep =
  | "store id allocated"
  | "store ident written"
  | "region prepared"
  | "cluster bootstrapped"
  | "bootstrap finished"
  | "store registered";

export interface StoreOptions extends RaftstoreOptions {
  /** kvrpcpb.APIVersion of the data. */
  readonly apiVersion: number;
  /** storage.reserve-space, bytes. */
  readonly reserveSpaceBytes: number;
}

const DATA_CFS: readonly CfName[] = ["default", "lock", "write"];

/**
 * Opens the store on an engine and registers it in PD; waits as long as PD is absent.
 * Throws TikvError RUTILE:Store:* when it may not join, and the signal's reason when stopped.
 */
export async function openStore(options: StoreOptions, deps: StoreDeps): Promise<Store> {
  const retry = new PdRetry({
    clock: deps.clock,
    logger: deps.logger,
    signal: deps.signal,
    retryIntervalMs: options.pdRetryIntervalMs,
    logIntervalMs: options.pdRetryLogIntervalMs,
  });
  const starter = new Starter(options, deps, retry);
  const ident = await starter.openIdent();
  const info = storeInfo(options, deps.clock, ident.storeId);
  await starter.bootstrapCluster(info);
  await retry.must("put store", () => deps.pd.putStore(info));
  deps.onStep?.("store registered");
  deps.logger.info("store is registered in pd", {
    store_id: ident.storeId.toString(),
    address: info.address,
  });
  return new Store(options, deps, ident, info);
}

function storeInfo(options: StoreOptions, clock: Clock, id: bigint): StoreInfo {
  const { address, statusAddress, version, gitHash, deployPath, labels } = options;
  const startTimestamp = Math.floor(clock.nowMs() / 1000);
  return { id, address, statusAddress, version, gitHash, deployPath, labels, startTimestamp };
}

/** The steps before a store exists. */
class Starter {
  constructor(
    private readonly options: StoreOptions,
    private readonly deps: StoreDeps,
    private readonly retry: PdRetry,
  ) {}

  async openIdent(): Promise<StoreIdent> {
    const { engine, pd } = this.deps;
    const clusterId = await this.retry.must("get members", () => pd.clusterId());
    const found = checkStore(engine, clusterId);
    if (found !== undefined) return checkApiVersion(engine, found, this.options.apiVersion);
    const storeId = await this.allocId();
    this.deps.onStep?.("store id allocated");
    const ident = { clusterId, storeId, apiVersion: this.options.apiVersion };
    await bootstrapStore(engine, ident);
    this.deps.onStep?.("store ident written");
    return ident;
  }

  private allocId(): Promise<bigint> {
    return this.retry.must("alloc id", () => this.deps.pd.allocId());
  }

  /** Makes the first region of the cluster, unless another store has made it. */
  async bootstrapCluster(info: StoreInfo): Promise<void> {
    const { engine, pd } = this.deps;
    let region = readPreparedRegion(engine);
    if (region === undefined) {
      if (await this.retry.must("is bootstrapped", () => pd.isBootstrapped())) return;
      region = initialRegion(info.id, await this.allocId(), await this.allocId());
      await prepareBootstrapCluster(engine, region);
      this.deps.onStep?.("region prepared");
    }
    await this.offerRegion(info, region);
    this.deps.onStep?.("bootstrap finished");
  }

  /** Offers the prepared region to PD, then keeps it or clears it. */
  private async offerRegion(info: StoreInfo, region: RegionInfo): Promise<void> {
    const { engine, pd, logger } = this.deps;
    const reply = await this.retry.ask("bootstrap", () => pd.bootstrap(info, region));
    if (reply.ok) {
      this.deps.onStep?.("cluster bootstrapped");
      logger.info("cluster is bootstrapped", { region_id: region.id.toString() });
      return clearPrepareBootstrapKey(engine);
    }
    if (reply.error.kind !== "alreadyBootstrapped") throw pdError(reply.error);
    const first = await this.firstRegion();
    // Equal: an earlier attempt of this store got through, and it crashed before it knew.
    if (equalRegions(first, region)) return clearPrepareBootstrapKey(engine);
    logger.info("cluster is already bootstrapped", { region_id: first.id.toString() });
    return clearPrepareBootstrapCluster(engine, region.id);
  }

  /** The region of the empty key; a bootstrapped cluster has one, PD may still be loading it. */
  private async firstRegion(): Promise<RegionInfo> {
    const empty = new Uint8Array(0);
    for (;;) {
      const region = await this.retry.must("get region", () => this.deps.pd.getRegion(empty));
      if (region !== undefined) return region;
      await this.retry.pause("get region", "pd has no region for the empty key");
    }
  }
}

/** An open store. */
export class Store {
  readonly counters = new RaftstoreMetrics();
  readonly disk: DiskMonitor;
  private readonly peersByRegion = new Map<bigint, Peer>();
  /** Invariant: the values of `peersByRegion`, ordered by region id. */
  private sorted: readonly Peer[] = [];
  private readonly worker: PdWorker;
  private readonly startSeconds: number;

  constructor(
    private readonly options: StoreOptions,
    private readonly deps: StoreDeps,
    private readonly ident: StoreIdent,
    private readonly info: StoreInfo,
  ) {
    const { engine, clock, statFs } = deps;
    this.startSeconds = info.startTimestamp;
    this.disk = new DiskMonitor(
      { dataDir: options.dataDir, reserveBytes: options.reserveSpaceBytes },
      { clock, statFs },
    );
    this.loadPeers(engine);
    this.worker = new PdWorker(
      {
        storeIntervalMs: options.pdStoreHeartbeatTickIntervalMs,
        regionIntervalMs: options.pdHeartbeatTickIntervalMs,
        logIntervalMs: options.pdRetryLogIntervalMs,
      },
      {
        pd: deps.pd,
        clock,
        logger: deps.logger,
        metrics: this.counters,
        storeStats: (interval) => this.storeStats(interval),
        regionReports: (interval) => this.regionReports(interval),
        register: () => this.register(),
        onRefused: deps.onFatal,
      },
    );
    bindRaftstoreMetrics(deps.metrics, this.counters, () => this.gauges());
  }

  get storeId(): bigint {
    return this.ident.storeId;
  }

  get clusterId(): bigint {
    return this.ident.clusterId;
  }

  /** Starts the heartbeats; call when requests are served, for PD then sends clients here. */
  start(): void {
    this.worker.start();
  }

  /** Ends the heartbeats; resolves when none is under way. */
  stop(): Promise<void> {
    return this.worker.stop();
  }

  /** Returns all peers, ordered by region id; another array once a peer has changed. */
  peers(): readonly Peer[] {
    return this.sorted;
  }

  peer(regionId: bigint): Peer | undefined {
    return this.peersByRegion.get(regionId);
  }

  /** Returns the peer that may serve a request, or the region error; see request_check.ts. */
  check(header: RequestHeader): Result<Peer, RegionError> {
    const found = checkRequest(header, this.storeId, (id): PeerView | undefined =>
      this.peersByRegion.get(id),
    );
    if (found.ok) return ok(this.peersByRegion.get(header.regionId) as Peer);
    this.counters.onRefused(found.error);
    return err(found.error);
  }

  private loadPeers(engine: Engine): void {
    const snapshot = engine.snapshot();
    const iter = snapshot.iterate("raft", {
      lower: REGION_META_MIN_KEY,
      upper: REGION_META_MAX_KEY,
    });
    for (let more = iter.seekToFirst(); more; more = iter.next()) {
      const { state, region } = decodeRegionLocalState(iter.value());
      if (state === PEER_STATE.Tombstone) continue;
      const own = region.peers.find((peer) => peer.storeId === this.storeId);
      assert(own !== undefined, "a region on this store has a peer on this store");
      const term = readRaftLocalState(snapshot, region.id)?.term ?? RAFT_INIT_LOG_TERM;
      this.peersByRegion.set(region.id, new Peer(region, own, BigInt(term)));
    }
    iter.close();
    snapshot.close();
    // The keys are big-endian ids, so they came in order.
    this.sorted = [...this.peersByRegion.values()];
  }

  private async register(): Promise<void> {
    const reply = await this.deps.pd.putStore(this.info);
    if (!reply.ok && reply.error.kind !== "unavailable") this.deps.onFatal(pdError(reply.error));
  }

  private space(): { capacity: number; available: number; used: number } {
    const { capacity, available } = this.disk.current();
    const limit = this.options.capacityBytes;
    const used = this.deps.engine.stats().sizeBytes;
    if (limit === 0 || limit >= capacity) return { capacity, available, used };
    return { capacity: limit, available: Math.max(0, Math.min(available, limit - used)), used };
  }

  private gauges(): {
    regionCount: number;
    leaderCount: number;
    capacity: number;
    available: number;
    used: number;
  } {
    const peers = this.peers();
    const leaderCount = peers.filter((peer) => peer.isLeader).length;
    return { regionCount: peers.length, leaderCount, ...this.space() };
  }

  private storeStats(interval: {
    start: number;
    end: number;
  }): Parameters<PdPort["storeHeartbeat"]>[0] {
    const { capacity, available, used } = this.space();
    const flow = { bytesWritten: 0, keysWritten: 0, bytesRead: 0, keysRead: 0 };
    for (const peer of this.peersByRegion.values()) {
      const part = peer.storeFlow.take();
      flow.bytesWritten += part.bytesWritten;
      flow.keysWritten += part.keysWritten;
      flow.bytesRead += part.bytesRead;
      flow.keysRead += part.keysRead;
    }
    return {
      storeId: this.storeId,
      capacity,
      available,
      usedSize: used,
      regionCount: this.peersByRegion.size,
      startTime: this.startSeconds,
      isBusy: false,
      ...flow,
      interval,
    };
  }

  private regionReports(interval: {
    start: number;
    end: number;
  }): Parameters<PdPort["regionHeartbeat"]>[0][] {
    return this.peers()
      .filter((peer) => peer.isLeader)
      .map((peer) => ({
        region: peer.region,
        leaderPeerId: peer.peerId,
        term: peer.term,
        ...peer.regionFlow.take(),
        ...approximate(this.deps.engine, peer.region),
        interval,
      }));
  }
}

const SAMPLE_KEYS = 256;

/** Approximate bytes and keys of a region: the size by the engine, keys by a sample's mean size. */
function approximate(
  engine: Engine,
  region: RegionInfo,
): { approximateSize: number; approximateKeys: number } {
  const { start, end } = dataRange(region.startKey, region.endKey);
  let approximateSize = 0;
  for (const cf of DATA_CFS) approximateSize += engine.approximateSize(cf, { start, end });
  const snapshot = engine.snapshot();
  const iter = snapshot.iterate("default", { lower: start, upper: end, fillCache: false });
  iter.seekToFirst();
  const sample = iter.take(SAMPLE_KEYS, Number.MAX_SAFE_INTEGER);
  const ended = !iter.valid;
  iter.close();
  snapshot.close();
  const count = sample.keys.length;
  if (ended) return { approximateSize, approximateKeys: count };
  let bytes = 0;
  for (let i = 0; i < count; i++) {
    bytes += (sample.keys[i] as Uint8Array).length + (sample.values[i] as Uint8Array).length;
  }
  const keys = Math.round(approximateSize / (bytes / count));
  return { approximateSize, approximateKeys: Math.max(keys, count) };
}
