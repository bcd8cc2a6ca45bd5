/**
 * A store process on a simulated machine: production's store and storage, opened as a real start
 * does, behind the ports of the simulator.
 */
import { assert, NULL_METRICS } from "../../src/base/index.js";
import type { CfName } from "../../src/engine/index.js";
import { enginePort, type RaftEvents, type SnapshotManager } from "../../src/raftstore/index.js";
import { MemorySnapFiles } from "../../src/raftstore/snapshot/files.js";
import { openStore } from "../../src/raftstore/start.js";
import type { Store, StoreOptions } from "../../src/raftstore/store.js";
import { isStatus, type Rpc, type Served } from "../../src/server/rpc.js";
import { TIKV_RPCS } from "../../src/server/tikv_service.js";
import { TXN_RPCS } from "../../src/server/txn_service.js";
import { type LeaderInfo, STORAGE_DEFAULTS, type StorageOptions } from "../../src/storage/index.js";
import { RaftStorage } from "../../src/storage/storage.js";
import { sharedKernels } from "./kernels.js";
import type { SimOptions } from "./options.js";
import { probeApplied, probePeers } from "./probe.js";
import type { StoreEnv, StoreProcess } from "./process.js";
import { storeOptions } from "./store_options.js";
import type { AppliedState, PeerView } from "./view.js";
import type { KvReply, KvRequest } from "./workload/kv.js";
import { serveKv } from "./workload/service.js";

const RPCS: ReadonlyMap<string, Rpc> = new Map(
  [...TIKV_RPCS, ...TXN_RPCS].map((entry) => [entry.method, entry]),
);
const STORAGE: StorageOptions = {
  ...STORAGE_DEFAULTS,
  ttlCheckPollIntervalMs: 0,
  gcPollIntervalMs: 0,
  advanceTsIntervalMs: 1_000,
  // Simulated disks compact nothing.
  flowControl: { ...STORAGE_DEFAULTS.flowControl, enabled: false },
};
/** With GC; virtual time. */
const GC_POLL_MS = 500;
/** Space of the disk, bytes; the reserve is a tenth. */
const CAPACITY = 1_000_000_000_000;
const FULL_AVAILABLE = 1_000;

/** Replicas collect garbage when each gets to it: then they hold the same locks, not versions. */
function comparedCfs({ hasGc, isTxn }: SimOptions): readonly CfName[] {
  if (!isTxn) return ["default"];
  return hasGc ? ["lock"] : ["default", "lock", "write"];
}

export class SimStoreProcess implements StoreProcess {
  storeId = 0;
  private readonly env: StoreEnv;
  private store: Store | undefined;
  private storage: RaftStorage | undefined;
  private hooks: { readonly events: RaftEvents; readonly snapshots: SnapshotManager } | undefined;

  constructor(env: StoreEnv) {
    this.env = env;
    this.open().catch((error: Error) => env.onFatal(error));
  }

  get events(): RaftEvents | undefined {
    return this.hooks?.events;
  }

  get snapshots(): SnapshotManager | undefined {
    return this.hooks?.snapshots;
  }

  serve(request: KvRequest, answer: (reply: KvReply) => void): void {
    const { storage } = this;
    if (storage === undefined) {
      const error = { kind: "regionNotFound", message: "starting", regionId: 0n } as const;
      answer({ kind: "refused", error });
      return;
    }
    serveKv(storage, request).then(answer, (error: unknown) => this.env.fail(error));
  }

  serveRpc(method: string, request: Uint8Array, answer: (response: Uint8Array) => void): void {
    const { storage } = this;
    const entry = RPCS.get(method);
    assert(entry !== undefined, `${method} is served`);
    if (storage === undefined) return;
    const finish = (served: Served): void => {
      if (isStatus(served)) this.env.fail(new Error(`${method}: ${served.details}`));
      else answer(served);
    };
    const served = entry.serve({ storage, logger: this.env.logger, clock: this.env.host }, request);
    if (served instanceof Promise) served.then(finish, (error: unknown) => this.env.fail(error));
    else finish(served);
  }

  onLeaders(regions: readonly LeaderInfo[]): void {
    this.storage?.onLeaders(regions);
  }

  peers(): readonly PeerView[] {
    return this.store === undefined ? [] : probePeers(this.store.allPeers(), this.env.host);
  }

  appliedState(regionId: number): AppliedState | undefined {
    const { disk, engine, options } = this.env;
    return probeApplied(regionId, engine, disk, comparedCfs(options));
  }

  describe(): string[] {
    if (this.store === undefined) return ["is starting"];
    return [...this.store.allPeers()].map((peer) => {
      const { region, regionId } = peer;
      const epoch = `${region.version}/${region.confVer}`;
      return `region ${regionId} epoch ${epoch} peer ${peer.rawNode.debugState()}`;
    });
  }

  private async open(): Promise<void> {
    const { env } = this;
    const { host, engine, pd, disk, prng, runner, snapDisk, logger, onFatal } = env;
    const port = enginePort(engine, onFatal);
    const store = await openStore(this.options(), {
      port,
      pd,
      clock: host,
      timers: host,
      runner,
      kernels: sharedKernels(),
      prng,
      snapFiles: new MemorySnapFiles(snapDisk, host),
      transport: (hooks) => {
        this.hooks = hooks;
        this.storeId = Number(hooks.storeId);
        return env.transport;
      },
      logger,
      metrics: NULL_METRICS,
      statFs: () => ({ capacity: CAPACITY, available: disk.isFull ? FULL_AVAILABLE : CAPACITY }),
      onFatal,
      signal: new AbortController().signal,
    });
    this.store = store;
    store.start(() => undefined);
    this.storage = new RaftStorage(
      env.options.hasGc ? { ...STORAGE, gcPollIntervalMs: GC_POLL_MS } : STORAGE,
      {
        engine,
        router: store,
        disk: store.disk,
        pd,
        checkLeader: env.checkLeader,
        clock: host,
        timers: host,
        nextTurn: (next) => host.after(0, next),
        metrics: NULL_METRICS,
        logger,
        kernels: sharedKernels(),
      },
    );
    if (env.options.isTxn) this.storage.start();
    store.startHeartbeats();
  }

  private options(): StoreOptions {
    return storeOptions(this.env);
  }
}
