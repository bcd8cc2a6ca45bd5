/** A `rutile start` that serves, for tests over the wire: rutile.ts with a config and a folder. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { ANY_PORTS, Rutile } from "./rutile.js";
import { tmpDir } from "./tmp.js";

/** What `--ready-file` holds, of a node with all roles. */
export interface Ready {
  readonly pd: string;
  readonly store: string;
  readonly status: string;
  readonly data_dir: string;
  readonly engine: string;
}

export interface RutileProcess {
  readonly ready: Ready;
  /** All that the process printed so far: stdout, then stderr. */
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
  const dataDir = options.dataDir ?? join(folder, "data");
  const args = [...(options.args ?? ["start", ...ANY_PORTS]), "--data-dir", dataDir];
  if (options.config !== undefined) {
    const file = join(folder, "rutile.toml");
    writeFileSync(file, options.config);
    args.push("--config", file);
  }
  const rutile = new Rutile(args, options.env === undefined ? {} : { env: options.env });
  return {
    ready: (await rutile.ready()) as Ready,
    output: () => rutile.stdout + rutile.stderr,
    stop: async () => (await rutile.stop()).code,
  };
}
