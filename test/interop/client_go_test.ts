/**
 * The unmodified Go client, current and of the TiDB 8.5 line, against one node.
 * @variants RUTILE_ENGINE=rocksdb,librocksdb
 * @timeout 600
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
const CHECKS = 12;
const KEYS_MANY = 100_000;
const KEYS_FEW = 5_000;
const BINARIES = join(ROOT, "build/interop");
const CLIENTS = [
  { name: "current", modfile: "go.mod" },
  { name: "tidb-8.5", modfile: "tidb85.mod" },
];

function config(ttl: boolean): string {
  return `[engine]\nbinding = "${BINDING}"\n[storage]\nenable-ttl = ${ttl}\n`;
}

async function checkClient(program: string, api: string, batch: boolean): Promise<void> {
  const node = await startRutile({ config: config(api === "V1TTL") });
  try {
    const keys = batch ? KEYS_MANY : KEYS_FEW;
    const args = ["-pd", node.ready.pd, "-api", api, `-batch=${batch}`, "-keys", String(keys)];
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
  const program = join(BINARIES, `client_go_${client.name}`);
  if (present) {
    mkdirSync(BINARIES, { recursive: true });
    buildStep("test/interop/go", "go", ["build", `-modfile=${client.modfile}`, "-o", program, "."]);
  }
  for (const api of ["V1", "V1TTL"]) {
    for (const batch of [true, false]) {
      const name = `client-go ${client.name}, ${api}, batching ${batch ? "on" : "off"}`;
      (present ? test : test.skip)(name, () => checkClient(program, api, batch));
    }
  }
}

test.run();
