/**
 * A store: engine, ports, PD client, storage, gRPC, in the order in which they need each other. Each
 * part's stop is added right after its start, so that a process stopped half way stops what it has.
 */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { assert, idToNumber, Prng } from "../base/index.js";
import type { Host } from "../config/index.js";
import {
  configToJson,
  formatAddress,
  parseAddress,
  TIKV_FIELDS,
  type TikvConfig,
} from "../config/index.js";
import { type Engine, openEngine } from "../engine/index.js";
import { type Kernels, loadKernels } from "../kernel/index.js";
import { PdClient, type PdClientConfig } from "../pd_client/index.js";
import {
  MemorySnapDisk,
  MemorySnapFiles,
  NodeSnapFiles,
  type SnapFiles,
  type TransportHooks,
} from "../raftstore/index.js";
import {
  DeadlockClient,
  listenTikvServer,
  type RaftSource,
  type RaftTransport,
  startRaftTransport,
  type TikvListener,
} from "../server/index.js";
import { listenStatus, type StatusSources } from "../status/index.js";
import { type OpenDeadlockTransport, type RunningStore, startStore } from "../storage/index.js";
import { bindEngineMetrics } from "./bind_metrics.js";
import type { Environment } from "./environment.js";
import { advertised, listenOn } from "./ports.js";
import { realTimers } from "./real_timers.js";
import { checkDataDir } from "./startup_checks.js";
import {
  engineOptions,
  raftstoreOptions,
  raftTransportOptions,
  serverOptions,
  storageOptions,
} from "./tikv_options.js";

export interface TikvNodeOptions {
  readonly config: TikvConfig;
  /** Empty = in memory. */
  readonly dataDir: string;
  /** host:port each. */
  readonly pdEndpoints: readonly string[];
  /** Opens the client of PD in another way than usual; it gets this store's options. */
  readonly openPd?: (config: PdClientConfig) => PdClient;
}

export interface TikvNode {
  /** What clients connect to. */
  readonly address: string;
  /** Where gRPC really listens. */
  readonly listenAddress: string;
  /** null without a status server. */
  readonly statusAddress: string | null;
  /** The binding that opened. */
  readonly engine: string;
}

/** The subdirectory of the data directory that is RocksDB's, as in TiKV. */
const ENGINE_DIR = "db";
/** The part of the grace period that requests get; the rest is for storage and the engine. */
const DRAIN_SHARE = 0.75;

/** Starts a store and waits until it serves requests; as long as PD is absent. */
export async function startTikvNode(
  { config, dataDir, openPd, pdEndpoints }: TikvNodeOptions,
  env: Environment,
): Promise<TikvNode> {
  const { metrics, clock, signal, shutdown, fatal } = env;
  const logger = env.logger.child({ component: "tikv" });
  const engine = await openStoreEngine(config, dataDir, env);
  const kernels = loadKernels();
  const running: { store?: RunningStore } = {};
  const listener = await bindStore(config, kernels, env);
  const statusAddress = await bindStatus(config, running, env);
  const pdConfig = { endpoints: pdEndpoints, log: logger };
  const pd = openPd === undefined ? new PdClient(pdConfig) : openPd(pdConfig);
  shutdown.add("pd client", async () => pd.close());
  const bound = { host: hostOf(config).host, port: listener.port };
  const address = advertised(config["server.advertise-addr"], hostOf(config), bound);
  const placement = { address, statusAddress: statusAddress ?? "", dataDir };
  const raft = raftTransport(config, { kernels, pd }, env);
  const starting = startStore(
    { raftstore: raftstoreOptions(config, placement), storage: storageOptions(config) },
    {
      ...{ engine, pd, clock, logger, metrics, kernels, signal, onFatal: fatal },
      timers: realTimers,
      prng: new Prng(randomBytes(8).readBigUInt64LE()),
      snapFiles: openSnapFiles(dataDir),
      transport: (hooks) => raft.start(hooks).transport,
      checkLeader: { send: (...told) => raft.running?.checkLeader.send(...told) },
      deadlockTransport: raft.deadlockTransport,
    },
  );
  // A stop that comes meanwhile waits for the end of the start: the engine must not close under it.
  shutdown.add("start of the store", async () => {
    if (running.store === undefined) pd.close();
    const started = await starting.catch(() => undefined);
    await started?.stop();
  });
  const store = await starting;
  shutdown.add("store", () => store.stop());
  running.store = store;
  const server = listener.serve(store.storage, raft.running?.service);
  const graceMs = config["server.graceful-shutdown-timeout"] * DRAIN_SHARE;
  shutdown.add("grpc server", () => server.stop(graceMs));
  const listenAddress = formatAddress(bound);
  return { address, listenAddress, statusAddress, engine: engine.description };
}

/** The subdirectory of the data directory that holds received snapshots, as in TiKV. */
const SNAP_DIR = "snap";

interface RaftStarter {
  running?: RaftTransport;
  start(hooks: TransportHooks): RaftTransport;
  /** Asked for after `start`, which tells who this store is. */
  readonly deadlockTransport: OpenDeadlockTransport;
}

/** Longest time in which the leader of deadlock detection is reached, ms. */
const DEADLOCK_CONNECT_TIMEOUT_MS = 2000;

/** Returns what connects a store with the others, once the store is there. */
function raftTransport(
  config: TikvConfig,
  { kernels, pd }: { readonly kernels: Kernels; readonly pd: PdClient },
  env: Environment,
): RaftStarter {
  const { metrics } = env;
  let own: RaftSource | undefined;
  const starter: RaftStarter = {
    start({ storeId, clusterId, events, snapshots }) {
      own = { storeId: idToNumber(storeId), clusterId };
      const logger = env.logger.child({ component: "raft client" });
      const deps = { events, snapshots, pd, kernels, timers: realTimers, logger, metrics };
      const running = startRaftTransport(own, raftTransportOptions(config), deps);
      env.shutdown.add("raft transport", async () => running.close());
      starter.running = running;
      return running;
    },
    deadlockTransport(hooks) {
      assert(own !== undefined, "deadlocks are looked for between stores that have an id");
      const logger = env.logger.child({ component: "deadlock client" });
      const connectTimeoutMs = DEADLOCK_CONNECT_TIMEOUT_MS;
      return new DeadlockClient({ own, pd, logger, connectTimeoutMs }, hooks);
    },
  };
  return starter;
}

function openSnapFiles(dataDir: string): SnapFiles {
  if (dataDir === "") return new MemorySnapFiles(new MemorySnapDisk(), realTimers);
  return new NodeSnapFiles(join(dataDir, SNAP_DIR));
}

function hostOf(config: TikvConfig): Host {
  return parseAddress(config["server.addr"]) as Host;
}

async function openStoreEngine(
  config: TikvConfig,
  dataDir: string,
  env: Environment,
): Promise<Engine> {
  if (dataDir !== "") checkDataDir(dataDir);
  const path = dataDir === "" ? "" : join(dataDir, ENGINE_DIR);
  const engine = await openEngine(engineOptions(config, path, env.fatal));
  env.shutdown.add("engine", () => engine.close());
  bindEngineMetrics(env.metrics, engine, "kv");
  env.logger.info("engine is open", { engine: engine.description, path });
  return engine;
}

async function bindStore(
  config: TikvConfig,
  kernels: Kernels,
  env: Environment,
): Promise<TikvListener> {
  const logger = env.logger.child({ component: "grpc" });
  const wanted = { flag: "--addr", address: hostOf(config), retry: env.options.portRetry };
  const deps = { kernels, clock: env.clock, metrics: env.metrics, logger };
  const options = serverOptions(config);
  const listener = await listenOn(wanted, (at) => listenTikvServer({ ...options, ...at }, deps));
  env.shutdown.add("grpc port", () => listener.close());
  return listener;
}

async function bindStatus(
  config: TikvConfig,
  running: { readonly store?: RunningStore },
  env: Environment,
): Promise<string | null> {
  const configured = config["server.status-addr"];
  if (configured === "") return null;
  const address = parseAddress(configured) as Host;
  const sources: StatusSources = {
    metrics: () => env.metrics.scrape(),
    config: () => configToJson(TIKV_FIELDS, config),
    regionIds: () => running.store?.regions().map((region) => region.id) ?? [],
    regionMeta: (id) => running.store?.regionMeta(id),
    txn: () => running.store?.txnStatus(),
  };
  const logger = env.logger.child({ component: "status" });
  const wanted = { flag: "--status-addr", address, retry: env.options.portRetry };
  const server = await listenOn(wanted, (at) => listenStatus(at, { sources, logger }));
  env.shutdown.add("status server", () => server.close());
  const bound = { host: address.host, port: server.port };
  return advertised(config["server.advertise-status-addr"], address, bound);
}
