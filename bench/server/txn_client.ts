/**
 * Transactions of the TypeScript client, in this process, against a PD and a store that are processes:
 * transfers between accounts in two regions (async commit and two phases, in turns), and increments of
 * two counters chosen by zipf, with abort rates (optimistic and pessimistic, in turns). What was
 * written is added up afterwards: a lost or doubled transaction fails the bench.
 */
import { utf8Decode } from "../../src/base/index.js";
import { type Transaction, TxnClient } from "../../src/client/index.js";
import { encodeBytes } from "../../src/codec/index.js";
import { Cluster } from "../../src/testing/index.js";
import { type BenchContext, hashOf, type Report, seededU32 } from "../harness.js";
import { figure } from "./loads.js";
import { type Attempts, drive, type Work, zipf } from "./txn_workers.js";

const ROUNDS = 5;
const ACCOUNTS = 10_000;
const COUNTERS = 1000;
const BALANCE = 1000;
const WORKERS = 64;
const THETAS = [0.5, 0.99] as const;
const SETUP_KEYS = 500;

interface Bench {
  readonly context: BenchContext;
  readonly client: TxnClient;
  readonly next: () => number;
}

const keyOf = (prefix: string, index: number): string =>
  `${prefix}/${String(index).padStart(6, "0")}`;
const numberOf = (value: Uint8Array | undefined): number =>
  Number(value === undefined ? "0" : utf8Decode(value));

async function fill(client: TxnClient, prefix: string, keys: number, value: number): Promise<void> {
  for (let from = 0; from < keys; from += SETUP_KEYS) {
    await client.transaction(async (txn) => {
      for (let i = from; i < Math.min(keys, from + SETUP_KEYS); i++) {
        await txn.put(keyOf(prefix, i), String(value));
      }
    });
  }
}

async function sumOf(client: TxnClient, prefix: string): Promise<number> {
  let sum = 0;
  const snapshot = await client.snapshot();
  for await (const { value } of snapshot.scan({ start: `${prefix}/`, end: `${prefix}0` })) {
    sum += numberOf(value);
  }
  return sum;
}

function print(label: string, got: Attempts): void {
  const share = (100 * got.aborted) / Math.max(1, got.aborted + got.committed);
  const codes = [...got.codes].map(([code, count]) => `${code} ${count}`).join(", ");
  console.log(
    `${label}: ${got.perSecond.toFixed(0)} commits/s, p50 ${got.p50Ms.toFixed(1)} ms, ` +
      `p99 ${got.p99Ms.toFixed(1)} ms, aborted ${share.toFixed(2)} % (${codes || "none"})`,
  );
}

/** Adds to two keys. */
async function add(
  txn: Transaction,
  pairs: readonly (readonly [key: string, amount: number])[],
  forUpdate: boolean,
): Promise<void> {
  const read = (key: string): Promise<Uint8Array | undefined> =>
    forUpdate ? txn.getForUpdate(key) : txn.get(key);
  const values: (Uint8Array | undefined)[] = [];
  if (forUpdate) for (const [key] of pairs) values.push(await read(key));
  else values.push(...(await Promise.all(pairs.map(([key]) => read(key)))));
  for (const [i, [key, amount]] of pairs.entries()) {
    await txn.put(key, String(numberOf(values[i]) + amount));
  }
}

interface Case {
  readonly series: string;
  readonly work: () => Work;
}

/** Runs cases in turns; returns their attempts, round by round. */
async function turns(
  { context, client }: Bench,
  name: string,
  cases: readonly Case[],
): Promise<Attempts[][]> {
  const isSmoke = context.mode === "smoke";
  const all: Attempts[][] = cases.map(() => []);
  for (let round = 0; round < (isSmoke ? 1 : ROUNDS); round++) {
    for (const [i, { series, work }] of cases.entries()) {
      const seconds = isSmoke ? 0.1 : 2;
      const workers = isSmoke ? 4 : WORKERS;
      const got = await drive({ client, workers, seconds, next: work });
      print(`${name} ${series}`, got);
      all[i]?.push(got);
    }
  }
  return all;
}

const ratesOf = (rounds: readonly Attempts[]): number[] => rounds.map((one) => one.perSecond);

async function bank(bench: Bench, accounts: number): Promise<Report[]> {
  const { client, next } = bench;
  const half = accounts / 2;
  const transfer = (asyncCommit: boolean): Case["work"] => {
    return () => {
      const pairs = [
        [keyOf("bank", next() % half), -1],
        [keyOf("bank", half + (next() % half)), 1],
      ] as const;
      return { begin: { asyncCommit }, run: (txn) => add(txn, pairs, false) };
    };
  };
  const name = "2-key transfer, two regions";
  const cases = [
    { series: "two phases", work: transfer(false) },
    { series: "async commit", work: transfer(true) },
  ];
  const all = await turns(bench, name, cases);
  const sum = await sumOf(client, "bank");
  if (sum !== accounts * BALANCE) throw new Error(`${name}: the sum became ${sum}`);
  const hash = hashOf(Buffer.from(String(sum)));
  return cases.map(({ series }, i) =>
    figure(name, series, ratesOf(all[i] as Attempts[]), hash, "commits/s"),
  );
}

async function contention(bench: Bench, counters: number, theta: number): Promise<Report[]> {
  const { client, next } = bench;
  const rank = zipf(counters, theta, next);
  const before = await sumOf(client, "counter");
  const increments = (pessimistic: boolean): Case["work"] => {
    return () => {
      const first = rank();
      let second = rank();
      while (second === first) second = rank();
      const pairs = [first, second].map((i) => [keyOf("counter", i), 1] as const);
      return { begin: { pessimistic }, run: (txn) => add(txn, pairs, pessimistic) };
    };
  };
  const name = `2 counters, zipf ${theta}`;
  const cases = [
    { series: "optimistic", work: increments(false) },
    { series: "pessimistic", work: increments(true) },
  ];
  const all = await turns(bench, name, cases);
  const committed = all.flat().reduce((sum, one) => sum + one.committed, 0);
  const added = (await sumOf(client, "counter")) - before;
  if (added !== 2 * committed) throw new Error(`${name}: ${committed} commits added ${added}`);
  const abortsOf = (rounds: readonly Attempts[]): number[] =>
    rounds.map((one) => (100 * one.aborted) / Math.max(1, one.aborted + one.committed));
  return cases.flatMap(({ series }, i) => {
    const rounds = all[i] as Attempts[];
    return [
      figure(name, series, ratesOf(rounds), "-", "commits/s"),
      figure(`${name}: ${series} aborted`, "share", abortsOf(rounds), "-", "%", "lower"),
    ];
  });
}

async function measure(context: BenchContext, cluster: Cluster): Promise<Report[]> {
  const isSmoke = context.mode === "smoke";
  const accounts = isSmoke ? 20 : ACCOUNTS;
  const counters = isSmoke ? 20 : COUNTERS;
  const client = await TxnClient.connect({ pdEndpoints: cluster.pdEndpoints });
  try {
    await fill(client, "bank", accounts, BALANCE);
    await fill(client, "counter", counters, 0);
    await cluster.splitAt(encodeBytes(Buffer.from(keyOf("bank", accounts / 2))));
    const bench: Bench = { context, client, next: seededU32() };
    const reports = await bank(bench, accounts);
    for (const theta of THETAS) reports.push(...(await contention(bench, counters, theta)));
    return reports;
  } finally {
    await client.close();
  }
}

/** Bench entry. */
export async function run(context: BenchContext): Promise<Report[]> {
  const isSmoke = context.mode === "smoke";
  const mode = isSmoke ? "inProcess" : "processes";
  const cluster = new Cluster({ stores: 1, mode, memory: isSmoke });
  await cluster.start();
  try {
    await cluster.ready();
    return await measure(context, cluster);
  } finally {
    await cluster.stop();
  }
}
