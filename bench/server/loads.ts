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
  /** Keys a command; 1 unless told. */
  readonly perCommand?: number;
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

let tsBase = 0n;

/** Returns the first of 2^28 timestamps, above those that were returned before and below PD's. */
function freshTsBase(): bigint {
  const ms = BigInt(Date.now()) & ~0x3ffn;
  const now = ms << 18n;
  tsBase = now > tsBase ? now : tsBase + (1n << 28n);
  return tsBase;
}

const unitOf = (series: Series): string =>
  itemsOf(series) === 1 ? "op" : (series.perCommand ?? 1) === 1 ? "row" : "key";

/** Rows or keys that a command handles. */
function itemsOf({ kind, perCommand = 1 }: Series): number {
  return kind === "scan" || kind === "txnScan" ? SCAN_LIMIT : perCommand;
}

/** A load, and what it cost the store process. */
export interface StoreLoad extends LoadResult {
  /** Processor time of all threads, us a command, row or key; 0: not asked. */
  readonly serverCpuUs: number;
}

/** Loads a server once and prints the counts; a store process is asked for its own. */
export async function loadOnce(
  context: BenchContext,
  series: Series,
  { child, address }: StoreProcess,
): Promise<StoreLoad> {
  const { name, kind, perMessage, window, connections, echo = false, perCommand = 1 } = series;
  const keys = series.keys ?? keysOf(context);
  const seconds = context.mode === "smoke" ? 0.3 : 3;
  const shape = {
    ...{ path: PATH, kind, keys, perMessage, perCommand, window, connections, seconds, echo },
    tsBase: String(freshTsBase()),
  };
  const job: LoadJob = { ...address, ...shape };
  if (echo) return { ...(await runLoad(job)), serverCpuUs: 0 };
  const before = await child.ask<StoreStats>("stats");
  const result = await runLoad(job);
  const after = await child.ask<StoreStats>("stats");
  const requests = after.requests - before.requests;
  const cpuUs = (after.cpuUs - before.cpuUs) / (requests * itemsOf(series));
  const syncs = (after.syncs - before.syncs) / requests;
  console.log(
    `${name} ${series.series}: ${Math.round(result.perSecond)}/s, ` +
      `p50 ${Math.round(result.p50Us)} us, p99 ${Math.round(result.p99Us)} us a message, ` +
      `server CPU ${cpuUs.toFixed(2)} us/${unitOf(series)}, ` +
      `${(requests / (after.turns - before.turns)).toFixed(1)} requests a turn, ` +
      `${syncs.toFixed(4)} syncs/op, cold ${after.cold - before.cold}, ` +
      `loop delay p99.9 ${after.loopP999Ms.toFixed(1)} ms, ` +
      `RSS ${Math.round(after.rss / 1e6)} MB, result ${result.hash}`,
  );
  return { ...result, serverCpuUs: cpuUs };
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
