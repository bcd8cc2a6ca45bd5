/**
 * Propose throughput in process: puts of 256 bytes into one region and into 1,000, on one store and
 * replicated to three, each acknowledged when applied (and durable on a quorum). Rows "share": where
 * the thread's time went, in percent. Three stores share one thread here, so divide by three to
 * compare with processes.
 */
import { utf8 } from "../../src/base/index.js";
import { librocksdbPresent } from "../../src/engine/index.js";
import { type BenchContext, hashOf, type Mode, type Report } from "../harness.js";
import { PART_NAMES, profiled } from "./profile.js";
import { BenchStores, propose, type StoresOptions } from "./stores.js";

const VALUE = new Uint8Array(256).fill(7);
const REGIONS = [1, 1000] as const;
const INFLIGHT = { 1: 256, 1000: 1024 } as const;
const WARM_MS = 1500;
const WINDOW_MS = 200;
const WINDOWS = 20;
const TICK_MS = 500;
const SMOKE_TICK_MS = 50;
const SMOKE_PUTS = 20;
/** As many regions as the smoke run of the larger row takes. */
const SMOKE_REGIONS = 20;

/** Keeps `inflight` proposals open, over all regions in turn, until it is told to stop. */
class Load {
  done = 0;
  #next = 0;
  #open = 0;
  #isStopping = false;
  #onStopped: () => void = () => {};

  constructor(
    private readonly stores: BenchStores,
    inflight: number,
  ) {
    for (let i = 0; i < inflight; i++) this.#one();
  }

  /** Resolves when no proposal is open. */
  stop(): Promise<void> {
    this.#isStopping = true;
    return new Promise((resolve) => {
      this.#onStopped = resolve;
      if (this.#open === 0) resolve();
    });
  }

  #one(): void {
    const counter = this.#next++;
    this.#open++;
    propose(this.stores, counter % this.stores.options.regions, counter, VALUE, (ok) => {
      if (!ok) throw new Error("a proposal failed");
      this.done++;
      this.#open--;
      if (!this.#isStopping) this.#one();
      else if (this.#open === 0) this.#onStopped();
    });
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function warmedUp(load: Load, mode: Mode): Promise<void> {
  if (mode === "real") return sleep(WARM_MS);
  while (load.done < SMOKE_PUTS) await sleep(1);
}

interface Measured {
  /** Puts a second, by window, ascending. */
  readonly rates: readonly number[];
  /** Processor time of all threads, microseconds. */
  readonly cpuPerPut: number;
  readonly syncsPerPut: number;
  readonly messagesPerPut: number;
  readonly parts: ReadonlyMap<string, number>;
}

function countsOf(stores: BenchStores): { syncs: number; messages: number } {
  const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
  return {
    syncs: sum(stores.all.map(({ syncs }) => syncs)),
    messages: sum(stores.transports.map(({ messages }) => messages)),
  };
}

async function measure(options: StoresOptions, mode: Mode): Promise<Measured> {
  const stores = await BenchStores.open(options);
  const inflight = options.regions === 1 ? INFLIGHT[1] : INFLIGHT[1000];
  const load = new Load(stores, mode === "real" ? inflight : SMOKE_PUTS);
  await warmedUp(load, mode);
  const rates: number[] = [];
  const before = { ...countsOf(stores), done: load.done };
  const cpu = process.cpuUsage();
  const parts = await profiled(async () => {
    for (let i = 0; i < (mode === "real" ? WINDOWS : 1); i++) {
      const done = load.done;
      const start = performance.now();
      await sleep(mode === "real" ? WINDOW_MS : 1);
      rates.push(((load.done - done) * 1000) / (performance.now() - start));
    }
  });
  const after = countsOf(stores);
  const { user, system } = process.cpuUsage(cpu);
  const puts = Math.max(1, load.done - before.done);
  await load.stop();
  await stores.close();
  return {
    rates: rates.sort((a, b) => a - b),
    cpuPerPut: (user + system) / puts,
    syncsPerPut: (after.syncs - before.syncs) / puts,
    messagesPerPut: (after.messages - before.messages) / puts,
    parts,
  };
}

function reportsOf(options: StoresOptions, column: number, measured: Measured): Report[] {
  const params = { engine: options.engine, stores: options.stores };
  const { rates, parts } = measured;
  const common = {
    params,
    series: column === 1 ? "1 region" : `${column} regions`,
    samples: rates.length,
    hash: hashOf(utf8("-")),
  };
  const figure = (name: string, unit: string, better: Report["better"], value: number): Report => ({
    ...common,
    ...{ name, unit, better, median: value, p99: value },
  });
  const median = rates[Math.floor(rates.length / 2)] ?? 0;
  return [
    { ...figure("propose", "puts/s", "higher", median), p99: rates[0] ?? 0 },
    figure("propose: cpu", "us a put", "lower", measured.cpuPerPut),
    figure("propose: syncs", "a put", "lower", measured.syncsPerPut),
    figure("propose: messages", "a put", "lower", measured.messagesPerPut),
    ...PART_NAMES.map((part) =>
      figure(`propose: share of ${part}`, "%", "lower", 100 * (parts.get(part) ?? 0)),
    ),
  ];
}

/** Bench entry. */
export async function run({ mode }: BenchContext): Promise<Report[]> {
  const engines: StoresOptions["engine"][] = ["memory"];
  if (librocksdbPresent()) engines.push("librocksdb");
  const reports: Report[] = [];
  for (const engine of engines) {
    for (const stores of [1, 3]) {
      for (const column of REGIONS) {
        const regions = mode === "real" ? column : Math.min(column, SMOKE_REGIONS);
        const tickMs = mode === "real" ? TICK_MS : SMOKE_TICK_MS;
        const options = { engine, stores, regions, tickMs };
        reports.push(...reportsOf(options, column, await measure(options, mode)));
      }
    }
  }
  return reports;
}
