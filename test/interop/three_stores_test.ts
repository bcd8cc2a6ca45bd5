/**
 * The unmodified Go clients against three stores whose Regions are so small that they split while the
 * checks run.
 * @variants RUTILE_ENGINE=rocksdb,librocksdb
 * @timeout 600
 * @seconds 80
 * @waits
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { PdClient } from "../../src/pd_client/index.js";
import { buildGo, runChecks } from "../support/interop.js";
import { librocksdbLoads } from "../support/librocksdb.js";
import { hasProgram, requires } from "../support/requires.js";
import { startRutile } from "../support/rutile_process.js";

const BINDING = process.env.RUTILE_ENGINE ?? "rocksdb";
const CHECKS = 12;
const KEYS_MANY = 30_000;
const KEYS_FEW = 3_000;
const IS_NPM = BINDING === "rocksdb";
type Run = readonly [api: string, batch: boolean];
const ALL: readonly Run[] = [
  ["V1", true],
  ["V1", false],
  ["V1TTL", true],
];
const ONE: readonly Run[] = [["V1", true]];
/** On each binding one client meets all, the other one run. */
const CLIENTS = [
  { name: "current", runs: IS_NPM ? ONE : ALL },
  { name: "tidb-8.5", runs: IS_NPM ? ALL : ONE },
] as const;
/** Each run writes far more than that many Regions hold. */
const REGIONS_LEAST = 4;
const EMPTY = new Uint8Array(0);

function config(ttl: boolean): string {
  return [
    `engine.binding = "${BINDING}"`,
    `storage.enable-ttl = ${ttl}`,
    'coprocessor.region-split-size = "64KiB"',
    'raftstore.split-region-check-tick-interval = "500ms"',
    'raftstore.raft-base-tick-interval = "200ms"',
  ].join("\n");
}

async function regionCount(pd: string): Promise<number> {
  const client = new PdClient({ endpoints: [pd] });
  const reply = await client.scanRegions(EMPTY, EMPTY, 10_000);
  client.close();
  assert.ok(reply.ok);
  return reply.ok ? reply.value.length : 0;
}

async function checkClient(program: string, api: string, batch: boolean): Promise<void> {
  const args = ["up", "--stores", "3", "--base-port", "0"];
  const up = await startRutile({ args, config: config(api === "V1TTL") });
  try {
    const keys = batch ? KEYS_MANY : KEYS_FEW;
    const flags = ["-pd", up.ready.pd, "-api", api, `-batch=${batch}`, "-keys", String(keys)];
    const result = await runChecks(program, flags);
    assert.equal(result.failed, [], `${result.failed.join("\n")}\n${up.output()}`);
    assert.is(result.passed.length, CHECKS);
    const regions = await regionCount(up.ready.pd);
    console.log(`${regions} Regions after ${keys} keys`);
    assert.ok(regions >= REGIONS_LEAST, `${regions} Regions`);
  } finally {
    assert.is(await up.stop(), 0, up.output());
  }
}

const present =
  requires("go", () => hasProgram("go")) &&
  (BINDING !== "librocksdb" || requires("librocksdb", librocksdbLoads));
for (const { name, runs } of CLIENTS) {
  const program = present ? buildGo(name, "raw") : "";
  for (const [api, batch] of runs) {
    const title = `client-go ${name}, ${api}, batching ${batch ? "on" : "off"}, three stores`;
    (present ? test : test.skip)(title, () => checkClient(program, api, batch));
  }
}

test.run();
