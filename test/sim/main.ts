/**
 * Runs seeds.
 *
 *   npm run sim -- --seed N             replays one seed
 *   npm run sim -- --seeds A..B         runs [A, B)
 *     --ledger FILE                     appends a line of JSON for each seed
 *     --json                            prints reports as JSON lines (for the gate)
 *     --twice                           runs each seed twice and compares the trace hashes
 *     --first                           stops at the first failure
 *     --txn                             runs transactions in place of raw operations
 *     --gc                              transactions, with GC a few seconds behind
 *     --bug NAME                        plants a bug; every seed is expected to pass without it
 */
import { execFileSync } from "node:child_process";
import { appendFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { plant } from "./bugs/plant.js";
import type { SimOptions } from "./options.js";
import { describeReport, poorness, SimFailure, type SimReport } from "./report.js";

const { values } = parseArgs({
  options: {
    seed: { type: "string" },
    seeds: { type: "string" },
    ledger: { type: "string" },
    json: { type: "boolean", default: false },
    twice: { type: "boolean", default: false },
    first: { type: "boolean", default: false },
    txn: { type: "boolean", default: false },
    gc: { type: "boolean", default: false },
    bug: { type: "string" },
  },
});

function commit(): string {
  try {
    return execFileSync("git", ["rev-parse", "--short", "HEAD"], { encoding: "utf8" }).trim();
  } catch {
    return "unknown";
  }
}

function seeds(): bigint[] {
  if (values.seed !== undefined) return [BigInt(values.seed)];
  const [from, to] = (values.seeds ?? "0..10").split("..").map(BigInt) as [bigint, bigint];
  return [...Array(Number(to - from)).keys()].map((i) => from + BigInt(i));
}

function jsonOf(value: unknown): string {
  return JSON.stringify(value, (_key, item) => (typeof item === "bigint" ? `${item}` : item));
}

function record(line: Readonly<Record<string, unknown>>): void {
  if (values.ledger === undefined) return;
  appendFileSync(values.ledger, `${jsonOf({ commit: commit(), ...line })}\n`);
}

function tellFailure(failure: SimFailure): void {
  const { seed, lines, message, checker } = failure;
  if (values.json) {
    console.log(jsonOf({ seed, failure: message, checker }));
    return;
  }
  for (const line of lines) console.log(line);
  console.log(failure.cause instanceof Error ? failure.cause.stack : message);
  console.log(`SEED=${seed} COMMIT=${commit()} npm run sim -- --seed ${seed}`);
}

type Run = (seed: bigint) => Promise<SimReport>;

async function runOnce(seed: bigint, run: Run): Promise<SimReport> {
  const report = await run(seed);
  if (!values.twice) return report;
  const again = await run(seed);
  if (again.traceHash === report.traceHash) return report;
  const hashes = `${report.traceHash} and ${again.traceHash}`;
  throw new SimFailure(seed, { checker: "determinism", lines: [] }, `two runs: ${hashes}`);
}

/** Returns whether the seed passed. */
async function runSeed(seed: bigint, run: Run): Promise<boolean> {
  try {
    const report = await runOnce(seed, run);
    const poor = poorness(report);
    record({ ...report, poor });
    if (values.json) console.log(jsonOf({ ...report, poor }));
    else console.log(describeReport(report));
    if (poor.length > 0 && !values.json) console.log(`  poor: ${poor.join("; ")}`);
    return true;
  } catch (error) {
    if (!(error instanceof SimFailure)) throw error;
    record({ seed, failure: error.message, checker: error.checker });
    tellFailure(error);
    return false;
  }
}

async function main(): Promise<void> {
  if (values.bug !== undefined) plant(values.bug);
  // Production code is loaded here, behind the bug.
  const { Vopr } = await import("./vopr.js");
  const { gc, txn } = values;
  const options = (made: SimOptions): SimOptions =>
    txn || gc ? { ...made, isTxn: true, hasGc: gc } : made;
  const run: Run = (seed) => new Vopr(seed, { options }).run();
  let failed = 0;
  for (const seed of seeds()) {
    if (await runSeed(seed, run)) continue;
    failed++;
    if (values.first) break;
  }
  if (failed > 0) process.exitCode = 1;
}

await main();
