/** Whether the system's librocksdb loads, asked in a child so that this process stays clean. */
import { spawnSync } from "node:child_process";

const PROBE = `
import("koffi").then(({ default: koffi }) => {
  const names = ["librocksdb.so", "librocksdb.so.7.8", "librocksdb.so.8.9", "librocksdb.so.9"];
  process.exit(names.some((name) => { try { koffi.load(name); return true; } catch { return false; } }) ? 0 : 1);
});`;

/** Returns whether a librocksdb is installed that the loader finds. */
export function librocksdbLoads(): boolean {
  return spawnSync(process.execPath, ["-e", PROBE]).status === 0;
}
