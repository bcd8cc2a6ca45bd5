/**
 * One `rutile` server as a child process: started, awaited by its ready file, always ended. A child
 * ends with its parent: its standard input is a pipe that closes with the parent, and its signals
 * are the parent's business, so it has a process group of its own.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { TikvError } from "../../base/index.js";
import { clearReadyFile, type ReadyInfo } from "../ready_file.js";

/** The program's own entry, as a path: a child is another process, not an import. */
const MAIN = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "cli", "main.js");
const READY_POLL_MS = 20;
/** Kept of what a child said last, for the report of its end. */
const LAST_LINES_MAX = 10;

export interface ChildOptions {
  /** For people: "pd", "store-1". */
  readonly name: string;
  /** The command line behind `rutile`, without the flags that this class adds. */
  readonly args: readonly string[];
  /** Where the ready file goes; exists. */
  readonly runDir: string;
  /** Takes each line of stderr. */
  readonly onLine: (line: string) => void;
}

export interface ChildExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

const running = new Set<ChildProcess>();
// A stopped (SIGSTOP) child does not notice that its parent is gone.
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

export class ChildServer {
  readonly name: string;
  readonly pid: number;
  /** Resolves when the process is gone and its output is read. */
  readonly exited: Promise<ChildExit>;
  readonly #process: ChildProcess;
  readonly #readyFile: string;
  readonly #lastLines: string[] = [];
  #exit: ChildExit | undefined;
  #isExpected = false;

  /** Starts the process. Errs with RUTILE:Start:Child when the system refuses. */
  constructor({ args, name, onLine, runDir }: ChildOptions) {
    this.name = name;
    this.#readyFile = join(runDir, `${name}.ready.json`);
    // One that an earlier process left must not be read as news.
    clearReadyFile(this.#readyFile);
    const line = [MAIN, ...args, "--ready-file", this.#readyFile, "--stop-with-stdin"];
    this.#process = spawn(process.execPath, line, {
      detached: true,
      stdio: ["pipe", "ignore", "pipe"],
    });
    if (this.#process.pid === undefined) {
      throw new TikvError("RUTILE:Start:Child", `cannot start a process for ${name}`);
    }
    this.pid = this.#process.pid;
    running.add(this.#process);
    const lines = createInterface({ input: this.#process.stderr as NodeJS.ReadableStream });
    lines.on("line", (text) => {
      this.#lastLines.push(text);
      if (this.#lastLines.length > LAST_LINES_MAX) this.#lastLines.shift();
      onLine(text);
    });
    this.exited = new Promise((resolve) => {
      this.#process.once("close", (code, signal) => {
        running.delete(this.#process);
        this.#exit = { code, signal };
        resolve(this.#exit);
      });
    });
  }

  /** How the process ended; undefined while it runs. */
  get exit(): ChildExit | undefined {
    return this.#exit;
  }

  /** Whether this parent ended it, or is about to. */
  get isExpected(): boolean {
    return this.#isExpected;
  }

  /** What it said last, oldest first. */
  get lastLines(): readonly string[] {
    return this.#lastLines;
  }

  /** Resolves with the content of the ready file. Errs with RUTILE:Start:Child when it ends before. */
  async ready(): Promise<ReadyInfo> {
    for (;;) {
      if (existsSync(this.#readyFile)) return JSON.parse(readFileSync(this.#readyFile, "utf8"));
      if (this.#exit !== undefined) throw this.startError(this.#exit);
      await new Promise((resolve) => setTimeout(resolve, READY_POLL_MS));
    }
  }

  /** Returns what its end before it was ready means for whoever started it. */
  startError(exit: ChildExit): TikvError {
    const last = this.#lastLines.at(-1)?.replace(/^rutile: /, "") ?? "it said nothing";
    const text = `${this.name} ended before the cluster was ready (${exitText(exit)}): ${last}`;
    return new TikvError("RUTILE:Start:Child", text);
  }

  /** Sends a signal that does not end it: SIGSTOP, SIGCONT, SIGHUP. */
  signal(signal: NodeJS.Signals): void {
    if (this.#exit === undefined) this.#process.kill(signal);
  }

  /** Sends SIGKILL and waits for the end. */
  kill(): Promise<ChildExit> {
    this.#isExpected = true;
    this.signal("SIGKILL");
    return this.exited;
  }

  /** Sends SIGTERM, SIGKILL after `graceMs`, and waits for the end. */
  async stop(graceMs: number): Promise<ChildExit> {
    this.#isExpected = true;
    this.signal("SIGTERM");
    // A stopped process handles signals once it goes on.
    this.signal("SIGCONT");
    const timer = setTimeout(() => this.signal("SIGKILL"), graceMs);
    const exit = await this.exited;
    clearTimeout(timer);
    return exit;
  }
}

/** Returns "exit code 1" or "signal SIGKILL". */
export function exitText({ code, signal }: ChildExit): string {
  return signal === null ? `exit code ${code}` : `signal ${signal}`;
}
