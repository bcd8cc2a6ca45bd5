/**
 * The unmodified Rust client against one node.
 * @variants RUTILE_ENGINE=rocksdb,librocksdb
 * @timeout 600
 * @exclusive
 */
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { buildStep, ROOT, runChecks } from "../support/interop.js";
import { librocksdbLoads } from "../support/librocksdb.js";
import { hasProgram, requires } from "../support/requires.js";
import { startRutile } from "../support/rutile_process.js";

const BINDING = process.env.RUTILE_ENGINE ?? "rocksdb";
const CHECKS = 6;
const TARGET = join(ROOT, "build/interop/rust");

const present =
  requires("cargo", () => hasProgram("cargo")) &&
  (BINDING !== "librocksdb" || requires("librocksdb", librocksdbLoads));
if (present) {
  const args = ["build", "--quiet", "--target-dir", TARGET];
  buildStep("test/interop/rust", "cargo", args);
}

(present ? test : test.skip)("client-rust RawClient", async () => {
  const node = await startRutile({ config: `[engine]\nbinding = "${BINDING}"\n` });
  try {
    const result = await runChecks(join(TARGET, "debug/rutile-interop"), [node.ready.pd]);
    assert.equal(result.failed, [], `${result.failed.join("\n")}\n${node.output()}`);
    assert.is(result.passed.length, CHECKS);
  } finally {
    assert.is(await node.stop(), 0, node.output());
  }
});

test.run();
