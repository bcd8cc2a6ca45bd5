/**
 * The long run: seeds that no run has seen, for some minutes, with a ledger.
 *
 *   node build/js/test/sim/soak.js --minutes M [--ledger FILE] [--width N]
 *
 * A line of the ledger is a batch of seeds: commit, range, simulated hours, faults, failures. The
 * next run goes on behind the last range.
 */
import { execFileSync } from "node:child_process";
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { type FleetLine, isFailure, runRange } from "./fleet.js";
import { FAULT_KINDS } from "./options.js";

const BATCH_SEEDS = 20;
/** The gate has the seeds below. */
const FIRST_SEED = 1_000_000;

interface LedgerLine {
  readonly commit: string;
  readonly from: number;
  readonly to: number;
  readonly simulatedHours: number;
  readonly acknowledged: number;
  readonly faults: number;
  readonly failures: readonly { readonly seed: string; readonly failure: string }[];
}

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "10" },
    ledger: { type: "string", default: "build/sim_ledger.jsonl" },
    width: { type: "string", default: "2" },
  },
});

function readLedger(): LedgerLine[] {
  if (!existsSync(values.ledger)) return [];
  const lines = readFileSync(values.ledger, "utf8").split("\n");
  return lines.filter((line) => line !== "").map((line) => JSON.parse(line) as LedgerLine);
}

function summary(
  commit: string,
  from: number,
  to: number,
  lines: readonly FleetLine[],
): LedgerLine {
  let seconds = 0;
  let acknowledged = 0;
  let faults = 0;
  const failures: { seed: string; failure: string }[] = [];
  for (const line of lines) {
    if (isFailure(line)) {
      failures.push({ seed: line.seed, failure: line.failure.split("\n")[0] as string });
      continue;
    }
    seconds += line.simulatedSeconds;
    acknowledged += line.acknowledged;
    for (const kind of FAULT_KINDS) faults += line.faults[kind];
  }
  const simulatedHours = Number((seconds / 3600).toFixed(3));
  return { commit, from, to, simulatedHours, acknowledged, faults, failures };
}

async function main(): Promise<void> {
  const commit = execFileSync("git", ["rev-parse", "--short", "HEAD"], { encoding: "utf8" }).trim();
  const ends = readLedger().map((line) => line.to);
  let next = Math.max(FIRST_SEED, ...ends);
  const stopMs = Date.now() + Number(values.minutes) * 60_000;
  const lane = async (): Promise<void> => {
    while (Date.now() < stopMs) {
      const from = next;
      next += BATCH_SEEDS;
      const to = from + BATCH_SEEDS;
      const line = summary(commit, from, to, await runRange(from, to));
      appendFileSync(values.ledger, `${JSON.stringify(line)}\n`);
      console.log(JSON.stringify(line));
    }
  };
  await Promise.all(Array.from({ length: Number(values.width) }, lane));
  const all = readLedger();
  const hours = all.reduce((sum, line) => sum + line.simulatedHours, 0);
  const failures = all.flatMap((line) => line.failures);
  console.log(`${hours.toFixed(1)} simulated hours, ${failures.length} failures`);
  for (const { seed, failure } of failures) console.log(`seed ${seed}: ${failure}`);
}

await main();
