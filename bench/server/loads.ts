/** Rounds of one load against one server, as a report line with counts for each operation. */
import type { BenchContext, Report } from "../harness.js";
import { SCAN_LIMIT } from "./data.js";
import type { LoadJob, LoadKind, LoadResult } from "./job.js";
import { runLoad, type StoreProcess, type StoreStats } from "./processes.js";

export const KEYS = 200_000;
const SMOKE_KEYS = 2000;
const ROUNDS = 3;
const PATH = "/tikvpb.Tikv/BatchCommands";

/** Keys of a run, 200,000 unless told; few in smoke. */
export function keysOf({ mode }: BenchContext, keys = KEYS): number {
  return mode === "smoke" ? SMOKE_KEYS : keys;
}

export interface Series {
  readonly name: string;
  readonly series: string;
  readonly kind: LoadKind;
  readonly perMessage: number;
  readonly window: number;
  readonly connections: number;
  readonly echo?: boolean;
  /** Keys of the data set, keysOf(context) unless told. */
  readonly keys?: number;
}

/** Returns the middle of the values, the lower one of two. */
export function medianOf(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[(sorted.length - 1) >> 1] ?? 0;
}

/** Returns a report of one figure; the p99 column is the worst value. */
export function figure(
  name: string,
  series: string,
  values: readonly number[],
  hash: string,
  unit = "ops/s",
  better: Report["better"] = "higher",
): Report {
  const worst = better === "higher" ? Math.min(...values) : Math.max(...values);
  const samples = values.length;
  return {
    name,
    params: {},
    series,
    unit,
    better,
    median: medianOf(values),
    p99: worst,
    samples,
    hash,
  };
}

/** Loads a server once and prints the counts; a store process is asked for its own. */
export async function loadOnce(
  context: BenchContext,
  series: Series,
  { child, address }: StoreProcess,
): Promise<LoadResult> {
  const { name, kind, perMessage, window, connections, echo = false } = series;
  const keys = series.keys ?? keysOf(context);
  const seconds = context.mode === "smoke" ? 0.3 : 3;
  const shape = { path: PATH, kind, keys, perMessage, window, connections, seconds, echo };
  const job: LoadJob = { ...address, ...shape };
  if (echo) return runLoad(job);
  const before = await child.ask<StoreStats>("stats");
  const result = await runLoad(job);
  const after = await child.ask<StoreStats>("stats");
  const requests = after.requests - before.requests;
  const cpuUs = (after.cpuUs - before.cpuUs) / (requests * (kind === "scan" ? SCAN_LIMIT : 1));
  const syncs = (after.syncs - before.syncs) / requests;
  console.log(
    `${name} ${series.series}: ${Math.round(result.perSecond)}/s, ` +
      `p50 ${Math.round(result.p50Us)} us, p99 ${Math.round(result.p99Us)} us a message, ` +
      `server CPU ${cpuUs.toFixed(2)} us/${kind === "scan" ? "row" : "op"}, ` +
      `${(requests / (after.turns - before.turns)).toFixed(1)} requests a turn, ` +
      `${syncs.toFixed(4)} syncs/op, cold ${after.cold - before.cold}, ` +
      `loop delay p99.9 ${after.loopP999Ms.toFixed(1)} ms, ` +
      `RSS ${Math.round(after.rss / 1e6)} MB, result ${result.hash}`,
  );
  return result;
}

/** Loads a server for some rounds. */
export async function loadRounds(
  context: BenchContext,
  series: Series,
  store: StoreProcess,
): Promise<Report> {
  const results: LoadResult[] = [];
  for (let round = 0; round < (context.mode === "smoke" ? 1 : ROUNDS); round++) {
    results.push(await loadOnce(context, series, store));
  }
  const perSecond = results.map((result) => result.perSecond);
  const unit = series.kind === "scan" ? "rows/s" : "ops/s";
  return figure(series.name, series.series, perSecond, results[0]?.hash ?? "-", unit);
}
