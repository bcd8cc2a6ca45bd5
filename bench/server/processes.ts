/** Child processes of the server benches, pinned: servers to core 0, the loader to core 1. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { EngineBinding } from "../../src/engine/index.js";
import type { LoadJob, LoadResult } from "./job.js";

const SERVER_CORE = "0";
const LOADER_CORE = "1";

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
  const [program, list] = hasTaskset
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
}

/** Starts a store with `keys` keys; `kernel` is a value of KERNEL. */
export async function startStoreProcess(
  binding: EngineBinding,
  keys: number,
  kernel = "",
): Promise<{ child: Child; address: StoreAddress }> {
  const directory = mkdtempSync(join(tmpdir(), "rutile-bench-"));
  const args = [script("store"), binding, join(directory, "db"), String(keys)];
  const env = kernel === "" ? {} : { KERNEL: kernel };
  const child = new Child(pinned(SERVER_CORE, process.execPath, args, env), directory);
  return { child, address: await child.read<StoreAddress>() };
}

/** Starts the echo server. */
export async function startEchoProcess(
  responses: number,
): Promise<{ child: Child; address: StoreAddress }> {
  const child = new Child(
    pinned(SERVER_CORE, process.execPath, [script("echo"), String(responses)]),
  );
  const { port } = await child.read<{ port: number }>();
  const none = { clusterId: "0", regionId: "0", confVer: "0", version: "0" };
  return { child, address: { port, ...none, peerId: "0", storeId: "0" } };
}

/** Runs one load to its end. */
export async function runLoad(job: LoadJob): Promise<LoadResult> {
  const args = [script("load"), JSON.stringify(job)];
  const child = new Child(pinned(LOADER_CORE, process.execPath, args));
  const result = await child.read<LoadResult>();
  await child.stop();
  return result;
}
