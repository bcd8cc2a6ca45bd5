/**
 * Reads and writes of each engine binding, side by side: 200k keys of 16 B with 100 B values, mostly
 * memtable hits. The npm binding comes first and is the base of the ratios.
 */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { type EngineBinding, librocksdbPresent } from "../../src/engine/index.js";
import type { BenchContext, Report } from "../harness.js";

const CHILD = fileURLToPath(new URL("./child.js", import.meta.url));

function measured(binding: EngineBinding, mode: string): Report[] {
  const child = spawnSync(process.execPath, [CHILD], {
    env: { ...process.env, RUTILE_BENCH_BINDING: binding, RUTILE_BENCH_MODE: mode },
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
  });
  if (child.status !== 0) throw new Error(`the ${binding} child ended with ${child.status}`);
  return JSON.parse(child.stdout) as Report[];
}

/** Measures every binding that is present here, each in a process of its own. */
export function run({ mode }: BenchContext): readonly Report[] {
  const bindings: EngineBinding[] = ["rocksdb", "memory"];
  // Loading the library in this process is harmless: no other RocksDB is ever loaded here.
  if (librocksdbPresent()) bindings.splice(1, 0, "librocksdb");
  const reports = bindings.flatMap((binding) => measured(binding, mode));
  const hashes = new Map<string, string>();
  for (const { name, series, hash } of reports) {
    const known = hashes.get(name) ?? hash;
    if (known !== hash) throw new Error(`${name}: ${series} read something else`);
    hashes.set(name, known);
  }
  return reports;
}
