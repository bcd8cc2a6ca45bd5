/**
 * Runs benches: `npm run bench -- [area or area/name …] [--smoke]`. An area is a folder here; every
 * file in it that exports `run` is a bench. Prints the machine, a table per area and set of series,
 * then one JSON line per figure.
 */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { type BenchContext, type BenchModule, machine, type Report, tablesOf } from "./harness.js";

const ROOT = dirname(fileURLToPath(import.meta.url));

interface BenchFile {
  readonly area: string;
  readonly name: string;
  readonly path: string;
}

function findBenches(filters: readonly string[]): BenchFile[] {
  const areas = readdirSync(ROOT, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return areas
    .flatMap(({ name: area }) =>
      readdirSync(join(ROOT, area))
        .filter((file) => file.endsWith(".js"))
        .sort()
        .map((file) => ({ area, name: file.slice(0, -3), path: join(ROOT, area, file) })),
    )
    .filter(
      ({ area, name }) =>
        filters.length === 0 || filters.includes(area) || filters.includes(`${area}/${name}`),
    );
}

/** Files beside the benches that they share have no `run`. */
function hasRun({ path }: BenchFile): boolean {
  return /^export (async )?function run\b|^export const run\b/m.test(readFileSync(path, "utf8"));
}

function help(): string {
  const benches = findBenches([]).filter(hasRun);
  const lines = [...new Set(benches.map(({ area }) => area))].map((area) => {
    const names = benches.filter((bench) => bench.area === area).map(({ name }) => name);
    return `  ${area.padEnd(10)} ${names.join(" ")}`;
  });
  return `${USAGE}

Areas, and the benches in each:
${lines.join("\n")}

Without arguments all of them run, for about an hour. --smoke runs each for a moment, to see that it
works: its figures mean nothing. Both sides of a "ratio" are measured in turns in one run, so a busy
machine matters less. RUTILE_BENCH_PROFILE=DIR makes each store process of the servers' benches write
a CPU profile into DIR.
Results that were kept are in bench/results.`;
}

const USAGE = "usage: npm run bench -- [area | area/name …] [--smoke | --help]";

function isBench(module: Partial<BenchModule>): module is BenchModule {
  return typeof module.run === "function";
}

async function runArea(files: readonly BenchFile[], context: BenchContext): Promise<Report[]> {
  const reports: Report[] = [];
  for (const { path } of files) {
    const module = (await import(pathToFileURL(path).href)) as Partial<BenchModule>;
    if (isBench(module)) reports.push(...(await module.run(context)));
  }
  return reports;
}

async function main(): Promise<void> {
  const args = process.argv.slice(2);
  if (args.includes("--help") || args.includes("-h")) {
    console.log(help());
    return;
  }
  const mode = args.includes("--smoke") ? "smoke" : "real";
  const unknown = args.filter((arg) => arg.startsWith("-") && arg !== "--smoke");
  const files = findBenches(args.filter((arg) => !arg.startsWith("-")));
  if (unknown.length > 0 || files.length === 0) {
    const areas = [...new Set(findBenches([]).map(({ area }) => area))].join(", ");
    console.error(`${USAGE}; areas: ${areas}`);
    process.exitCode = 2;
    return;
  }
  console.log(`machine: ${machine()}`);
  console.log(`mode: ${mode}; medians and 99th percentiles; ratios above 1 are better`);
  let count = 0;
  for (const area of new Set(files.map((file) => file.area))) {
    const reports = await runArea(
      files.filter((file) => file.area === area),
      { mode },
    );
    count += reports.length;
    console.log(`\n${area}\n${tablesOf(reports)}\n`);
    for (const report of reports) console.log(JSON.stringify({ area, mode, ...report }));
  }
  console.log(`${count} figures`);
}

await main();
