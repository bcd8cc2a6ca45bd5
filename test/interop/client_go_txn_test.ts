/**
 * Transactions of the unmodified Go client, current and of the TiDB 8.5 line, against one node and
 * against three stores: both kinds, async commit, one phase, many Regions, clients that die, deadlocks.
 * @variants RUTILE_ENGINE=rocksdb,librocksdb
 * @timeout 900
 * @exclusive
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { buildStep, ROOT, runChecks } from "../support/interop.js";
import { librocksdbLoads } from "../support/librocksdb.js";
import { hasProgram, requires } from "../support/requires.js";
import { startRutile } from "../support/rutile_process.js";

const BINDING = process.env.RUTILE_ENGINE ?? "rocksdb";
const CHECKS = 14;
const ROWS = 5000;
const BINARIES = join(ROOT, "build/interop");
const CLIENTS = [
  {
    name: "current",
    flags: [],
    runs: [
      [1, false],
      [3, true],
    ],
  },
  { name: "tidb-8.5", flags: ["-modfile=tidb85.mod", "-tags", "tidb85"], runs: [[1, true]] },
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
for (const client of CLIENTS) {
  const program = join(BINARIES, `client_go_txn_${client.name}`);
  if (present) {
    mkdirSync(BINARIES, { recursive: true });
    buildStep("test/interop/go", "go", ["build", ...client.flags, "-o", program, "./txn"]);
  }
  for (const [stores, batch] of client.runs) {
    const name = `client-go ${client.name}, transactions, batching ${batch ? "on" : "off"}, ${stores} stores`;
    (present ? test : test.skip)(name, () => checkClient(program, stores, batch));
  }
}

test.run();
