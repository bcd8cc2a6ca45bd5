/** Runs one role in a process of its own; what `rutile store` and `rutile pd` do. */
import { resolve } from "node:path";
import { type Loaded, type LogOptions, logOptions } from "../config/index.js";
import { startAndAnnounce } from "./announce.js";
import { type Environment, openEnvironment, type RunOptions } from "./environment.js";
import { startPdNode } from "./pd_node.js";
import { clearReadyFile } from "./ready_file.js";
import { startTikvNode } from "./tikv_node.js";

/** Builds the environment of a process; removes a ready file that an earlier one left. */
export function openRun(
  config: Loaded<"start" | "store" | "pd">,
  log: LogOptions,
  graceMs: number,
  run: RunOptions,
): Environment {
  if (run.readyFile !== undefined) clearReadyFile(run.readyFile);
  const redactKeys = config.values["security.redact-info-log"];
  return openEnvironment({ log, redactKeys, graceMs }, run);
}

/** Runs a store until a signal. Throws TikvError when it cannot start. */
export async function runStore(config: Loaded<"store">, run: RunOptions): Promise<void> {
  const { values } = config;
  const graceMs = values["server.graceful-shutdown-timeout"];
  const env = openRun(config, logOptions(values), graceMs, run);
  const inMemory = run.memory || values["engine.binding"] === "memory";
  const dataDir = inMemory ? "" : values["storage.data-dir"];
  const pdEndpoints = values["pd.endpoints"];
  await startAndAnnounce(env, async () => {
    const store = await startTikvNode({ config: values, dataDir, pdEndpoints }, env);
    return {
      pd: null,
      store: store.address,
      status: store.statusAddress,
      listen: store.listenAddress,
      data_dir: inMemory ? "" : resolve(dataDir),
      engine: store.engine,
    };
  });
}

/** PD has no key for this; a stop of PD only ends streams. */
const PD_GRACE_MS = 20_000;

/** Runs PD until a signal. Throws TikvError when it cannot start. */
export async function runPd(config: Loaded<"pd">, run: RunOptions): Promise<void> {
  const { values } = config;
  const env = openRun(config, logOptions(values), PD_GRACE_MS, run);
  const inMemory = run.memory || values["engine.binding"] === "memory";
  const dataDir = inMemory ? "" : values["data-dir"];
  await startAndAnnounce(env, async () => {
    const pd = await startPdNode(values, dataDir, "--client-urls", env);
    return {
      pd: pd.address,
      store: null,
      status: null,
      listen: null,
      data_dir: inMemory ? "" : resolve(dataDir),
      engine: pd.engine,
    };
  });
}
