/** Workers that run one transaction after the other against a cluster, and what they count. */
import {
  ClientError,
  CommitUndeterminedError,
  type Transaction,
  type TxnClient,
} from "../../src/client/index.js";

export interface Attempts {
  readonly committed: number;
  readonly aborted: number;
  /** Commits a second. */
  readonly perSecond: number;
  /** Of a commit, begin to end. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Aborts by code of the error. */
  readonly codes: ReadonlyMap<string, number>;
}

/** How transactions begin, and what one does before its commit. */
export interface Work {
  readonly begin: Parameters<TxnClient["begin"]>[0];
  readonly run: (txn: Transaction) => Promise<void>;
}

export interface Drive {
  readonly client: TxnClient;
  readonly workers: number;
  readonly seconds: number;
  /** Returns the work of the next transaction. */
  readonly next: () => Work;
}

/** Makes one attempt; returns the code of what aborted it. An unknown outcome is a fault of the bench. */
async function attempt(client: TxnClient, { begin, run }: Work): Promise<string | undefined> {
  const txn = await client.begin(begin);
  try {
    await run(txn);
    await txn.commit();
    return undefined;
  } catch (error) {
    if (!(error instanceof ClientError) || error instanceof CommitUndeterminedError) throw error;
    await txn.rollback();
    return error.code;
  }
}

const at = (sorted: readonly number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;

/** Runs transactions for some time; those under way at its end count, and so does their time. */
export async function drive({ client, workers, seconds, next }: Drive): Promise<Attempts> {
  const start = performance.now();
  const until = start + seconds * 1000;
  const latencies: number[] = [];
  const codes = new Map<string, number>();
  const worker = async (): Promise<void> => {
    do {
      const from = performance.now();
      const code = await attempt(client, next());
      if (code === undefined) latencies.push(performance.now() - from);
      else codes.set(code, (codes.get(code) ?? 0) + 1);
    } while (performance.now() < until);
  };
  await Promise.all(Array.from({ length: workers }, worker));
  const ended = performance.now();
  latencies.sort((a, b) => a - b);
  const committed = latencies.length;
  return {
    committed,
    aborted: [...codes.values()].reduce((sum, count) => sum + count, 0),
    perSecond: (committed * 1000) / (ended - start),
    p50Ms: at(latencies, 0.5),
    p99Ms: at(latencies, 0.99),
    codes,
  };
}

/** Returns a seeded source of ranks below `count`, rank i with weight 1 / (i + 1) ^ theta. */
export function zipf(count: number, theta: number, next: () => number): () => number {
  const sums: number[] = [];
  let sum = 0;
  for (let i = 0; i < count; i++) {
    sum += 1 / (i + 1) ** theta;
    sums.push(sum);
  }
  return () => {
    const point = (next() / 0x1_0000_0000) * sum;
    let low = 0;
    let high = count - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((sums[middle] as number) > point) high = middle;
      else low = middle + 1;
    }
    return low;
  };
}
