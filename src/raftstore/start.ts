/**
 * Opens a store: its identity, the first region of the cluster if nobody made it (bootstrap.ts), and
 * its registration in PD; waits as long as PD is absent. The part of raftstore that has promises.
 * Source: tikv src/server/raft_server.rs.
 */
import type { Clock } from "../base/index.js";
import {
  bootstrapStore,
  checkApiVersion,
  checkStore,
  clearPrepareBootstrapCluster,
  clearPrepareBootstrapKey,
  prepareBootstrapCluster,
} from "./bootstrap.js";
import { readPreparedRegion, type StoreIdent } from "./local_state.js";
import type { StoreInfo } from "./pd_port.js";
import { equalRegions, initialRegion, type RegionInfo } from "./region.js";
import { PdRetry, pdError } from "./retry.js";
import { Store, type StoreDeps, type StoreOptions } from "./store.js";

export interface OpenDeps extends StoreDeps {
  /** Ends the waits of the start when aborted. */
  readonly signal: AbortSignal;
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

/**
 * Opens the store on an engine and registers it in PD. Its peers and heartbeats are the caller's to
 * start.
 * Throws TikvError RUTILE:Store:* when it may not join, and the signal's reason when stopped.
 */
export async function openStore(options: StoreOptions, deps: OpenDeps): Promise<Store> {
  const retry = new PdRetry({
    clock: deps.clock,
    timers: deps.timers,
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
    private readonly deps: OpenDeps,
    private readonly retry: PdRetry,
  ) {}

  async openIdent(): Promise<StoreIdent> {
    const { pd, port } = this.deps;
    const { engine } = port;
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
    const { pd, port } = this.deps;
    const { engine } = port;
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
    const { pd, logger, port } = this.deps;
    const { engine } = port;
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
