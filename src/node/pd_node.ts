/** The placement driver of a process: its options from the configuration, its port, its stop. */
import { randomBytes } from "node:crypto";
import { type Host, type PdConfig, parseAddress } from "../config/index.js";
import { type Engine, openEngine } from "../engine/index.js";
import {
  PD_DEFAULTS,
  type PdDeps,
  type PdOptions,
  type ScheduleConfig,
  startPd,
} from "../pd/index.js";
import { bindEngineMetrics } from "./bind_metrics.js";
import type { Environment } from "./environment.js";
import { startGcLeader } from "./gc_leader_node.js";
import { advertised, listenOn } from "./ports.js";
import { checkDataDir } from "./startup_checks.js";

export interface PdNode {
  /** host:port as really bound. */
  readonly address: string;
  /** The binding that opened. */
  readonly engine: string;
}

function scheduleOptions(config: PdConfig): ScheduleConfig {
  return {
    ...PD_DEFAULTS.schedule,
    maxReplicas: config["replication.max-replicas"],
    locationLabels: config["replication.location-labels"],
    isolationLevel: config["replication.isolation-level"],
    leaderScheduleLimit: config["schedule.leader-schedule-limit"],
    regionScheduleLimit: config["schedule.region-schedule-limit"],
    replicaScheduleLimit: config["schedule.replica-schedule-limit"],
    maxStoreDownTimeMs: config["schedule.max-store-down-time"],
    patrolRegionIntervalMs: config["schedule.patrol-region-interval"],
    lowSpaceRatio: config["schedule.low-space-ratio"],
    tolerantSizeRatio: config["schedule.tolerant-size-ratio"],
    enableJointConsensus: config["schedule.enable-joint-consensus"],
    maxSnapshotCount: config["schedule.max-snapshot-count"],
    maxPendingPeerCount: config["schedule.max-pending-peer-count"],
  };
}

function pdOptions(config: PdConfig, dataDir: string, wanted: Host, at: Host): PdOptions {
  const urls = config["advertise-client-urls"];
  return {
    ...PD_DEFAULTS,
    ...at,
    name: config.name,
    dataDir,
    binding: dataDir === "" ? "memory" : config["engine.binding"],
    advertiseClientUrls: urls.map((url) => `http://${advertised(url, wanted, at)}`),
    schedule: scheduleOptions(config),
    tsoSaveIntervalMs: config["tso-save-interval"],
    tsoUpdateIntervalMs: config["tso-update-physical-interval"],
  };
}

/**
 * Starts PD and waits until it serves requests. `dataDir` is empty in memory; `flag` is the one that
 * chooses the address, for errors.
 */
export async function startPdNode(
  config: PdConfig,
  dataDir: string,
  flag: string,
  env: Environment,
): Promise<PdNode> {
  const { clock, metrics, shutdown, fatal } = env;
  if (dataDir !== "") checkDataDir(dataDir);
  let engine: Engine | undefined;
  const deps: PdDeps = {
    openEngine: async (options) => {
      engine = await openEngine(options);
      return engine;
    },
    clock,
    logger: env.logger.child({ component: "pd" }),
    metrics,
    metricsText: () => metrics.scrape(),
    onFatal: fatal,
    randomU32: () => randomBytes(4).readUInt32LE(),
  };
  const address = parseAddress(config["client-urls"][0] as string) as Host;
  const wanted = { flag, address, retry: env.options.portRetry };
  const pd = await listenOn(wanted, (at) => startPd(pdOptions(config, dataDir, address, at), deps));
  shutdown.add("pd", () => pd.stop());
  // Only now: with --port-retry earlier attempts opened engines that are closed again.
  if (engine !== undefined) bindEngineMetrics(metrics, engine, "pd");
  startGcLeader(config, pd, env);
  return { address: pd.address, engine: pd.engine };
}
