/** Rounds of one load against one server, as a report line with counts for each operation. */
import type { BenchContext, Report } from "../harness.js";
import type { LoadJob } from "./job.js";
import { type Child, runLoad, type StoreAddress, type StoreStats } from "./processes.js";

export const KEYS = 200_000;
const SMOKE_KEYS = 2000;
const PATH = "/tikvpb.Tikv/BatchCommands";

/** Keys of a run: 200,000, few in smoke. */
export function keysOf({ mode }: BenchContext): number {
  return mode === "smoke" ? SMOKE_KEYS : KEYS;
}

export interface Series {
  readonly name: string;
  readonly series: string;
  readonly kind: "get" | "put";
  readonly perMessage: number;
  readonly window: number;
  readonly connections: number;
  readonly echo?: boolean;
}

/** Returns a report of one figure. */
export function figure(name: string, series: string, values: number[], hash: string): Report {
  const sorted = [...values].sort((a, b) => a - b);
  return {
    name,
    params: {},
    series,
    unit: "ops/s",
    better: "higher",
    median: sorted[Math.floor(sorted.length / 2)] ?? 0,
    p99: sorted[0] ?? 0,
    samples: sorted.length,
    hash,
  };
}

/** Loads a server for some rounds; the p99 column is the slowest round. Prints the counts. */
export async function loadRounds(
  context: BenchContext,
  series: Series,
  address: StoreAddress,
  child: Child,
): Promise<Report> {
  const rounds = context.mode === "smoke" ? 1 : 3;
  const seconds = context.mode === "smoke" ? 0.3 : 3;
  const { kind, perMessage, window, connections, echo = false } = series;
  const job: LoadJob = {
    ...address,
    path: PATH,
    kind,
    keys: keysOf(context),
    perMessage,
    window,
    connections,
    seconds,
    echo,
  };
  const perSecond: number[] = [];
  let hash = "-";
  for (let round = 0; round < rounds; round++) {
    const before = echo ? undefined : await child.ask<StoreStats>("stats");
    const result = await runLoad(job);
    perSecond.push(result.perSecond);
    hash = result.hash;
    if (before === undefined) continue;
    const after = await child.ask<StoreStats>("stats");
    const requests = after.requests - before.requests;
    const cpuUs = (after.cpuUs - before.cpuUs) / requests;
    const syncs = (after.syncs - before.syncs) / requests;
    console.log(
      `${series.name} ${series.series}: ${Math.round(result.perSecond)}/s, ` +
        `p50 ${Math.round(result.p50Us)} us, p99 ${Math.round(result.p99Us)} us a message, ` +
        `server CPU ${cpuUs.toFixed(2)} us/op, ` +
        `${(requests / (after.turns - before.turns)).toFixed(1)} requests a turn, ` +
        `${syncs.toFixed(4)} syncs/op, cold ${after.cold - before.cold}, ` +
        `RSS ${Math.round(after.rss / 1e6)} MB, result ${hash}`,
    );
  }
  return figure(series.name, series.series, perSecond, hash);
}
