/**
 * RawClient and `rutile ctl` against a real node: each API version, checksums compared with the client's
 * own computation, races, and a node that restarts on other ports.
 *
 * @timeout 120
 * @seconds 17
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RawClient, type RawClientConfig } from "../../../src/client/index.js";
import { rejection } from "../../support/client_cluster.js";
import { type RutileProcess, startRutile } from "../../support/rutile_process.js";
import { tmpDir } from "../../support/tmp.js";

const LOCAL = ["--pd-addr", "127.0.0.1:0", "--addr", "127.0.0.1:0", "--status-addr", "127.0.0.1:0"];
const CONFIGS = {
  V1: "",
  V1TTL: "[storage]\nenable-ttl = true\n",
  V2: "[storage]\napi-version = 2\nenable-ttl = true\n",
} as const;

type Version = keyof typeof CONFIGS;

/** One node for each API version, started when it is first needed. */
const nodes = new Map<Version, Promise<RutileProcess>>();

function nodeOf(version: Version): Promise<RutileProcess> {
  let node = nodes.get(version);
  if (node === undefined) {
    node = startRutile({ args: ["start", "--memory", ...LOCAL], config: CONFIGS[version] });
    nodes.set(version, node);
  }
  return node;
}

test.after(async () => {
  for (const node of nodes.values()) await (await node).stop();
});

/** Runs `body` with a client on an empty node of `version`. */
async function withNode(
  version: Version,
  body: (client: RawClient, node: RutileProcess) => Promise<void>,
  config: Partial<RawClientConfig> = {},
): Promise<void> {
  const node = await nodeOf(version);
  const pdEndpoints = [node.ready.pd];
  const client = await RawClient.connect({ pdEndpoints, apiVersion: version, ...config });
  try {
    if (config.apiVersion === undefined) await client.deleteRange("", "");
    await body(client, node);
  } finally {
    client.close();
  }
}

async function pairsOf(client: RawClient, reverse = false): Promise<[string, string][]> {
  const out: [string, string][] = [];
  for await (const { key, value } of reverse ? client.reverseScan() : client.scan()) {
    out.push([Buffer.from(key).toString("hex"), Buffer.from(value).toString("hex")]);
  }
  return out;
}

const bytes = (max: number): fc.Arbitrary<Buffer> =>
  fc.uint8Array({ minLength: 1, maxLength: max }).map((array) => Buffer.from(array));

for (const version of ["V1", "V1TTL", "V2"] as const) {
  test(`any pairs come back, in order, both ways (${version})`, () =>
    withNode(version, async (client) => {
      const pairLists = fc.array(fc.tuple(bytes(20), bytes(50)), { minLength: 1, maxLength: 60 });
      await fc.assert(
        fc.asyncProperty(pairLists, async (pairs) => {
          await client.deleteRange("", "");
          await client.batchPut(pairs.map(([key, value]) => ({ key, value })));
          const model = new Map(pairs.map(([k, v]) => [k.toString("hex"), v.toString("hex")]));
          const sorted = [...model].sort(([a], [b]) => (a < b ? -1 : 1));
          assert.equal(await pairsOf(client), sorted);
          assert.equal(await pairsOf(client, true), sorted.reverse());
          const values = await client.batchGet(pairs.map(([key]) => key));
          for (const [i, value] of values.entries()) {
            const expected = model.get((pairs[i] as [Buffer, Buffer])[0].toString("hex"));
            assert.is(Buffer.from(value ?? []).toString("hex"), expected, `value ${i}`);
          }
        }),
        { numRuns: 15 },
      );
    }));
}

test("TTLs are kept where stores keep them", () =>
  withNode("V1TTL", async (client) => {
    await client.put("a", "1", { ttlSeconds: 100 });
    const left = (await client.getKeyTtl("a")) as number;
    assert.ok(left > 50 && left <= 100, `${left} s`);
    await client.put("b", "1");
    assert.is(await client.getKeyTtl("b"), 0);
    assert.is(await client.getKeyTtl("none"), undefined);
  }));

test("TTLs and keys that stores do not take are refused with the remedy", () =>
  withNode("V1", async (client) => {
    const told = await rejection(client.put("a", "1", { ttlSeconds: 100 }));
    assert.match(told, /^KV:Storage:TtlNotEnabled: .*enable-ttl = true/);
    const long = await rejection(client.put("k".repeat(9000), "1"));
    assert.match(long, /^KV:Storage:KeyTooLarge: .*max-key-size/);
  }));

test("a client of another API version is told so", () =>
  withNode(
    "V2",
    async (client) => {
      assert.match(await rejection(client.get("a")), /^KV:Storage:ApiVersionNotMatched/);
    },
    { apiVersion: "V1" },
  ));

test("of many swaps that expect the same value exactly one wins", () =>
  withNode("V1", async (client) => {
    const rivals = Array.from({ length: 50 }, (_, i) =>
      client.compareAndSwap("k", undefined, `${i}`),
    );
    const results = await Promise.all(rivals);
    assert.is(results.filter(({ swapped }) => swapped).length, 1);
    let counter = 0;
    const increment = async (): Promise<void> => {
      for (let old = await client.get("n"); ; ) {
        const next = String(Number(Buffer.from(old ?? []).toString() || "0") + 1);
        const { previous, swapped } = await client.compareAndSwap("n", old, next);
        if (swapped) return;
        counter++;
        old = previous;
      }
    };
    await Promise.all(Array.from({ length: 20 }, increment));
    assert.is(Buffer.from((await client.get("n")) ?? []).toString(), "20");
    assert.ok(counter > 0, "there were races");
  }));

/** CRC-64/XZ over key and value, bit by bit. */
function crc64(data: Uint8Array): bigint {
  let crc = 0xffff_ffff_ffff_ffffn;
  for (const byte of data) {
    crc ^= BigInt(byte);
    for (let i = 0; i < 8; i++) crc = crc & 1n ? (crc >> 1n) ^ 0xc96c_5795_d787_0f42n : crc >> 1n;
  }
  return crc ^ 0xffff_ffff_ffff_ffffn;
}

test("the checksum is the one that a client computes from a scan", () =>
  withNode("V1", async (client) => {
    const pairs = Array.from({ length: 200 }, (_, i) => ({ key: `k${i}`, value: `v${i * i}` }));
    await client.batchPut(pairs);
    const sum = await client.checksum("", "");
    let expected = 0n;
    let size = 0n;
    for (const { key, value } of pairs) {
      expected ^= crc64(Buffer.from(key + value));
      size += BigInt(key.length + value.length);
    }
    assert.equal(sum, { checksum: expected, totalKvs: 200n, totalBytes: size });
  }));

for (const batchCommands of [true, false]) {
  const count = batchCommands ? 5000 : 500;
  test(`${count} concurrent puts and gets (batchCommands ${batchCommands})`, () =>
    withNode(
      "V1",
      async (client) => {
        const keys = Array.from({ length: count }, (_, i) => `key${i}`);
        await Promise.all(keys.map((key) => client.put(key, `${key}!`)));
        const values = await Promise.all(keys.map((key) => client.get(key)));
        for (const [i, value] of values.entries()) {
          assert.is(Buffer.from(value ?? []).toString(), `${keys[i]}!`, `value ${i}`);
        }
        let seen = 0;
        for await (const _ of client.scan({ start: "key", pageSize: 1000 })) seen++;
        assert.is(seen, count);
      },
      { batchCommands },
    ));
}

test("a store that comes back on another port is found by the same client", async () => {
  const dataDir = join(tmpDir("client"), "data");
  const first = await startRutile({ dataDir });
  const [host, port] = first.ready.pd.replace("http://", "").split(":") as [string, string];
  const client = await RawClient.connect({ pdEndpoints: [first.ready.pd] });
  await client.put("a", "1");
  await first.stop();
  const samePd = ["start", "--pd-addr", `${host}:${port}`, "--addr", "127.0.0.1:0"];
  const second = await startRutile({ dataDir, args: [...samePd, "--status-addr", "127.0.0.1:0"] });
  try {
    assert.is.not(second.ready.store, first.ready.store);
    assert.is(Buffer.from((await client.get("a")) ?? []).toString(), "1");
    await client.put("b", "2");
  } finally {
    client.close();
    await second.stop();
  }
});

test("rutile ctl speaks to a node", () =>
  withNode("V1", async (_client, node) => {
    const main = fileURLToPath(new URL("../../../src/cli/main.js", import.meta.url));
    const ctl = (...args: string[]): { out: string; code: number | null } => {
      const ran = spawnSync(process.execPath, [main, "ctl", "--pd", node.ready.pd, ...args]);
      return { out: ran.stdout.toString(), code: ran.status };
    };
    assert.equal(ctl("put", "hello", "world"), { out: "ok\n", code: 0 });
    assert.equal(ctl("get", "hello"), { out: "world\n", code: 0 });
    assert.is(ctl("get", "nothing").code, 1);
    assert.is(JSON.parse(ctl("--json", "stores").out)[0].address, node.ready.store);
    assert.is(JSON.parse(ctl("--json", "regions").out).length, 1);
    assert.match(JSON.parse(ctl("--json", "tso").out)[0].timestamp, /^\d+$/);
    assert.is(ctl("nonsense").code, 2);
  }));

const PUBLISHED = [
  "AssertionFailedError",
  "ClientError",
  "CommitUndeterminedError",
  "DeadlockError",
  "KeyExistsError",
  "LockTimeoutError",
  "RawClient",
  "TxnAbortedError",
  "TxnClient",
  "TxnNotFoundError",
  "TxnTooLargeError",
  "WriteConflictError",
  "isRetryable",
];

test("the package exports the client as rutile/client", async () => {
  const name = "rutile/client";
  const published = (await import(name)) as Record<string, unknown>;
  assert.is(published.RawClient, RawClient);
  assert.equal(Object.keys(published).sort(), PUBLISHED);
});

test.run();
