/**
 * RawGet over BatchCommands against the binding's own multi-get in the same process: 16-byte keys,
 * 100-byte values, uniform; 200,000 keys as written and 1,000,000 compacted. The two alternate, so
 * that what disturbs the machine meets both, and the median of the rounds' ratios is the figure.
 * Beside it the transport alone (echo), the twins and the npm binding.
 */
import type { BenchContext, Report } from "../harness.js";
import type { MultiGet } from "./job.js";
import { figure, keysOf, loadOnce, loadRounds, medianOf, type Series } from "./loads.js";
import { benchBinding, type StoreProcess, startEchoProcess, withStore } from "./processes.js";

const NAME = "RawGet";
const MILLION = 1_000_000;
const ROUNDS = 5;

const gets = (series: string, perMessage: number, window: number): Series => ({
  name: NAME,
  series,
  kind: "get",
  perMessage,
  window,
  connections: 4,
});

const BATCH_128 = gets("128 a message", 128, 4);

/** Multi-get and load in turns: figures of both and of the ratio. */
async function againstMultiGet(
  context: BenchContext,
  series: Series,
  store: StoreProcess,
): Promise<Report[]> {
  const isSmoke = context.mode === "smoke";
  const multiGets: number[] = [];
  const loads: number[] = [];
  let hash = "-";
  for (let round = 0; round < (isSmoke ? 1 : ROUNDS); round++) {
    const multiGet = await store.child.ask<MultiGet>(`multiget ${isSmoke ? 50 : 2000}`);
    const load = await loadOnce(context, series, store);
    if (load.hash !== multiGet.hash) throw new Error(`${series.name}: other values than multi-get`);
    hash = load.hash;
    multiGets.push(multiGet.perSecond);
    loads.push(load.perSecond);
    console.log(
      `${series.name} multi-get of 128 in process: ${Math.round(multiGet.perSecond)}/s, ` +
        `CPU ${multiGet.cpuUs.toFixed(2)} us/op, result ${multiGet.hash}`,
    );
  }
  const percents = loads.map((load, round) => (100 * load) / (multiGets[round] as number));
  const shown = percents.map((percent) => (percent / 100).toFixed(3)).join(" ");
  console.log(`${series.name} to multi-get: ${(medianOf(percents) / 100).toFixed(3)} of ${shown}`);
  return [
    figure(series.name, "multi-get in process", multiGets, hash),
    figure(series.name, series.series, loads, hash),
    figure(`${series.name} / multi-get`, "median of rounds", percents, hash, "%"),
  ];
}

/** Bench entry. */
export async function run(context: BenchContext): Promise<Report[]> {
  const binding = benchBinding();
  const keys = keysOf(context);
  console.log(`${NAME}: engine ${binding}, ${keys} keys`);
  const reports = await withStore([{ binding, keys }], async (store) => {
    const [base, load, ratio] = await againstMultiGet(context, BATCH_128, store);
    const small: Report[] = [];
    for (const series of [gets("16 a message", 16, 8), gets("1 a message", 1, 64)]) {
      small.push(await loadRounds(context, series, store));
    }
    return [base, load, ...small, ratio] as Report[];
  });
  const js = { ...BATCH_128, series: "128, KERNEL=js" };
  reports.push(
    await withStore([{ binding, keys }, "js"], (store) => loadRounds(context, js, store)),
  );
  const npm = { ...BATCH_128, series: "128, npm binding" };
  reports.push(
    await withStore([{ binding: "rocksdb", keys }], (store) => loadRounds(context, npm, store)),
  );
  const echo = { ...BATCH_128, series: "grpc-js echo", echo: true };
  const echoServer = await startEchoProcess(BATCH_128.perMessage);
  reports.push(await loadRounds(context, echo, echoServer));
  await echoServer.child.stop();
  const million = keysOf(context, MILLION);
  const compacted = { ...BATCH_128, name: "RawGet 1M compacted", keys: million };
  const large = { binding, keys: million, compact: true };
  reports.push(
    ...(await withStore([large], (store) => againstMultiGet(context, compacted, store))),
  );
  return reports;
}
