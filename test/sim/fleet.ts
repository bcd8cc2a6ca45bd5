/** Runs seeds in child processes and collects what they report as JSON lines. */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { SimReport } from "./report.js";

const MAIN = fileURLToPath(new URL("./main.js", import.meta.url));

/** A line of a child: a report with u64 as text, or a failure. */
export type FleetLine =
  | (Omit<SimReport, "seed"> & { readonly seed: string; readonly poor: readonly string[] })
  | { readonly seed: string; readonly failure: string; readonly checker: string };

export function isFailure(
  line: FleetLine,
): line is FleetLine & { readonly failure: string; readonly checker: string } {
  return "failure" in line;
}

/** Runs seeds `[from, to)` in one child. */
export function runRange(
  from: number,
  to: number,
  options: { readonly args?: readonly string[]; readonly env?: NodeJS.ProcessEnv } = {},
): Promise<FleetLine[]> {
  const args = [MAIN, "--seeds", `${from}..${to}`, "--json"];
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...args, ...(options.args ?? [])], {
      env: { ...process.env, ...options.env },
      stdio: ["ignore", "pipe", "inherit"],
    });
    const lines: FleetLine[] = [];
    createInterface({ input: child.stdout }).on("line", (line) => {
      lines.push(JSON.parse(line) as FleetLine);
    });
    child.on("error", reject);
    child.on("close", () => {
      const isWhole = lines.length === to - from || options.args?.includes("--first") === true;
      if (isWhole) resolve(lines);
      else reject(new Error(`seeds ${from}..${to}: ${lines.length} reports`));
    });
  });
}

/** The share of a gate's seeds, `[from, to)`, that a run of its file takes. */
export interface SeedShare {
  readonly from: number;
  readonly to: number;
  /** Seeds of the share. */
  readonly count: number;
  /** Returns the end of the part of the share that is run again, of `again` of all the seeds. */
  readonly againTo: (again: number) => number;
}

/**
 * Returns share SIM_SHARD (`@variants SIM_SHARD=0,1…`) of `seeds` seeds, or of SIM_SEEDS where that
 * is less; all of them without SIM_SHARD.
 */
export function seedShare(seeds: number, shards: number): SeedShare {
  const { SIM_SEEDS, SIM_SHARD } = process.env;
  const all = Math.min(seeds, Number(SIM_SEEDS ?? seeds));
  const shard = SIM_SHARD === undefined ? undefined : Number(SIM_SHARD);
  const startOf = (one: number): number => Math.floor((all * one) / shards);
  const [from, to] = shard === undefined ? [0, all] : [startOf(shard), startOf(shard + 1)];
  const count = to - from;
  const againTo = (again: number): number => from + Math.ceil((count * again) / seeds);
  return { from, to, count, againTo };
}

/** What a run is remembered by, to be compared with another run of its seed. */
export function hashOf(line: FleetLine): string {
  return isFailure(line) ? `failed: ${line.failure}` : line.traceHash;
}
