/** Starts engine_child.ts, alone or under a tracer, and collects its lines. */
import { type ChildProcess, spawn } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { EngineBinding } from "../../src/engine/index.js";

const PROGRAM = join(dirname(fileURLToPath(import.meta.url)), "engine_child.js");

export interface EngineProcess {
  readonly child: ChildProcess;
  /** Complete lines of standard output so far. */
  readonly lines: string[];
  /** Resolves at the end of the process and its output. */
  readonly ended: Promise<{ readonly code: number | null; readonly signal: string | null }>;
  /** Everything on standard error so far. */
  errors(): string;
}

/** Starts a child; `before` is a command that runs it, such as strace with its options. */
export function startEngine(
  binding: EngineBinding,
  args: readonly string[],
  options: {
    readonly before?: readonly string[];
    readonly onLine?: (line: string, child: ChildProcess) => void;
  } = {},
): EngineProcess {
  const [command = "", ...rest] = [...(options.before ?? []), process.execPath, PROGRAM, ...args];
  const child = spawn(command, rest, {
    env: { ...process.env, RUTILE_ENGINE: binding },
    stdio: ["pipe", "pipe", "pipe"],
  });
  const lines: string[] = [];
  let partial = "";
  let errors = "";
  child.stdout?.on("data", (chunk: Buffer) => {
    const parts = (partial + chunk.toString()).split("\n");
    partial = parts.pop() ?? "";
    for (const line of parts) {
      lines.push(line);
      options.onLine?.(line, child);
    }
  });
  child.stderr?.on("data", (chunk: Buffer) => {
    errors += chunk.toString();
  });
  const ended = new Promise<{ code: number | null; signal: string | null }>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => resolve({ code, signal }));
  });
  return { child, lines, ended, errors: () => errors };
}

/** Runs a child to its end and returns its last line parsed as JSON. Rejects when it fails. */
export async function engineOutcome(
  binding: EngineBinding,
  args: readonly string[],
  before: readonly string[] = [],
): Promise<Readonly<Record<string, string | undefined>>> {
  const run = startEngine(binding, args, { before });
  const { code, signal } = await run.ended;
  if (code !== 0) throw new Error(`${args[0]} ended with ${code ?? signal}: ${run.errors()}`);
  return JSON.parse(run.lines.at(-1) ?? "{}") as Record<string, string | undefined>;
}
