/**
 * The process that measures one binding: a process loads one RocksDB only. Started by bindings.ts
 * with RUTILE_BENCH_BINDING and RUTILE_BENCH_MODE; prints its reports as one JSON line.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Bench } from "tinybench";
import { type EngineBinding, openEngine } from "../../src/engine/index.js";
import { hashOf, type Report } from "../harness.js";
import { type EngineCase, engineCases, load } from "./cases.js";

const MIB = 1024 * 1024;
const NS_PER_MS = 1e6;
const KEYS_REAL = 200_000;
const KEYS_SMOKE = 2_000;
const REAL = { time: 300, warmupTime: 50 };
const SMOKE = { time: 0, iterations: 2, warmup: false };

async function measure(
  item: EngineCase,
  binding: string,
  keys: number,
  smoke: boolean,
): Promise<Report> {
  const bench = new Bench({ ...(smoke ? SMOKE : REAL), throws: true });
  bench.add(item.name, () => item.call());
  const [task] = await bench.run();
  if (task === undefined || task.result.state !== "completed") {
    throw new Error(`${item.name} on ${binding} did not complete`);
  }
  const { latency } = task.result;
  const perItem = NS_PER_MS / item.items;
  return {
    name: item.name,
    params: { keys },
    series: binding,
    unit: "ns/item",
    better: "lower",
    median: latency.p50 * perItem,
    p99: latency.p99 * perItem,
    samples: latency.samplesCount,
    hash: hashOf(item.result?.() ?? new Uint8Array(0)),
  };
}

async function main(binding: EngineBinding, smoke: boolean): Promise<void> {
  const path = mkdtempSync(join(tmpdir(), "rutile-bench-"));
  try {
    const engine = await openEngine({
      path: join(path, "db"),
      binding,
      blockCacheBytes: 256 * MIB,
      writeBufferBytes: 64 * MIB,
      onFatal: (error) => {
        throw error;
      },
    });
    const keys = smoke ? KEYS_SMOKE : KEYS_REAL;
    await load(engine, keys);
    const reports: Report[] = [];
    for (const item of engineCases(engine, keys)) {
      reports.push(await measure(item, binding, keys, smoke));
      item.close?.();
    }
    await engine.close();
    console.log(JSON.stringify(reports));
  } finally {
    rmSync(path, { recursive: true });
  }
}

const { RUTILE_BENCH_BINDING: binding, RUTILE_BENCH_MODE: mode } = process.env;
// The runner imports every file here to find benches; only as a process of its own this one runs.
if (binding !== undefined) await main(binding as EngineBinding, mode === "smoke");
