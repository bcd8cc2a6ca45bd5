/** `rutile up`: a PD and stores as child processes, until a signal. */
import { resolve } from "node:path";
import { TikvError } from "../../base/index.js";
import { type Loaded, logOptions } from "../../config/index.js";
import { PdClient } from "../../pd_client/index.js";
import { type Environment, openEnvironment, type RunOptions } from "../environment.js";
import { clearReadyFile, type ReadyInfo, writeReadyFile } from "../ready_file.js";
import { type ChildExit, type ChildServer, exitText } from "./child.js";
import { LocalCluster, type LocalClusterOptions } from "./local_cluster.js";

export type UpOptions = Omit<LocalClusterOptions, "config" | "portRetry">;

/** What the ready file of `up` holds: that of `start` for the first store, and each store. */
export interface UpInfo extends ReadyInfo {
  readonly stores: readonly UpStore[];
  /** host:port of the control server; null without --test-api. */
  readonly test_api: string | null;
}

export interface UpStore {
  readonly name: string;
  readonly pid: number;
  /** What clients connect to. */
  readonly store: string;
  readonly status: string | null;
  /** Empty with --memory. */
  readonly data_dir: string;
}

/** What the terminal gets. */
export interface UpOutput {
  /** A line that a member wrote. */
  onLine(name: string, line: string): void;
  /** What `up` itself has to say, for people. */
  onNotice(text: string): void;
  onReady(info: UpInfo, seconds: number): void;
}

/** Beside the longest stop of a member: PD stops behind the stores. */
const STOP_EXTRA_MS = 20_000;
const REGISTERED_POLL_MS = 50;

/**
 * Runs a cluster until a signal. Before it is ready, the end of any member ends all. Afterwards a
 * dead store is told and the others go on, as in a cluster of hosts; without PD, or without any
 * store, the process fails. Throws TikvError when it cannot start.
 */
export async function runUp(
  config: Loaded<"start">,
  options: UpOptions,
  run: RunOptions,
  output: UpOutput,
): Promise<void> {
  const env = openUp(config, run);
  const deaths = new Deaths(env, output);
  const cluster = new LocalCluster(
    { ...options, config, portRetry: run.portRetry },
    { onDeath: (child, exit) => deaths.tell(child, exit, cluster), onLine: output.onLine },
  );
  env.shutdown.add("members", async () => {
    if (!(await cluster.stop())) throw new Error("a member did not stop cleanly");
  });
  await announceUp(env, output, async () => {
    await Promise.race([startAll(cluster, env.signal), deaths.first]);
    deaths.isReady = true;
    return upInfo(cluster, options.dataDir);
  });
}

/** Builds the environment of a process whose members are other processes. */
export function openUp(config: Loaded<"start">, run: RunOptions): Environment {
  if (run.readyFile !== undefined) clearReadyFile(run.readyFile);
  const { values } = config;
  const redactKeys = values["security.redact-info-log"];
  const graceMs = values["server.graceful-shutdown-timeout"] + STOP_EXTRA_MS;
  const log = { ...logOptions(values), filename: "", level: "warn" } as const;
  return openEnvironment({ log, redactKeys, graceMs }, run);
}

/** Runs `start` and tells what it returns; a failure stops what was started, then is thrown. */
export async function announceUp(
  env: Environment,
  output: UpOutput,
  start: () => Promise<UpInfo>,
): Promise<void> {
  let info: UpInfo;
  try {
    info = await start();
  } catch (error) {
    if (env.shutdown.isRunning) return;
    await env.shutdown.run();
    throw error;
  }
  if (env.shutdown.isRunning) return;
  const { readyFile } = env.options;
  if (readyFile !== undefined) writeReadyFile(readyFile, info);
  output.onReady(info, performance.now() / 1000);
}

/** Ends that nobody asked for: told, and the end of all where nothing can be served any more. */
class Deaths {
  /** Rejects at the first one before the cluster is ready. */
  readonly first: Promise<never>;
  isReady = false;
  readonly #env: Environment;
  readonly #output: UpOutput;
  #reject: (error: unknown) => void = () => undefined;

  constructor(env: Environment, output: UpOutput) {
    this.#env = env;
    this.#output = output;
    this.first = new Promise((_, reject) => {
      this.#reject = reject;
    });
    this.first.catch(() => undefined);
  }

  tell(child: ChildServer, exit: ChildExit, cluster: LocalCluster): void {
    if (this.#env.shutdown.isRunning) return;
    if (!this.isReady) {
      this.#reject(child.startError(exit));
      return;
    }
    const last = child.lastLines.map((line) => `\n  ${line}`).join("");
    this.#output.onNotice(`${child.name} (pid ${child.pid}) ended with ${exitText(exit)}${last}`);
    if (child.name === "pd") void this.#end("PD has ended, so the cluster was stopped");
    else if (cluster.stores.every((store) => store.child.exit !== undefined)) {
      void this.#end("no store is left, so the cluster was stopped");
    }
  }

  async #end(why: string): Promise<void> {
    await this.#env.shutdown.run();
    this.#env.options.onFatal(new TikvError("RUTILE:Start:Child", why));
  }
}

async function startAll(cluster: LocalCluster, signal: AbortSignal): Promise<void> {
  await cluster.start();
  await registered(cluster, signal);
}

/** Resolves when PD knows every store as Up at the address that the store tells. */
async function registered(cluster: LocalCluster, signal: AbortSignal): Promise<void> {
  const pd = new PdClient({ endpoints: [cluster.pdAddress] });
  try {
    for (;;) {
      signal.throwIfAborted();
      const reply = await pd.getAllStores();
      const known = new Map(reply.ok ? reply.value.map((one) => [one.address, one.state]) : []);
      if (cluster.stores.every(({ ready }) => known.get(ready.store as string) === "Up")) return;
      await new Promise((wake) => setTimeout(wake, REGISTERED_POLL_MS));
    }
  } finally {
    pd.close();
  }
}

function upInfo(cluster: LocalCluster, dataDir: string): UpInfo {
  const first = cluster.stores[0] as LocalCluster["stores"][number];
  return {
    ...first.ready,
    pd: cluster.pdAddress,
    data_dir: dataDir === "" ? "" : resolve(dataDir),
    test_api: null,
    stores: cluster.stores.map(({ child, dataDir: own, name, ready }) => ({
      name,
      pid: child.pid,
      store: ready.store as string,
      status: ready.status,
      data_dir: own,
    })),
  };
}
