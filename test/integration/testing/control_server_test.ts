/**
 * The control server: the verbs of a cluster over HTTP, as a program in another language uses them.
 * @timeout 300
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { RawClient } from "../../../src/client/index.js";
import { Cluster } from "../../../src/testing/index.js";
import { VERBS } from "../../../src/testing/verbs.js";
import { Rutile } from "../../support/rutile.js";
import { within } from "../../support/within.js";

const test = suite("control server");

const LIMIT_MS = 20_000;

interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown>;
}

async function ask(api: string, path: string, init: RequestInit = {}): Promise<Answer> {
  const answer = await fetch(`http://${api}/${path}`, init);
  return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
}

function post(api: string, verb: string, body?: object | string): Promise<Answer> {
  const text = typeof body === "string" ? body : JSON.stringify(body ?? {});
  return ask(api, verb, { method: "POST", body: text });
}

async function withApi(work: (api: string, cluster: Cluster) => Promise<void>): Promise<void> {
  const config = { "replication.max-replicas": 1 };
  const cluster = new Cluster({ mode: "inProcess", stores: 1, config });
  try {
    await cluster.start();
    await work(await cluster.http(), cluster);
  } finally {
    await cluster.stop();
  }
}

test("shows the cluster and its regions", async () => {
  await withApi(async (api, cluster) => {
    assert.equal(await post(api, "ready", { timeout_ms: LIMIT_MS }), { status: 200, body: {} });
    const shown = await ask(api, "cluster");
    assert.is(shown.body.pd, cluster.pdEndpoints[0]);
    assert.equal(shown.body.stores, [
      {
        store: 0,
        id: Number(cluster.stores[0]?.id),
        address: cluster.stores[0]?.address,
        status: cluster.stores[0]?.statusAddress,
        pid: null,
        state: "running",
      },
    ]);
    const regions = (await ask(api, "regions")).body as unknown as Record<string, unknown>[];
    assert.is(regions.length, 1);
    assert.equal(
      { ...regions[0], id: 0 },
      {
        id: 0,
        start_key: "",
        end_key: "",
        conf_ver: 1,
        version: 1,
        leader: 0,
        stores: [0],
      },
    );
  });
});

test("verbs do what the methods do", async () => {
  await withApi(async (api, cluster) => {
    const client = await cluster.client();
    await client.put("k", "v");
    const inject = { store: 0, error: "epochNotMatch", method: "RawGet", count: 1 };
    assert.is((await post(api, "inject-region-error", inject)).status, 200);
    await client.get("k");
    assert.is((await ask(api, "cluster")).body.faults_hit, 1);
    await post(api, "delay-requests", { ms: 100, method: "RawGet", count: 1 });
    const started = performance.now();
    await client.get("k");
    assert.ok(performance.now() - started >= 95);
    assert.equal((await post(api, "add-store", { labels: "zone=z1" })).body, { store: 1 });
    assert.is((await post(api, "stop-store", { store: 1 })).status, 200);
    assert.is(cluster.stores[1]?.state, "ended");
    assert.is((await post(api, "restart", { store: 1 })).status, 200);
    assert.is(cluster.stores[1]?.state, "running");
    assert.is((await post(api, "cut", { from: "clients", to: 1, one_way: true })).status, 200);
    assert.is((await post(api, "heal")).status, 200);
  });
});

/** Path, method, body, status, error. */
const WRONG: readonly (readonly [string, string, string | undefined, number, RegExp])[] = [
  ["kil", "POST", "{}", 404, /^no verb "kil"; did you mean kill\?$/],
  ["toString", "POST", "{}", 404, /^no verb "toString"/],
  ["kill", "GET", undefined, 405, /^kill takes POST$/],
  ["cluster", "POST", "{}", 405, /^cluster takes GET$/],
  ["kill", "POST", "{", 400, /^the body is not JSON$/],
  ["kill", "POST", "[]", 400, /^the body is not a JSON object$/],
  ["kill", "POST", `"${"x".repeat(70_000)}"`, 400, /^a body has at most 65536 bytes$/],
  ["kill", "POST", "{}", 400, /^store: given nothing, expected a number from 0/],
  ["kill", "POST", '{"store":9}', 400, /^no store 9$/],
  ["kill", "POST", '{"sore":0}', 400, /^kill: unknown sore; it takes store$/],
  [
    "drop-requests",
    "POST",
    '{"fraction":2}',
    400,
    /^fraction: given 2, expected a number from 0 to 1$/,
  ],
  [
    "inject-region-error",
    "POST",
    '{"store":0,"error":"x"}',
    400,
    /^error: given "x", expected one of notLeader/,
  ],
  ["cut", "POST", '{"from":"x"}', 400, /^from: given "x", expected a store, "pd" or "clients"$/],
];

test("what is wrong is answered with its words", async () => {
  await withApi(async (api) => {
    for (const [path, method, body, status, error] of WRONG) {
      const answer = await ask(api, path, body === undefined ? { method } : { method, body });
      assert.is(answer.status, status, `${method} ${path} ${body?.slice(0, 40)}`);
      assert.match(answer.body.error as string, error);
    }
    const headers = { origin: "http://example.com" };
    assert.is((await ask(api, "heal", { method: "POST", headers })).status, 403);
  });
});

test("every verb is in the table of the README", async () => {
  const { readFileSync } = await import("node:fs");
  const { join } = await import("node:path");
  const { ROOT } = await import("../../tidy/sources.js");
  const readme = readFileSync(join(ROOT, "src/testing/README.md"), "utf8");
  for (const [verb, { takes }] of Object.entries(VERBS)) {
    const row = readme.split("\n").find((line) => line.startsWith(`| \`${verb}\``));
    assert.ok(row !== undefined, verb);
    for (const name of takes) assert.ok(row?.includes(`\`${name}\``), `${verb} ${name}`);
  }
});

test("rutile up --test-api serves it for processes", async () => {
  const args = ["--stores", "1", "--memory", "--base-port", "0", "--test-api", "0"];
  const up = new Rutile(["up", ...args]);
  const ready = (await up.ready()) as unknown as { pd: string; test_api: string };
  assert.is((await post(ready.test_api, "ready", { timeout_ms: LIMIT_MS })).status, 200);
  const client = await RawClient.connect({ pdEndpoints: [ready.pd] });
  await client.put("k", "v");
  await post(ready.test_api, "pause", { store: 0 });
  assert.is(await client.get("k", { timeoutMs: 300 }).catch(() => "failed"), "failed");
  await post(ready.test_api, "resume", { store: 0 });
  await within(LIMIT_MS, "service", () =>
    client.get("k", { timeoutMs: 1000 }).catch(() => undefined),
  );
  client.close();
  assert.equal(await up.stop(), { code: 0, signal: null });
});

test.run();
