/**
 * RawGet over BatchCommands against the binding's own multi-get in the same process: 16-byte keys,
 * 100-byte values, uniform; beside it the transport alone (echo), the twins and the npm binding.
 */
import { type EngineBinding, librocksdbPresent } from "../../src/engine/index.js";
import type { BenchContext, Report } from "../harness.js";
import { figure, keysOf, loadRounds, type Series } from "./loads.js";
import { startEchoProcess, startStoreProcess } from "./processes.js";

const NAME = "RawGet";
const gets = (series: string, perMessage: number, window: number): Series => ({
  name: NAME,
  series,
  kind: "get",
  perMessage,
  window,
  connections: 4,
});

const BATCH_128 = gets("128 a message", 128, 4);

interface MultiGet {
  readonly perSecond: number;
  readonly cpuUs: number;
}

async function onStore(
  context: BenchContext,
  binding: EngineBinding,
  kernel: string,
  serieses: readonly Series[],
  withMultiGet: boolean,
): Promise<Report[]> {
  const { child, address } = await startStoreProcess(binding, keysOf(context), kernel);
  const reports: Report[] = [];
  try {
    const loads: Report[] = [];
    for (const series of serieses) loads.push(await loadRounds(context, series, address, child));
    if (withMultiGet) {
      const { perSecond, cpuUs } = await child.ask<MultiGet>("multiget");
      console.log(
        `${NAME} multi-get of 128 in process: ${Math.round(perSecond)}/s, CPU ${cpuUs.toFixed(2)} us/op`,
      );
      reports.push(figure(NAME, "multi-get in process", [perSecond], loads[0]?.hash ?? "-"));
    }
    reports.push(...loads);
  } finally {
    await child.stop();
  }
  return reports;
}

/** Bench entry. */
export async function run(context: BenchContext): Promise<Report[]> {
  const binding: EngineBinding = librocksdbPresent() ? "librocksdb" : "memory";
  console.log(`${NAME}: engine ${binding}, ${keysOf(context)} keys`);
  const main = [BATCH_128, gets("16 a message", 16, 8), gets("1 a message", 1, 64)];
  const reports = await onStore(context, binding, "", main, true);
  const twins = [{ ...BATCH_128, series: "128, KERNEL=js" }];
  reports.push(...(await onStore(context, binding, "js", twins, false)));
  const npm = [{ ...BATCH_128, series: "128, npm binding" }];
  reports.push(...(await onStore(context, "rocksdb", "", npm, false)));
  const { child, address } = await startEchoProcess(BATCH_128.perMessage);
  const echo = { ...BATCH_128, series: "grpc-js echo", echo: true };
  reports.push(await loadRounds(context, echo, address, child));
  await child.stop();
  return reports;
}
