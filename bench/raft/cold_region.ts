/**
 * A cold region beside a hot one: 10,000 regions on one store in this process, an open load of puts
 * at a fixed rate, and a probe that puts into a cold region now and then. Once all other load goes
 * to one region, once it is spread evenly; the two alternate. The figure is the 99th percentile of
 * the probe, and the ratio of the two.
 */
import { librocksdbPresent } from "../../src/engine/index.js";
import type { BenchContext, Report } from "../harness.js";
import { figure, medianOf } from "../server/loads.js";
import { BenchStores, propose } from "./stores.js";

const VALUE = new Uint8Array(256).fill(7);
const NAME = "probe of a cold region";
const TURN_MS = 2;
/** Puts a turn beside the probe: 4,000 a second. */
const PUTS_A_TURN = 8;
const PROBE_TURNS = 4;

interface Shape {
  readonly regions: number;
  readonly turns: number;
  readonly rounds: number;
}

const REAL: Shape = { regions: 10_000, turns: 3000, rounds: 3 };
const SMOKE: Shape = { regions: 50, turns: 40, rounds: 1 };

/** Puts at the fixed rate; returns the 99th percentile of the probe, us. */
async function probe(
  stores: BenchStores,
  { regions, turns }: Shape,
  hot: boolean,
): Promise<number> {
  const cold = regions >> 1;
  const latenciesUs: number[] = [];
  let next = 0;
  let open = 0;
  let counter = 0;
  const put = (index: number, onDone: () => void): void => {
    open++;
    propose(stores, index, counter++, VALUE, (ok) => {
      open--;
      if (!ok) throw new Error("a put was refused");
      onDone();
    });
  };
  const started = performance.now();
  for (let turn = 0; turn < turns; turn++) {
    for (let i = 0; i < PUTS_A_TURN; i++) put(hot ? 0 : next++ % regions, () => {});
    if (turn % PROBE_TURNS === 0) {
      const at = performance.now();
      put(cold, () => latenciesUs.push((performance.now() - at) * 1000));
    }
    const wait = started + (turn + 1) * TURN_MS - performance.now();
    // Behind schedule the next turn comes at once: the load is open.
    await new Promise((resolve) => (wait > 0 ? setTimeout(resolve, wait) : setImmediate(resolve)));
  }
  while (open > 0) await new Promise((resolve) => setImmediate(resolve));
  latenciesUs.sort((a, b) => a - b);
  return latenciesUs[Math.floor(latenciesUs.length * 0.99)] ?? 0;
}

/** Bench entry. */
export async function run({ mode }: BenchContext): Promise<Report[]> {
  const shape = mode === "real" ? REAL : SMOKE;
  const engine = librocksdbPresent() ? "librocksdb" : "memory";
  const stores = await BenchStores.open({
    stores: 1,
    regions: shape.regions,
    engine,
    tickMs: 1000,
  });
  const hot: number[] = [];
  const even: number[] = [];
  try {
    await probe(stores, { ...shape, turns: shape.turns / 4 }, false);
    for (let round = 0; round < shape.rounds; round++) {
      even.push(await probe(stores, shape, false));
      hot.push(await probe(stores, shape, true));
    }
  } finally {
    await stores.close();
  }
  const ratios = hot.map((value, round) => value / (even[round] as number));
  const shown = ratios.map((ratio) => ratio.toFixed(2)).join(" ");
  console.log(
    `${NAME}: p99 beside a hot one ${medianOf(ratios).toFixed(2)} of even load (${shown})`,
  );
  return [
    figure(NAME, "load spread evenly", even, "-", "us, p99", "lower"),
    figure(NAME, "one hot region", hot, "-", "us, p99", "lower"),
  ];
}
