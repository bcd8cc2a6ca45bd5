/**
 * Cases that take turns, round by round, so that what disturbs the machine meets all of them: the
 * figures of one row may be divided by each other.
 */
import { type BenchContext, hashOf, type Report } from "../harness.js";

const ROUNDS = 15;
/** Calls of a case last at least this long in a round. */
const ROUND_MS = 20;

export interface RoundCase {
  readonly series: string;
  /** Rows, keys or commands that a call handles. */
  readonly items: number;
  call(): void | Promise<void>;
  /** What a call computed; equal in all series of a row that compute the same. */
  result?(): Uint8Array;
}

/** Processor time of this process an item, ns: on a shared machine it says more than the clock. */
async function timed(item: RoundCase, calls: number): Promise<number> {
  const start = process.cpuUsage();
  for (let i = 0; i < calls; i++) {
    const running = item.call();
    if (running !== undefined) await running;
  }
  const { user, system } = process.cpuUsage(start);
  return (1000 * (user + system)) / (calls * item.items);
}

const middle = (sorted: readonly number[]): number => sorted[sorted.length >> 1] as number;

/** Measures the cases of one row; processor time an item. The hash of a case without a result is "-". */
export async function measureRounds(
  { mode }: BenchContext,
  name: string,
  params: Report["params"],
  cases: readonly RoundCase[],
): Promise<Report[]> {
  const calls = new Map<RoundCase, number>();
  for (const item of cases) {
    const ns = Math.max(1, (await timed(item, mode === "smoke" ? 1 : 20)) * item.items);
    calls.set(item, mode === "smoke" ? 1 : Math.max(1, Math.round((ROUND_MS * 1e6) / ns)));
  }
  const samples = new Map<RoundCase, number[]>(cases.map((item) => [item, []]));
  for (let round = 0; round < (mode === "smoke" ? 2 : ROUNDS); round++) {
    for (const item of cases) {
      samples.get(item)?.push(await timed(item, calls.get(item) as number));
    }
  }
  const hashes = new Set<string>();
  const reports = cases.map((item): Report => {
    const sorted = (samples.get(item) as number[]).sort((a, b) => a - b);
    const hash = item.result === undefined ? "-" : hashOf(item.result());
    if (hash !== "-") hashes.add(hash);
    return {
      name,
      params,
      series: item.series,
      unit: "ns CPU/item",
      better: "lower",
      median: middle(sorted),
      p99: sorted[sorted.length - 1] as number,
      samples: sorted.length,
      hash,
    };
  });
  if (hashes.size > 1) throw new Error(`${name}: the series computed different things`);
  return reports;
}
