/**
 * The unmodified Go client, current and of the TiDB 8.5 line, against one node.
 * @variants RUTILE_ENGINE=rocksdb,librocksdb
 * @timeout 600
 * @seconds 70
 * @waits
 */
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { buildGo, runChecks } from "../support/interop.js";
import { librocksdbLoads } from "../support/librocksdb.js";
import { hasProgram, requires } from "../support/requires.js";
import { type RutileProcess, startRutile } from "../support/rutile_process.js";
import { tmpDir } from "../support/tmp.js";

const BINDING = process.env.RUTILE_ENGINE ?? "rocksdb";
const CHECKS = 12;
const KEYS_MANY = 100_000;
const KEYS_FEW = 5_000;
const WASM_KERNELS = ["batchCommandsDecode", "batchCommandsPlan", "batchCommandsEncode"];
const IS_NPM = BINDING === "rocksdb";
/** Each client meets V1 on each binding, and V1TTL on one of them. */
const CLIENTS = [
  { name: "current", apis: IS_NPM ? ["V1"] : ["V1", "V1TTL"] },
  { name: "tidb-8.5", apis: IS_NPM ? ["V1", "V1TTL"] : ["V1"] },
] as const;

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
    if (batch) await assertWasmServed(node.ready.status);
  } finally {
    assert.is(await node.stop(), 0, node.output());
  }
}

/** One Go client goes on while the store comes back on another port, found through PD. */
async function checkFollow(program: string, batch: boolean): Promise<void> {
  const dataDir = join(tmpDir("follow"), "data");
  const start = (pd: string): Promise<RutileProcess> => {
    const store = ["--addr", "127.0.0.1:0", "--status-addr", "127.0.0.1:0"];
    const args = ["start", "--pd-addr", pd, ...store];
    return startRutile({ config: config(false), dataDir, args });
  };
  let node = await start("127.0.0.1:0");
  const { pd, store } = node.ready;
  const args = ["-pd", pd, "-follow", `-batch=${batch}`];
  const result = await runChecks(program, args, async () => {
    assert.is(await node.stop(), 0, node.output());
    node = await start(pd);
    assert.is.not(node.ready.store, store);
  });
  assert.equal(result, { passed: ["follow"], failed: [] }, node.output());
  assert.is(await node.stop(), 0, node.output());
}

/** The batch path's kernels ran in WebAssembly under this client's load, and not as twins. */
async function assertWasmServed(status: string): Promise<void> {
  const metrics = await (await fetch(`http://${status}/metrics`)).text();
  const calls = (kernel: string): number => {
    const rows = metrics.matchAll(
      new RegExp(`^kernel_calls_total\\{([^}]*kernel="${kernel}"[^}]*)\\} (\\d+)`, "gm"),
    );
    let sum = 0;
    for (const [, labels, count] of rows) {
      if (/impl="(wasm|simd)"/.test(labels as string)) sum += Number(count);
    }
    return sum;
  };
  for (const kernel of WASM_KERNELS) assert.ok(calls(kernel) > 0, `${kernel} ran in WASM`);
}

const present =
  requires("go", () => hasProgram("go")) &&
  (BINDING !== "librocksdb" || requires("librocksdb", librocksdbLoads));
for (const { name, apis } of CLIENTS) {
  const program = present ? buildGo(name, "raw") : "";
  for (const batch of [true, false]) {
    const how = `batching ${batch ? "on" : "off"}`;
    for (const api of apis) {
      const title = `client-go ${name}, ${api}, ${how}`;
      (present ? test : test.skip)(title, () => checkClient(program, api, batch));
    }
    const title = `client-go ${name} follows a store to another port, ${how}`;
    (present ? test : test.skip)(title, () => checkFollow(program, batch));
  }
}

test.run();
