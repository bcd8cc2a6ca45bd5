/**
 * Transactions of all workloads (test/sim/txn) on a test cluster of processes, by production's client
 * over the wire, while faults happen; afterwards snapshot isolation must explain all that was seen.
 */
import * as assert from "uvu/assert";
import { Prng } from "../../src/base/index.js";
import { CommitUndeterminedError, type Transaction, TxnClient } from "../../src/client/index.js";
import { keyFromRaw } from "../../src/codec/index.js";
import { Cluster } from "../../src/testing/index.js";
import type { TxnAccess } from "../sim/txn/access.js";
import { OneTxn } from "../sim/txn/client.js";
import { type TxnHost, TxnShared, TxnWorker } from "../sim/txn/worker.js";
import { QUICK } from "./cluster_load.js";
import { TxnFaults } from "./txn_faults.js";
import type { WallClock } from "./wall_clock.js";
import { within } from "./within.js";

const CLIENTS = 6;
const THINK_MEAN_US = 5_000;
const OPERATION_MS = 10_000;
const LIMIT_MS = 120_000;
const LOCK_WAIT_MS = 2000;
/** A store that is paused or cut off is given up after it; others have their leaders by then. */
const REQUEST_MS = 3000;
const MICROS = 1000;

const HOST: TxnHost = {
  get localUs() {
    return Math.round(performance.now() * MICROS);
  },
  afterUs: (delayUs, action) => setTimeout(action, delayUs / MICROS),
};

/** A client of a worker. */
interface Access extends TxnAccess {
  /** What the last read that failed failed with; workers do not tell. */
  lastFailure: unknown;
  close(): void;
}

class NotedTxn extends OneTxn {
  constructor(
    txn: Transaction,
    prng: Prng,
    private readonly note: (error: unknown) => void,
  ) {
    super(txn, prng);
  }

  override async get(key: string): Promise<string> {
    try {
      return await super.get(key);
    } catch (error) {
      this.note(error);
      throw error;
    }
  }
}

async function openAccess(cluster: Cluster, prng: Prng): Promise<Access> {
  const client = await TxnClient.connect({
    pdEndpoints: cluster.pdEndpoints,
    timeoutMs: OPERATION_MS,
    retryBudgetMs: OPERATION_MS,
    lockWaitMs: LOCK_WAIT_MS,
    requestTimeoutMs: REQUEST_MS,
  });
  const access: Access = {
    lastFailure: undefined,
    begin: async ({ isPessimistic, useAsyncCommit, useOnePc }) => {
      const choice = { asyncCommit: useAsyncCommit, onePc: useOnePc };
      const txn = await client.begin({ pessimistic: isPessimistic, ...choice });
      return new NotedTxn(txn, prng, (error) => {
        access.lastFailure = error;
      });
    },
    isUndetermined: (error) => error instanceof CommitUndeterminedError,
    close: () => void client.close(),
  };
  return access;
}

export interface TxnLoadOptions {
  /** The engine's binding. */
  readonly engine: string;
  readonly seed: bigint;
  /** None: the wall clock does not jump. */
  readonly wall?: WallClock | undefined;
}

export interface TxnLoadReport {
  readonly committed: number;
  /** Commits of which nobody knows how they ended. */
  readonly open: number;
  readonly seconds: number;
  readonly faults: TxnFaults;
}

/** Puts the first balances, and returns the clients, which do nothing yet. */
async function openWorkers(
  cluster: Cluster,
  prng: Prng,
  shared: TxnShared,
  opened: Access[],
): Promise<[TxnWorker, ...TxnWorker[]]> {
  const workers: TxnWorker[] = [];
  for (let number = 0; number < CLIENTS; number++) {
    const access = await openAccess(cluster, prng);
    opened.push(access);
    const deps = { number, host: HOST, access, prng, thinkMeanUs: THINK_MEAN_US, shared };
    workers.push(new TxnWorker(deps));
  }
  const [first] = workers as [TxnWorker];
  await within(LIMIT_MS, "the first balances", () => first.once(() => first.open()));
  return workers as [TxnWorker, ...TxnWorker[]];
}

/** Reads everything once more and checks all that clients saw. Throws CheckFailed. */
async function checkAll(first: TxnWorker, shared: TxnShared): Promise<void> {
  const finals = await within(LIMIT_MS, "all lists", () => first.once(() => first.listRead()));
  for (const read of ["bankRead", "counterRead", "registerGet"] as const) {
    await within(LIMIT_MS, read, () => first.once(() => first[read]()));
  }
  shared.check(finals);
}

/**
 * Runs `work` on three stores under load, then checks. `work` resolves when it has done enough; what
 * its faults broke they have healed.
 */
export async function underTransactions(
  { engine, seed, wall }: TxnLoadOptions,
  work: (faults: TxnFaults) => Promise<void>,
): Promise<TxnLoadReport> {
  const log: string[] = [];
  const cluster = new Cluster({
    config: { ...QUICK, "engine.binding": engine },
    onLog: (member, line) => log.push(`[${member}] ${line}`),
  });
  const shared = new TxnShared();
  const prng = new Prng(seed);
  const opened: Access[] = [];
  try {
    await cluster.start();
    await cluster.ready();
    for (const key of ["fork0", "list1"]) await cluster.splitAt(keyFromRaw(Buffer.from(key)));
    const workers = await openWorkers(cluster, prng, shared, opened);
    const faults = new TxnFaults({ cluster, shared, prng: new Prng(seed + 1n), wall });
    const startedMs = performance.now();
    for (const worker of workers) worker.start();
    await work(faults);
    await faults.settle();
    for (const worker of workers) worker.stop();
    const seconds = (performance.now() - startedMs) / 1000;
    await within(LIMIT_MS, "the last transactions", () => workers.every(({ isIdle }) => isIdle));
    await cluster.ready();
    await checkAll(workers[0], shared);
    assert.equal(cluster.deaths, []);
    return { committed: shared.acknowledged, open: shared.open, seconds, faults };
  } catch (error) {
    const last = `first client's last read failed with ${opened[0]?.lastFailure}`;
    const lines = [`seed ${seed}: ${(error as Error).stack}`, last, ...log.slice(-40)];
    throw new Error(lines.join("\n"));
  } finally {
    for (const access of opened) access.close();
    await cluster.stop();
  }
}
