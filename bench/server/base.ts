/**
 * This build's store against an older commit's, alternating in one run, so that what disturbs the
 * machine meets both; the median of the rounds' ratios is the figure. RUTILE_BASE names a directory
 * in which the older commit is checked out and built (`npm run asbuild`); without it, nothing runs.
 * RUTILE_BASE_LOADS chooses loads by the beginning of their names.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { BenchContext, Report } from "../harness.js";
import { figure, keysOf, loadOnce, medianOf, type Series } from "./loads.js";
import { benchBinding, type StoreProcess, withStore } from "./processes.js";

const ROUNDS = 7;

const SERIES: readonly Series[] = [
  {
    name: "RawGet",
    series: "128 a message",
    kind: "get",
    perMessage: 128,
    window: 4,
    connections: 4,
  },
  {
    name: "RawGet",
    series: "16 a message",
    kind: "get",
    perMessage: 16,
    window: 8,
    connections: 4,
  },
  { name: "RawGet", series: "1 a message", kind: "get", perMessage: 1, window: 64, connections: 4 },
  {
    name: "RawPut",
    series: "64 in flight",
    kind: "put",
    perMessage: 16,
    window: 1,
    connections: 4,
  },
  {
    name: "RawPut",
    series: "512 in flight",
    kind: "put",
    perMessage: 64,
    window: 1,
    connections: 8,
  },
];

async function compare(
  context: BenchContext,
  series: Series,
  ours: StoreProcess,
  base: StoreProcess,
): Promise<Report[]> {
  const name = `${series.name}, ${series.series}`;
  const now: number[] = [];
  const before: number[] = [];
  let hash = "-";
  for (let round = 0; round < (context.mode === "smoke" ? 1 : ROUNDS); round++) {
    const old = await loadOnce(context, { ...series, name: `base ${series.name}` }, base);
    const load = await loadOnce(context, { ...series, name: `this ${series.name}` }, ours);
    if (load.hash !== old.hash) throw new Error(`${name}: other values than the base`);
    hash = load.hash;
    now.push(load.perSecond);
    before.push(old.perSecond);
  }
  const percents = now.map((load, round) => (100 * load) / (before[round] as number));
  console.log(`${name} to base: ${(medianOf(percents) / 100).toFixed(3)}`);
  return [
    figure(name, "base", before, hash),
    figure(name, "this", now, hash),
    figure(`${name} / base`, "median of rounds", percents, hash, "%"),
  ];
}

/** Bench entry. */
export async function run(context: BenchContext): Promise<Report[]> {
  const base = process.env.RUTILE_BASE ?? "";
  const program = join(base, "build/js/bench/server/process/store.js");
  if (base === "" || !existsSync(program)) {
    console.log("against an older commit: skipped, RUTILE_BASE names no built checkout");
    return [];
  }
  const job = { binding: benchBinding(), keys: keysOf(context) };
  return withStore([job], (ours) =>
    withStore([job, "", program], async (older) => {
      const reports: Report[] = [];
      const wanted = process.env.RUTILE_BASE_LOADS ?? "";
      const chosen = SERIES.filter(({ name }) => name.startsWith(wanted));
      for (const series of chosen) reports.push(...(await compare(context, series, ours, older)));
      return reports;
    }),
  );
}
