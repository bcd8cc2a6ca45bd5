/**
 * Starts a store: identity and first region (raftstore), then storage over it. Called by
 * node/tikv_node.ts once the gRPC port is bound, since PD is told that port.
 */
import {
  type Clock,
  errorMessage,
  type Logger,
  type MetricsRegistry,
  type Prng,
  TikvError,
  type Timers,
} from "../base/index.js";
import type { Engine } from "../engine/index.js";
import type { Kernels } from "../kernel/index.js";
import {
  type BootstrapStep,
  enginePort,
  openStore,
  type PdPort,
  type RaftstoreOptions,
  type RegionInfo,
  realStatFs,
  regionMeta,
  type SchedulePort,
  type SnapFiles,
  type StatFs,
  type Store,
  type StoreDeps,
} from "../raftstore/index.js";
import type { StorageOptions } from "./options.js";
import type { CheckLeaderPort } from "./resolved_ts/advance.js";
import { RaftStorage } from "./storage.js";
import type { OpenDeadlockTransport } from "./txn_deadlock.js";
import type { Storage } from "./types.js";

export interface StartOptions {
  readonly raftstore: RaftstoreOptions;
  readonly storage: StorageOptions;
}

export interface StartDeps {
  /** Stays the caller's: it is closed after `stop`. */
  readonly engine: Engine;
  readonly pd: PdPort & SchedulePort;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
  /** Of this thread. */
  readonly kernels: Kernels;
  readonly timers: Timers;
  readonly prng: Prng;
  readonly snapFiles: SnapFiles;
  /** Makes the way to other stores. */
  readonly transport: StoreDeps["transport"];
  /** Tells the replicas of regions that this store leads how far they may answer stale reads. */
  readonly checkLeader?: CheckLeaderPort;
  /** Makes the way to the store that leads deadlock detection. */
  readonly deadlockTransport?: OpenDeadlockTransport;
  /** Default: rounds between turns of the event loop. */
  readonly runner?: StoreDeps["runner"];
  /** Aborted while PD is absent, it ends the start: the promise rejects with its reason. */
  readonly signal: AbortSignal;
  /** PD refuses this store while it runs (removed, other cluster): end the process with exit 1. */
  readonly onFatal: (error: TikvError) => void;
  /** For tests; the default asks the operating system. */
  readonly statFs?: StatFs;
  /** For tests that stop after a step. */
  readonly onStep?: (step: BootstrapStep) => void;
}

export interface RunningStore {
  readonly storeId: bigint;
  readonly clusterId: bigint;
  readonly storage: Storage;
  /** Regions of this store, ordered by id. */
  regions(): RegionInfo[];
  /** The JSON of GET /region/{id}, or undefined for a region that is not here. */
  regionMeta(id: bigint): unknown;
  /** The JSON of GET /txn. */
  txnStatus(): unknown;
  /** Answers requests under way, refuses new ones, ends heartbeats. Idempotent. */
  stop(): Promise<void>;
}

/**
 * Starts the store and its heartbeats; waits for PD as long as it is absent, with a log line every
 * 5 s. Throws TikvError RUTILE:Store:* when the store may not join: print it and exit with 1.
 */
export async function startStore(options: StartOptions, deps: StartDeps): Promise<RunningStore> {
  const store = await openStore(
    {
      ...options.raftstore,
      apiVersion: options.storage.apiVersion,
      reserveSpaceBytes: options.storage.reserveSpaceBytes,
    },
    {
      ...deps,
      port: enginePort(deps.engine, (error) => deps.onFatal(asTikvError(error))),
      statFs: deps.statFs ?? realStatFs,
    },
  );
  const { engine, pd, clock, timers, logger, metrics, kernels, deadlockTransport } = deps;
  const storage = new RaftStorage(options.storage, {
    engine,
    router: store,
    disk: store.disk,
    pd,
    clock,
    timers,
    logger,
    metrics,
    kernels,
    ...(deadlockTransport && { deadlockTransport }),
    ...(deps.checkLeader && { checkLeader: deps.checkLeader }),
  });
  // Peers that are alone in their region lead it before requests come.
  await new Promise<void>((resolve) => store.start(resolve));
  store.startHeartbeats();
  storage.start();
  let stopping: Promise<void> | undefined;
  return {
    storeId: store.storeId,
    clusterId: store.clusterId,
    storage,
    regions: () => store.delegates().map((peer) => peer.region),
    regionMeta: (id) => {
      const peer = store.delegate(id);
      return peer === undefined ? undefined : regionMeta(engine, peer);
    },
    txnStatus: () => storage.txnStatus(),
    stop: () => {
      stopping ??= stopStore(storage, store, deps.timers);
      return stopping;
    },
  };
}

/** A write of raftstore that the engine refuses leaves a hole: the store cannot go on. */
function asTikvError(error: Error): TikvError {
  if (error instanceof TikvError) return error;
  return new TikvError("KV:Engine:Engine", errorMessage(error), { cause: error });
}

/** How long writes and reads that the log has not answered may take when the store stops, ms. */
const STOP_WAIT_MS = 3000;

/**
 * Requests are refused first; those under way get their time, and raftstore answers what is left:
 * a region without a quorum answers nothing by itself.
 */
async function stopStore(storage: RaftStorage, store: Store, timers: Timers): Promise<void> {
  storage.close();
  let isLate = false;
  const cancel = timers.after(STOP_WAIT_MS, () => {
    isLate = true;
  });
  while (storage.running > 0 && !isLate) {
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
  cancel();
  await store.stop();
  await storage.stop();
}
