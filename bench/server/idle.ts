/** What an all-in-one costs while nobody asks for anything: CPU of all its threads, memory. */
import { setTimeout as delay } from "node:timers/promises";
import { startRutile } from "../../test/support/rutile_process.js";
import type { BenchContext, Report } from "../harness.js";
import { figure } from "./loads.js";
import { usageOf } from "./processes.js";

/** Bench entry. */
export async function run({ mode }: BenchContext): Promise<Report[]> {
  const [settleMs, ms] = mode === "smoke" ? [0, 200] : [2000, 10_000];
  const node = await startRutile();
  try {
    await delay(settleMs);
    const before = usageOf(node.child.pid);
    const start = performance.now();
    await delay(ms);
    const { cpuUs, rss } = usageOf(node.child.pid);
    const percent = (cpuUs - before.cpuUs) / 10 / (performance.now() - start);
    const megabytes = rss / 1e6;
    console.log(
      `idle all-in-one, engine ${node.ready.engine}: ` +
        `CPU ${percent.toFixed(2)} % of a core, RSS ${Math.round(megabytes)} MB`,
    );
    return [
      figure("idle CPU", "rutile start", [percent], "-", "% of a core", "lower"),
      figure("idle RSS", "rutile start", [megabytes], "-", "MB", "lower"),
    ];
  } finally {
    await node.stop();
  }
}
