/** What an all-in-one costs while nobody asks for anything: CPU of all its threads, memory. */

import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { ANY_PORTS, Rutile } from "../../test/support/rutile.js";
import { tmpDir } from "../../test/support/tmp.js";
import type { BenchContext, Report } from "../harness.js";
import { figure } from "./loads.js";
import { usageOf } from "./processes.js";

/** Bench entry. */
export async function run({ mode }: BenchContext): Promise<Report[]> {
  const [settleMs, ms] = mode === "smoke" ? [0, 200] : [2000, 10_000];
  const node = new Rutile(["start", ...ANY_PORTS, "--data-dir", join(tmpDir("idle"), "data")]);
  try {
    const { engine } = await node.ready();
    await delay(settleMs);
    const before = usageOf(node.child.pid);
    const start = performance.now();
    await delay(ms);
    const { cpuUs, rss } = usageOf(node.child.pid);
    const percent = (cpuUs - before.cpuUs) / 10 / (performance.now() - start);
    const megabytes = rss / 1e6;
    console.log(
      `idle all-in-one, engine ${engine}: ` +
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
