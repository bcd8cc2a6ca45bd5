/**
 * Tests that need something from outside npm (librocksdb, etcd, Go, strace …) skip visibly where it
 * is missing. With RUTILE_REQUIRE_ALL=1, which `.ci/run` sets, a missing one is a failure.
 */
import { spawnSync } from "node:child_process";

/** Returns whether `name` is present; prints a SKIP line, or throws under RUTILE_REQUIRE_ALL=1. */
export function requires(name: string, present: () => boolean): boolean {
  let found = false;
  try {
    found = present();
  } catch {
    found = false;
  }
  if (found) return true;
  if (process.env.RUTILE_REQUIRE_ALL === "1") throw new Error(`required but missing: ${name}`);
  console.log(`SKIP needs ${name}`);
  return false;
}

/** Returns whether a program is on the PATH. */
export function hasProgram(program: string): boolean {
  return spawnSync("sh", ["-c", `command -v ${program}`]).status === 0;
}
