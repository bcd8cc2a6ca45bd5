/**
 * All in one: PD and a store in one process, talking over loopback gRPC as if they were two. What
 * they share is the environment (log, metrics, stop). Start reading here.
 */
import { resolve } from "node:path";
import { type Loaded, type LogOptions, logOptions } from "../config/index.js";
import { startAndAnnounce } from "./announce.js";
import type { RunOptions } from "./environment.js";
import { type PdNode, startPdNode } from "./pd_node.js";
import { openRun } from "./run.js";
import { startTikvNode, type TikvNode } from "./tikv_node.js";

/** Where `start` keeps its data; the store's and PD's directories usually lie below `base`. */
export interface PlaygroundDirs {
  readonly base: string;
  readonly pd: string;
  readonly store: string;
}

/** The log of `start`: without a file it shares the terminal with the block, so only warnings. */
function quietLog(config: Loaded<"start">): LogOptions {
  const log = logOptions(config.values);
  const isQuiet = log.filename === "" && !config.given.has("log.level");
  return isQuiet ? { ...log, level: "warn" } : log;
}

/** Runs PD and a store until a signal. Throws TikvError when it cannot start. */
export async function runPlayground(
  config: Loaded<"start">,
  dirs: PlaygroundDirs,
  run: RunOptions,
): Promise<void> {
  const { values } = config;
  const env = openRun(config, quietLog(config), values["server.graceful-shutdown-timeout"], run);
  const inMemory = run.memory || values["engine.binding"] === "memory";
  await startAndAnnounce(env, async () => {
    const pd: PdNode = await startPdNode(values, inMemory ? "" : dirs.pd, "--pd-addr", env);
    const store: TikvNode = await startTikvNode(
      { config: values, dataDir: inMemory ? "" : dirs.store, pdEndpoints: [pd.address] },
      env,
    );
    return {
      pd: pd.address,
      store: store.address,
      status: store.statusAddress,
      listen: store.listenAddress,
      data_dir: inMemory ? "" : resolve(dirs.base),
      engine: store.engine,
    };
  });
}
