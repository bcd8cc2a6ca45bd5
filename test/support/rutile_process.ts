/** A `rutile start` process on free ports and its own directory, for tests over the wire. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { tmpDir } from "./tmp.js";
import { within } from "./within.js";

const MAIN = fileURLToPath(new URL("../../src/cli/main.js", import.meta.url));
const READY_LIMIT_MS = 60_000;

/** What `--ready-file` holds. */
export interface Ready {
  readonly pd: string;
  readonly store: string;
  readonly status: string;
  readonly data_dir: string;
  readonly engine: string;
}

export interface RutileProcess {
  readonly ready: Ready;
  readonly child: ChildProcess;
  /** All that the process printed so far. */
  output(): string;
  /** Ends it with SIGTERM and resolves with the exit code. */
  stop(): Promise<number | null>;
}

export interface StartOptions {
  /** Sub-command and flags in place of `start` on free loopback ports. */
  readonly args?: readonly string[];
  /** Text of a config file. */
  readonly config?: string;
  readonly dataDir?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** Starts a node and resolves once it serves requests; rejects with its output when it exits. */
export async function startRutile(options: StartOptions = {}): Promise<RutileProcess> {
  const folder = tmpDir("node");
  const readyFile = join(folder, "ready.json");
  const dataDir = options.dataDir ?? join(folder, "data");
  const local = ["--pd-addr", "127.0.0.1:0", "--addr", "127.0.0.1:0", "--status-addr"];
  const args = [...(options.args ?? ["start", ...local, "127.0.0.1:0"])];
  args.push("--data-dir", dataDir, "--ready-file", readyFile);
  if (options.config !== undefined) {
    const file = join(folder, "rutile.toml");
    writeFileSync(file, options.config);
    args.push("--config", file);
  }
  const child = spawn(process.execPath, ["--enable-source-maps", MAIN, ...args], {
    env: { ...process.env, ...options.env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  const collect = (chunk: Buffer): void => {
    output += chunk.toString();
  };
  child.stdout.on("data", collect);
  child.stderr.on("data", collect);
  const killOnExit = (): void => void child.kill("SIGKILL");
  process.on("exit", killOnExit);
  const exited = new Promise<number | null>((resolve) => {
    child.on("exit", (code) => {
      process.off("exit", killOnExit);
      resolve(code);
    });
  });
  await within(READY_LIMIT_MS, "the ready file", () => {
    if (child.exitCode !== null) throw new Error(`exited with ${child.exitCode}:\n${output}`);
    return existsSync(readyFile);
  });
  return {
    ready: JSON.parse(readFileSync(readyFile, "utf8")) as Ready,
    child,
    output: () => output,
    stop: () => {
      child.kill("SIGTERM");
      return exited;
    },
  };
}
