/**
 * The unmodified Rust client against one node and against three stores.
 * @variants RUTILE_ENGINE=rocksdb,librocksdb
 * Whoever comes first builds it, which takes minutes; see build.ts.
 * @timeout 1200
 * @seconds 30
 * @waits
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { buildRust, runChecks } from "../support/interop.js";
import { librocksdbLoads } from "../support/librocksdb.js";
import { hasProgram, requires } from "../support/requires.js";
import { type StartOptions, startRutile } from "../support/rutile_process.js";

const BINDING = process.env.RUTILE_ENGINE ?? "rocksdb";
const CHECKS = 6;

const present =
  requires("cargo", () => hasProgram("cargo")) &&
  (BINDING !== "librocksdb" || requires("librocksdb", librocksdbLoads));
const program = present ? buildRust() : "";

const CONFIG = `[engine]\nbinding = "${BINDING}"\n`;

async function checkClient(options: StartOptions, ...args: string[]): Promise<void> {
  const node = await startRutile(options);
  try {
    const result = await runChecks(program, [...args, node.ready.pd]);
    assert.equal(result.failed, [], `${result.failed.join("\n")}\n${node.output()}`);
    assert.is(result.passed.length, CHECKS);
  } finally {
    assert.is(await node.stop(), 0, node.output());
  }
}

(present ? test : test.skip)("client-rust RawClient, one node", () =>
  checkClient({ config: CONFIG }),
);

const THREE_STORES = ["up", "--stores", "3", "--base-port", "0"];

(present ? test : test.skip)("client-rust RawClient, three stores", () =>
  checkClient({ args: THREE_STORES, config: CONFIG }),
);

(present ? test : test.skip)("client-rust TransactionClient, one node", () =>
  checkClient({ config: CONFIG }, "txn"),
);

(present ? test : test.skip)("client-rust TransactionClient, three stores", () =>
  checkClient({ args: THREE_STORES, config: CONFIG }, "txn"),
);

test.run();
