/** Real `rutile` processes on loopback: started, awaited by their ready file, always ended. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { tmpDir } from "./tmp.js";
import { within } from "./within.js";

const MAIN = join(dirname(fileURLToPath(import.meta.url)), "../../src/cli/main.js");
/** Four processes start on a machine that has much else to do. */
const READY_LIMIT_MS = 120_000;

/** What --ready-file holds. */
export interface Ready {
  readonly pd: string | null;
  readonly store: string | null;
  readonly status: string | null;
  readonly listen: string | null;
  readonly data_dir: string;
  readonly engine: string | null;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface SpawnOptions {
  /** False for a command that takes no --ready-file; default true. */
  readonly isServer?: boolean;
  readonly env?: Readonly<Record<string, string>>;
  /** A program that runs the command line behind it, such as a shell that sets limits. */
  readonly under?: readonly string[];
}

/** One process of the command line. */
export class Rutile {
  readonly child: ChildProcess;
  readonly exited: Promise<Exit>;
  stdout = "";
  stderr = "";
  #exit: Exit | undefined;
  readonly #readyFile: string;

  /** `args` without --ready-file, which a server gets beside them. */
  constructor(args: readonly string[], options: SpawnOptions = {}) {
    this.#readyFile = join(tmpDir("ready"), "ready.json");
    // Its input closes with the test's process, however that ends: no server outlives its test.
    const own = ["--ready-file", this.#readyFile, "--stop-with-stdin"];
    const all = options.isServer === false ? args : [...args, ...own];
    const [program, ...line] = [...(options.under ?? []), process.execPath, MAIN, ...all];
    this.child = spawn(program as string, line, {
      env: { ...process.env, ...options.env },
      stdio: [options.isServer === false ? "ignore" : "pipe", "pipe", "pipe"],
    });
    running.add(this.child);
    this.child.stdout?.on("data", (chunk: Buffer) => {
      this.stdout += chunk.toString();
    });
    this.child.stderr?.on("data", (chunk: Buffer) => {
      this.stderr += chunk.toString();
    });
    this.exited = new Promise((resolve) => {
      this.child.once("close", (code, signal) => {
        running.delete(this.child);
        this.#exit = { code, signal };
        resolve(this.#exit);
      });
    });
  }

  /** Waits for the ready file; where it does not come, ends the process and rejects with its output. */
  async ready(): Promise<Ready> {
    try {
      return await within(READY_LIMIT_MS, `ready file of pid ${this.child.pid}`, () => {
        if (existsSync(this.#readyFile)) return JSON.parse(readFileSync(this.#readyFile, "utf8"));
        if (this.#exit !== undefined) throw new Error("ended before ready");
        return undefined;
      });
    } catch (error) {
      await this.kill();
      throw new Error(`${(error as Error).message}: ${this.stderr}`);
    }
  }

  /** Sends SIGTERM and waits for the end. */
  stop(): Promise<Exit> {
    this.child.kill("SIGTERM");
    return this.exited;
  }

  /** Sends SIGKILL and waits for the end. */
  kill(): Promise<Exit> {
    this.child.kill("SIGKILL");
    return this.exited;
  }

  get stderrLines(): string[] {
    return this.stderr.split("\n").filter((line) => line !== "");
  }
}

const running = new Set<ChildProcess>();

process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

/** Flags that let any number of `rutile start` run beside each other. */
export const ANY_PORTS: readonly string[] = [
  "--pd-addr",
  "127.0.0.1:0",
  "--addr",
  "127.0.0.1:0",
  "--status-addr",
  "127.0.0.1:0",
];

/** Runs a command that ends by itself. */
export async function runRutile(
  args: readonly string[],
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const command = new Rutile(args, { isServer: false });
  const { code } = await command.exited;
  return { code, stdout: command.stdout, stderr: command.stderr };
}
