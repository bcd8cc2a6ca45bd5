/** Child processes of the server benches, pinned: servers to core 0, the loader to core 1. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { type EngineBinding, librocksdbPresent } from "../../src/engine/index.js";
import { VALUE_BYTES } from "./data.js";
import type { LoadJob, LoadResult, StoreJob } from "./job.js";

export const SERVER_CORE = "0";
export const LOADER_CORE = "1";
/** No core in particular. */
export const ANY_CORE = "any";

const hasTaskset = spawnSync("taskset", ["-V"]).status === 0;

function script(name: string): string {
  return fileURLToPath(new URL(`./process/${name}.js`, import.meta.url));
}

/** Starts a command on a core; without taskset, anywhere. */
export function pinned(
  core: string,
  command: string,
  args: readonly string[],
  env = {},
  errors: "inherit" | "ignore" = "inherit",
): ChildProcess {
  const [program, list] =
    hasTaskset && core !== ANY_CORE
      ? ["taskset", ["-c", core, command, ...args]]
      : [command, [...args]];
  return spawn(program, list, {
    stdio: ["pipe", "pipe", errors],
    env: { ...process.env, ...env },
  });
}

/** A child that answers each line on stdin with a JSON line. */
export class Child {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #directory: string | undefined;

  constructor(child: ChildProcess, directory?: string) {
    this.#child = child;
    this.#directory = directory;
    const input = child.stdout as NodeJS.ReadableStream;
    this.#lines = createInterface({ input })[Symbol.asyncIterator]();
  }

  async read<T>(): Promise<T> {
    const { value, done } = await this.#lines.next();
    if (done === true) throw new Error("a process of the bench ended early");
    return JSON.parse(value) as T;
  }

  ask<T>(command: string): Promise<T> {
    this.#child.stdin?.write(`${command}\n`);
    return this.read<T>();
  }

  /** Ends the child and removes its directory. */
  async stop(): Promise<void> {
    const ended = new Promise((resolve) => this.#child.once("exit", resolve));
    this.#child.stdin?.end();
    await ended;
    if (this.#directory !== undefined) rmSync(this.#directory, { recursive: true, force: true });
  }
}

/** What a store process says first. */
export type StoreAddress = Pick<
  LoadJob,
  "port" | "clusterId" | "regionId" | "confVer" | "version" | "peerId" | "storeId"
>;

export interface StoreStats {
  readonly cpuUs: number;
  readonly rss: number;
  readonly syncs: number;
  readonly requests: number;
  readonly turns: number;
  readonly cold: number;
  /** 99.9th percentile of the event loop's delay since the answer before. */
  readonly loopP999Ms: number;
}

/** The binding that `engine = "auto"` stands for: both are on disk, so that syncs count. */
export function benchBinding(): EngineBinding {
  return librocksdbPresent() ? "librocksdb" : "rocksdb";
}

const CLOCK_TICK_US = 10_000;

/** Returns CPU time and memory of any process, from /proc; zeros on other systems. */
export function usageOf(pid: number | undefined): { cpuUs: number; rss: number } {
  if (process.platform !== "linux") return { cpuUs: 0, rss: 0 };
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const ticks = Number(fields[11]) + Number(fields[12]);
  const kib = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return { cpuUs: ticks * CLOCK_TICK_US, rss: Number(kib ?? 0) * 1024 };
}

/** Collects what a command prints until it ends. */
export function outputOf(core: string, command: string, args: readonly string[]): Promise<string> {
  const child = pinned(core, command, args);
  let text = "";
  child.stdout?.on("data", (chunk: Buffer) => {
    text += chunk.toString();
  });
  return new Promise((resolve) => child.once("close", () => resolve(text)));
}

const STORE_DEFAULTS = {
  valueBytes: VALUE_BYTES,
  blockCacheBytes: 256 << 20,
  writeBufferBytes: 128 << 20,
  compact: false,
  versions: false,
};

/** RUTILE_BENCH_PROFILE names a directory into which each store process writes its CPU profile. */
function profilerFlags(): string[] {
  const directory = process.env.RUTILE_BENCH_PROFILE ?? "";
  return directory === "" ? [] : ["--cpu-prof", "--cpu-prof-dir", directory];
}

export interface StoreProcess {
  readonly child: Child;
  readonly address: StoreAddress;
}

/** Starts a store with `keys` keys; `kernel` is a value of KERNEL, `program` another build's store. */
async function startStoreProcess(
  options: Pick<StoreJob, "binding" | "keys"> & Partial<StoreJob>,
  kernel = "",
  program = script("store"),
): Promise<StoreProcess> {
  const directory = mkdtempSync(join(tmpdir(), "rutile-bench-"));
  const job: StoreJob = { ...STORE_DEFAULTS, path: join(directory, "db"), ...options };
  const env = kernel === "" ? {} : { KERNEL: kernel };
  const args = [...profilerFlags(), program, JSON.stringify(job)];
  const child = new Child(pinned(SERVER_CORE, process.execPath, args, env), directory);
  return { child, address: await child.read<StoreAddress>() };
}

/** Runs `measure` against a store process, which always ends. */
export async function withStore<T>(
  options: Parameters<typeof startStoreProcess>,
  measure: (store: StoreProcess) => Promise<T>,
): Promise<T> {
  const store = await startStoreProcess(...options);
  try {
    return await measure(store);
  } finally {
    await store.child.stop();
  }
}

/** Starts the echo server. */
export async function startEchoProcess(responses: number): Promise<StoreProcess> {
  const child = new Child(
    pinned(SERVER_CORE, process.execPath, [script("echo"), String(responses)]),
  );
  const { port } = await child.read<{ port: number }>();
  const none = { clusterId: "0", regionId: "0", confVer: "0", version: "0" };
  return { child, address: { port, ...none, peerId: "0", storeId: "0" } };
}

/** Runs one load to its end, on the loader's core unless told otherwise. */
export async function runLoad(job: LoadJob, core = LOADER_CORE): Promise<LoadResult> {
  const args = [script("load"), JSON.stringify(job)];
  const child = new Child(pinned(core, process.execPath, args));
  const result = await child.read<LoadResult>();
  await child.stop();
  return result;
}
