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

/** Runs seeds `[from, to)` spread over `width` children. */
export async function runFleet(
  from: number,
  to: number,
  width: number,
  options: { readonly args?: readonly string[]; readonly env?: NodeJS.ProcessEnv } = {},
): Promise<FleetLine[]> {
  const share = Math.ceil((to - from) / width);
  const starts = [...Array(width).keys()].map((i) => from + i * share).filter((at) => at < to);
  const parts = await Promise.all(
    starts.map((at) => runRange(at, Math.min(to, at + share), options)),
  );
  return parts.flat();
}
