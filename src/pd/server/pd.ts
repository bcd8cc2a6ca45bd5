/**
 * Starts and stops an embedded PD. Order of start: engine, cluster id, cluster, first timestamp
 * window, port; so nothing is answered before it can be answered rightly. Stop is the reverse.
 */
import type { RequestListener } from "node:http";
import { type Clock, type Logger, type MetricsRegistry, Prng } from "../../base/index.js";
import type { Engine, EngineOptions } from "../../engine/index.js";
import type { ServiceName } from "../../pb/index.js";
import { EtcdStore, engineKv, type Kv, loadClusterId, saveClusterId } from "../storage/index.js";
import { RaftCluster } from "./cluster.js";
import { etcdKvHandlers } from "./etcd_kv_service.js";
import { etcdCluster, etcdMaintenance } from "./etcd_service.js";
import { type ClientPortServices, openClientPort } from "./front.js";
import { type PdGc, pdGc } from "./gc_control.js";
import { GcManager } from "./gc_manager.js";
import { pdHandlers } from "./grpc_service.js";
import { HeartbeatStreams } from "./hb_streams.js";
import { healthHandlers } from "./health_service.js";
import { httpApi } from "./http_api.js";
import { durationText } from "./http_json.js";
import { IdService } from "./id.js";
import type { Json } from "./json.js";
import { keyspaceHandlers } from "./keyspace_service.js";
import { type Member, memberId } from "./member.js";
import { metaStorageHandlers } from "./meta_storage_service.js";
import { bindStateMetrics, type PdMetrics, pdMetrics } from "./metrics.js";
import { PD_VERSION, type PdOptions } from "./options.js";
import { Saves } from "./saves.js";
import { configSection } from "./schedule_config.js";
import { driveScheduling } from "./schedule_driver.js";
import { probeStore, type StoreProbe } from "./store_probe.js";
import { pdStreams } from "./streams.js";
import { TsoService } from "./tso.js";
import { type Handlers, unaryService } from "./unary.js";

export interface PdDeps {
  /** engine/index.ts openEngine; tests bring their own. */
  readonly openEngine: (options: EngineOptions) => Promise<Engine>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
  /** Text of /metrics; without it that path is 404. */
  readonly metricsText?: () => Promise<string>;
  /** Called once with a failed write: PD must not go on. */
  readonly onFatal: (error: Error) => void;
  /** 32 random bits: for a new cluster's id and for the seed of scheduling's choices. */
  readonly randomU32: () => number;
  /** Asks the old address of a store that moves; the default asks over gRPC. */
  readonly probe?: StoreProbe;
}

export interface Pd {
  /** host:port as really bound. */
  readonly address: string;
  /** URLs that clients are told, with scheme. */
  readonly clientUrls: readonly string[];
  readonly clusterId: bigint;
  /** The binding that opened, for people. */
  readonly engine: string;
  /** Safe points for whoever leads GC in PD's name. */
  readonly gc: PdGc;
  /** Finishes running calls for at most `limits.shutdownGraceMs`, then closes the data. */
  stop(): Promise<void>;
}

const BLOCK_CACHE_BYTES = 8 * 1024 * 1024;
const WRITE_BUFFER_BYTES = 4 * 1024 * 1024;

/** Returns the id of this directory's cluster; a new one has the time in its high half, as PD's. */
async function ownClusterId(kv: Kv, deps: PdDeps): Promise<bigint> {
  const known = loadClusterId(kv);
  if (known !== undefined) return known;
  const seconds = BigInt(Math.floor(deps.clock.nowMs() / 1000));
  const id = BigInt.asUintN(64, (seconds << 32n) | BigInt(deps.randomU32() >>> 0));
  await saveClusterId(kv, id);
  deps.logger.info("init cluster id", { cluster_id: id });
  return id;
}

function hostPort(host: string, port: number): string {
  return host.includes(":") && !host.startsWith("[") ? `[${host}]:${port}` : `${host}:${port}`;
}

function configJson({ cluster, options, member }: Parts): Json {
  const { clientUrls } = member();
  return {
    name: options.name,
    "data-dir": options.dataDir,
    "client-urls": clientUrls.join(","),
    "advertise-client-urls": clientUrls.join(","),
    "tso-save-interval": durationText(options.tsoSaveIntervalMs),
    "tso-update-physical-interval": `${options.tsoUpdateIntervalMs}ms`,
    schedule: configSection(cluster.config, "schedule"),
    replication: configSection(cluster.config, "replication"),
    "cluster-version": PD_VERSION,
  };
}

/** The engine and whoever waited for the write both report a failed one. */
function onceOnly(onFatal: (error: Error) => void): (error: Error) => void {
  let called = false;
  return (error) => {
    if (!called) onFatal(error);
    called = true;
  };
}

/**
 * Starts a PD. Rejects with a TikvError: RUTILE:Engine:* or KV:Engine:Codec for the data directory,
 * RUTILE:Net:* for the port; nothing stays open then.
 */
export async function startPd(options: PdOptions, given: PdDeps): Promise<Pd> {
  const deps = { ...given, onFatal: onceOnly(given.onFatal) };
  const engine = await deps.openEngine({
    path: options.binding === "memory" ? "" : options.dataDir,
    binding: options.binding,
    blockCacheBytes: BLOCK_CACHE_BYTES,
    writeBufferBytes: WRITE_BUFFER_BYTES,
    onFatal: deps.onFatal,
  });
  try {
    return await startOn(engine, options, deps);
  } catch (error) {
    await engine.close();
    throw error;
  }
}

/** What the services of one PD share. */
interface Parts {
  readonly cluster: RaftCluster;
  readonly tso: TsoService;
  readonly ids: IdService;
  readonly gc: GcManager;
  readonly store: EtcdStore;
  readonly saves: Saves;
  readonly heartbeats: HeartbeatStreams;
  readonly metrics: PdMetrics;
  readonly member: () => Member;
  readonly options: PdOptions;
  readonly deps: PdDeps;
}

function grpcServices(parts: Parts): ClientPortServices["grpc"] {
  const { cluster, member, metrics, options, deps } = parts;
  const { clock, logger } = deps;
  const etcd = { clusterId: cluster.id, member };
  const pendingMax = options.limits.streamPendingMax;
  const streams = pdStreams({ ...parts, logger, pendingMax });
  const unary = <S extends ServiceName>(name: S, handlers: Handlers<S>) =>
    [name, unaryService(name, handlers, { clock, logger, metrics })] as const;
  const [pdName, pdUnary] = unary("pdpb.PD", pdHandlers(parts));
  return [
    [pdName, { ...pdUnary, ...streams }],
    unary("keyspacepb.Keyspace", keyspaceHandlers(cluster)),
    unary("meta_storagepb.MetaStorage", metaStorageHandlers(cluster)),
    unary("etcdserverpb.Cluster", etcdCluster(etcd)),
    unary("etcdserverpb.KV", etcdKvHandlers({ ...parts, clusterId: cluster.id })),
    unary("etcdserverpb.Maintenance", etcdMaintenance(etcd)),
    unary("grpc.health.v1.Health", healthHandlers()),
  ];
}

function httpListener(parts: Parts): RequestListener {
  const { cluster, gc, member, deps } = parts;
  const nowMs = (): number => deps.clock.nowMs();
  return httpApi({
    cluster,
    gc,
    member,
    nowMs,
    startedSeconds: Math.floor(nowMs() / 1000),
    monotonicMs: () => deps.clock.monotonicMs(),
    config: () => configJson(parts),
    metricsText: deps.metricsText,
    logger: deps.logger,
  });
}

async function startOn(engine: Engine, options: PdOptions, deps: PdDeps): Promise<Pd> {
  const { clock, logger, onFatal } = deps;
  const { limits } = options;
  const kv = engineKv(engine);
  const clusterId = await ownClusterId(kv, deps);
  const ids = new IdService(kv, clusterId);
  const metrics = pdMetrics(deps.metrics);
  const heartbeats = new HeartbeatStreams(clusterId, (event) => {
    metrics.orders.inc(1, { type: "push", status: event });
  });
  const seed = (BigInt(deps.randomU32()) << 32n) | BigInt(deps.randomU32());
  const cluster = new RaftCluster(
    clusterId,
    { schedule: options.schedule, probeTimeoutMs: limits.probeTimeoutMs },
    {
      kv,
      clock,
      logger,
      onFatal,
      ids,
      probe: deps.probe ?? probeStore,
      prng: new Prng(seed),
      sendOrder: (order) => heartbeats.send(order),
    },
  );
  const tso = new TsoService(
    {
      pendingMax: limits.tsoPendingMax,
      saveIntervalMs: options.tsoSaveIntervalMs,
      updateIntervalMs: options.tsoUpdateIntervalMs,
    },
    { kv, clusterId, clock, onFatal },
  );
  const id = memberId(clusterId, options.name);
  let member: Member = { name: options.name, id, clientUrls: [], peerUrls: [] };
  const saves = new Saves(kv, onFatal);
  const store = new EtcdStore(kv);
  const gc = new GcManager(clusterId, { kv, etcd: store, saves, clock, logger });
  const own = { cluster, tso, ids, gc, store, saves, heartbeats, metrics };
  const parts: Parts = { ...own, member: () => member, options, deps };
  bindStateMetrics(deps.metrics, {
    cluster,
    gc,
    tso,
    nowMs: () => clock.nowMs(),
    monotonicMs: () => clock.monotonicMs(),
  });
  await ids.reserve();
  await tso.start();
  try {
    const services = { grpc: grpcServices(parts), http: httpListener(parts) };
    const frontDeps = { logger, clock, metrics: deps.metrics };
    const port = await openClientPort(options, limits, services, frontDeps);
    const address = hostPort(options.host, port.port);
    const given = options.advertiseClientUrls;
    const clientUrls = given.length > 0 ? given : [`http://${address}`];
    const peers = options.advertisePeerUrls;
    // Nothing can have been asked yet: connections are read in a later turn of the loop.
    member = { ...member, clientUrls, peerUrls: peers.length > 0 ? peers : clientUrls };
    logger.info("pd serves", { address, cluster_id: clusterId });
    const endTicks = driveScheduling(cluster);
    const stop = async (): Promise<void> => {
      endTicks();
      await port.stop();
      await tso.stop();
      // Writes in flight finish before the engine closes.
      await engine.close();
    };
    const description = engine.description;
    return {
      address,
      clientUrls,
      clusterId,
      engine: description,
      gc: pdGc(cluster, tso, gc),
      stop,
    };
  } catch (error) {
    await tso.stop();
    throw error;
  }
}
