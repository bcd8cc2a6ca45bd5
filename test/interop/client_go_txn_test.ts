/**
 * Transactions of the unmodified Go client, current and of the TiDB 8.5 line, against one node and
 * against three stores: both kinds, async commit, one phase, many Regions, clients that die, deadlocks.
 * On each binding both clients run, one of them on three stores, and batching is on and off.
 * @variants RUTILE_ENGINE=rocksdb,librocksdb
 * @timeout 600
 * @seconds 70
 * @waits
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { buildGo, runChecks } from "../support/interop.js";
import { librocksdbLoads } from "../support/librocksdb.js";
import { hasProgram, requires } from "../support/requires.js";
import { startRutile } from "../support/rutile_process.js";

const BINDING = process.env.RUTILE_ENGINE ?? "rocksdb";
const CHECKS = 15;
const ROWS = 5000;
const IS_NPM = BINDING === "rocksdb";
const CLIENTS = [
  { name: "current", stores: IS_NPM ? 1 : 3, batch: !IS_NPM },
  { name: "tidb-8.5", stores: IS_NPM ? 3 : 1, batch: IS_NPM },
] as const;
const CONFIG = `[engine]\nbinding = "${BINDING}"\n`;
const THREE = { args: ["up", "--stores", "3", "--base-port", "0"] };

async function checkClient(program: string, stores: 1 | 3, batch: boolean): Promise<void> {
  const node = await startRutile({ config: CONFIG, ...(stores === 3 && THREE) });
  try {
    const args = ["-pd", node.ready.pd, `-batch=${batch}`, "-rows", String(ROWS)];
    const result = await runChecks(program, args);
    assert.equal(result.failed, [], `${result.failed.join("\n")}\n${node.output()}`);
    assert.is(result.passed.length, CHECKS);
  } finally {
    assert.is(await node.stop(), 0, node.output());
  }
}

const present =
  requires("go", () => hasProgram("go")) &&
  (BINDING !== "librocksdb" || requires("librocksdb", librocksdbLoads));
for (const { batch, name, stores } of CLIENTS) {
  const program = present ? buildGo(name, "txn") : "";
  const title = `client-go ${name}, transactions, batching ${batch ? "on" : "off"}, ${stores} stores`;
  (present ? test : test.skip)(title, () => checkClient(program, stores, batch));
}

test.run();
