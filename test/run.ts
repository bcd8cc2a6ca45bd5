/**
 * Runs test files, each in its own process, and ends with "N passed, N failed[, N skipped]".
 *
 *   node build/js/test/run.js [filter…]      a filter is a part of the path: "unit", "engine";
 *                                            "!part" leaves out
 *
 * A file's head comment may say
 *   @variants NAME=a,b,c   run the file once for each value of an environment variable
 *   @timeout SECONDS       limit of one run (default 120)
 *   @seconds SECONDS       about what it takes: the longest begin first, so that no lane ends alone
 *   @waits                 waits more than it computes: two of these share a core
 *   @exclusive             nothing else runs beside it
 * A run that is over time ends with all processes that it has started.
 * Every *_test.ts ends in `.run()`; a file that executes no test fails.
 */
import { spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { stripVTControlCharacters } from "node:util";

const ROOT = dirname(fileURLToPath(import.meta.url));
const TIMEOUT_DEFAULT_SECONDS = 120;

interface Job {
  readonly file: string;
  readonly name: string;
  readonly env: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  /** About what it takes, s. */
  readonly weight: number;
  /** Cores that it keeps busy. */
  readonly cores: number;
  readonly exclusive: boolean;
}

interface Outcome {
  readonly job: Job;
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  readonly seconds: number;
  readonly output: string;
}

function findTests(folder: string): string[] {
  const found: string[] = [];
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) found.push(...findTests(path));
    else if (entry.name.endsWith("_test.js")) found.push(path);
  }
  return found.sort();
}

/** Returns whether a file is among those that filters name. */
function chosenBy(filters: readonly string[]): (file: string) => boolean {
  const wanted = filters.filter((part) => !part.startsWith("!"));
  const unwanted = filters.filter((part) => part.startsWith("!")).map((part) => part.slice(1));
  return (file) => {
    const path = relative(ROOT, file);
    const has = (part: string): boolean => path.includes(part);
    return (wanted.length === 0 || wanted.some(has)) && !unwanted.some(has);
  };
}

function jobsOf(file: string): Job[] {
  const head = readFileSync(file, "utf8").slice(0, 2000);
  const timeout = Number(/@timeout (\d+)/.exec(head)?.[1] ?? TIMEOUT_DEFAULT_SECONDS);
  const name = relative(ROOT, file).replace(/\.js$/, "");
  const weight = Number(/@seconds (\d+)/.exec(head)?.[1] ?? 0);
  const exclusive = /@exclusive\b/.test(head);
  const cores = /@waits\b/.test(head) ? 0.5 : 1;
  const base = { file, timeoutMs: timeout * 1000, weight, cores, exclusive };
  const variants = /@variants (\w+)=(\S+)/.exec(head);
  if (variants === null) return [{ ...base, name, env: {} }];
  const [, variable, values] = variants as unknown as [string, string, string];
  return values
    .split(",")
    .map((value) => ({ ...base, name: `${name} [${value}]`, env: { [variable]: value } }));
}

function countOf(output: string, label: string): number {
  const plain = stripVTControlCharacters(output);
  return Number(new RegExp(`^\\s*${label}:?\\s+(\\d+)`, "m").exec(plain)?.[1] ?? 0);
}

/** Process groups of the runs under way: a run leads its own. */
const groups = new Set<number>();

/** Ends a run and whatever it has left behind. */
function endGroup(pid: number | undefined): void {
  if (pid === undefined || !groups.delete(pid)) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // Nobody is left.
  }
}

function run(job: Job): Promise<Outcome> {
  const started = process.hrtime.bigint();
  return new Promise((resolve) => {
    const child = spawn(process.execPath, ["--enable-source-maps", job.file], {
      env: { ...process.env, ...job.env, FORCE_COLOR: "0" },
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    });
    if (child.pid !== undefined) groups.add(child.pid);
    let output = "";
    child.stdout.on("data", (chunk: Buffer) => {
      output += chunk.toString();
    });
    child.stderr.on("data", (chunk: Buffer) => {
      output += chunk.toString();
    });
    const timer = setTimeout(() => {
      output += `\ntimed out after ${job.timeoutMs / 1000} s\n`;
      endGroup(child.pid);
    }, job.timeoutMs);
    // Its pipes close when nobody of its group is left.
    child.on("exit", () => endGroup(child.pid));
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      resolve(outcomeOf(job, code, signal, output, started));
    });
  });
}

function outcomeOf(
  job: Job,
  code: number | null,
  signal: string | null,
  output: string,
  started: bigint,
): Outcome {
  const passed = countOf(output, "Passed");
  const skipped = countOf(output, "Skipped");
  const total = countOf(output, "Total");
  let failed = total - passed;
  if (code !== 0 && failed === 0) failed = 1;
  let text = output;
  if (signal !== null) text += `\nended by ${signal}\n`;
  if (total === 0 && skipped === 0 && failed === 0) {
    failed = 1;
    text += "\nno test ran; does the file end in .run()?\n";
  }
  const seconds = Number(process.hrtime.bigint() - started) / 1e9;
  return { job, passed, failed, skipped, seconds, output: text };
}

function report(outcome: Outcome): void {
  const { job, passed, failed, skipped, seconds, output } = outcome;
  const mark = failed === 0 ? "ok  " : "FAIL";
  const skips = skipped > 0 ? `, ${skipped} skipped` : "";
  console.log(`${mark} ${job.name}: ${passed} passed${skips} (${seconds.toFixed(1)} s)`);
  for (const line of output.split("\n")) {
    if (failed > 0 || line.startsWith("SKIP ")) console.log(`     ${line}`);
  }
}

/** Runs jobs on `cores` cores, the longest first; one at least runs at any time. */
function runAll(jobs: readonly Job[], cores: number): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  const queue = [...jobs].sort((a, b) => b.weight - a.weight);
  let free = cores;
  let running = 0;
  return new Promise((resolve) => {
    const begin = (job: Job): void => {
      free -= job.cores;
      running++;
      void run(job).then((outcome) => {
        report(outcome);
        outcomes.push(outcome);
        free += job.cores;
        running--;
        next();
      });
    };
    const next = (): void => {
      for (;;) {
        const at = queue.findIndex((job) => job.cores <= free || running === 0);
        const [job] = at < 0 ? [] : queue.splice(at, 1);
        if (job === undefined) break;
        begin(job);
      }
      if (running === 0) resolve(outcomes);
    };
    next();
  });
}

async function main(): Promise<void> {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.once(signal, () => {
      for (const pid of groups) endGroup(pid);
      process.exit(1);
    });
  }
  const jobs = findTests(ROOT)
    .filter(chosenBy(process.argv.slice(2)))
    .flatMap(jobsOf);
  const outcomes = [
    ...(await runAll(
      jobs.filter((job) => !job.exclusive),
      Math.max(1, Math.min(4, availableParallelism())),
    )),
    ...(await runAll(
      jobs.filter((job) => job.exclusive),
      1,
    )),
  ];
  const sum = (key: "passed" | "failed" | "skipped"): number =>
    outcomes.reduce((total, outcome) => total + outcome[key], 0);
  for (const outcome of outcomes) {
    if (outcome.failed > 0) console.log(`failed: ${outcome.job.name}`);
  }
  const skips = sum("skipped") > 0 ? `, ${sum("skipped")} skipped` : "";
  console.log(`${sum("passed")} passed, ${sum("failed")} failed${skips}`);
  process.exitCode = sum("failed") === 0 && outcomes.length > 0 ? 0 : 1;
}

await main();
