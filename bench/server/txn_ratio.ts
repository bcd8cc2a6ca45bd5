/** Two loads in turns against one store, and the median of the rounds' ratios. */
import type { BenchContext, Report } from "../harness.js";
import type { LoadResult } from "./job.js";
import { figure, loadOnce, medianOf, type Series, type StoreLoad } from "./loads.js";
import type { StoreProcess } from "./processes.js";

const ROUNDS = 5;
/** Transactions that meet one of the same key are refused; more than these are a fault. */
const REFUSED_MAX = 0.02;

/** A transactional load and the raw load that it is divided by. */
export interface Against {
  readonly raw: Series;
  readonly txn: Series;
  /** Whether both read the same values. */
  readonly isRead: boolean;
}

function check(context: BenchContext, { txn, isRead }: Against, raw: LoadResult, it: LoadResult) {
  const name = `${txn.name}, ${txn.series}`;
  if (it.hash !== raw.hash) throw new Error(`${name}: other values than the raw load`);
  const limit = isRead ? 0 : REFUSED_MAX;
  if (context.mode === "real" && it.refusedShare > limit) {
    throw new Error(`${name}: ${(100 * it.refusedShare).toFixed(1)} % were refused`);
  }
}

interface Round {
  readonly base: StoreLoad;
  readonly load: StoreLoad;
}

/** Ratios by throughput and by the store's processor time, which says more on a busy machine. */
function ratiosOf(label: string, rounds: readonly Round[]): { rate: number[]; cpu: number[] } {
  const percent = (over: number, under: number): number => (100 * over) / Math.max(0.1, under);
  const rate = rounds.map(({ base, load }) => percent(load.perSecond, base.perSecond));
  const cpu = rounds.map(({ base, load }) => percent(base.serverCpuUs, load.serverCpuUs));
  const shown = (percents: readonly number[]): string =>
    `${(medianOf(percents) / 100).toFixed(3)} of ${percents.map((one) => (one / 100).toFixed(3)).join(" ")}`;
  console.log(`${label}: ${shown(rate)}; by the store's CPU time: ${shown(cpu)}`);
  return { rate, cpu };
}

/** Measures; rows of both loads, and of the ratio in percent. */
export async function ratioRounds(
  context: BenchContext,
  against: Against,
  store: StoreProcess,
): Promise<Report[]> {
  const { raw, txn } = against;
  const rounds: Round[] = [];
  for (let round = 0; round < (context.mode === "smoke" ? 1 : ROUNDS); round++) {
    const base = await loadOnce(context, raw, store);
    const load = await loadOnce(context, txn, store);
    check(context, against, base, load);
    rounds.push({ base, load });
  }
  const hash = rounds[0]?.load.hash ?? "-";
  const { rate, cpu } = ratiosOf(`${txn.name} to ${raw.name}, ${txn.series}`, rounds);
  const name = `${txn.name}, ${txn.series}`;
  const speed = (pick: keyof Round): number[] => rounds.map((round) => round[pick].perSecond);
  return [
    figure(name, raw.name, speed("base"), hash),
    figure(name, txn.name, speed("load"), hash),
    figure(`${name} / ${raw.name}`, "median of rounds", rate, hash, "%"),
    figure(`${name} / ${raw.name} by store CPU`, "median of rounds", cpu, hash, "%"),
  ];
}
