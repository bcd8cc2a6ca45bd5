/**
 * Looks for seeds that find the planted bugs, and writes them to bugs/found.json. Outside the gate:
 *
 *   node build/js/test/sim/bugs/search.js [--seeds A..B] [NAME…]
 */
import { readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { isFailure, runRange } from "../fleet.js";
import { argumentsFor, type Bug } from "./bug.js";
import { BUGS } from "./list.js";

/** Where the finding seeds are, relative to the repository, where this runs. */
const FOUND = "test/sim/bugs/found.json";

/** A seed that finds a bug, and the checker that fires. */
export interface Found {
  readonly seed: number;
  readonly checker: string;
}

export type FoundBugs = Record<string, Found>;

/** Returns the recorded seeds. */
export function readFound(): FoundBugs {
  return JSON.parse(readFileSync(FOUND, "utf8")) as FoundBugs;
}

/** Looks for the first seed of a range in which a checker finds the bug. */
export async function search(bug: Bug, from: number, to: number): Promise<Found | undefined> {
  const { name } = bug;
  for (let seed = from; seed < to; ) {
    const lines = await runRange(seed, to, { args: ["--first", ...argumentsFor(bug)] });
    const last = lines.at(-1);
    if (last === undefined || !isFailure(last)) return undefined;
    // A crash of the program is no find: a checker has to say what is wrong.
    if (last.checker !== "") return { seed: Number(last.seed), checker: last.checker };
    console.log(`${name}: seed ${last.seed} throws: ${last.failure.split("\n")[0]}`);
    seed = Number(last.seed) + 1;
  }
  return undefined;
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { seeds: { type: "string", default: "0..100" } },
  });
  const [from, to] = values.seeds.split("..").map(Number) as [number, number];
  const found = readFound();
  for (const bug of BUGS) {
    const { name } = bug;
    if (positionals.length > 0 && !positionals.includes(name)) continue;
    const hit = await search(bug, from, to);
    console.log(`${name}: ${hit === undefined ? "not found" : `${hit.seed}, ${hit.checker}`}`);
    if (hit === undefined) continue;
    found[name] = hit;
    const sorted = Object.fromEntries(Object.entries(found).sort(([a], [b]) => (a < b ? -1 : 1)));
    writeFileSync(FOUND, `${JSON.stringify(sorted, null, 2)}\n`);
  }
}

if (process.argv[1]?.endsWith("/search.js")) await main();
