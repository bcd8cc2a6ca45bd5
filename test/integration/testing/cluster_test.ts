/**
 * The test cluster itself: each mode starts, serves and stops, and each fault does what it says and
 * nothing else.
 * @variants CLUSTER_MODE=processes,inProcess
 * @timeout 300
 * @seconds 40
 * @waits
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { utf8 } from "../../../src/base/index.js";
import type { RawClient } from "../../../src/client/index.js";
import { Cluster, ClusterError, type ClusterOptions } from "../../../src/testing/index.js";
import { tmpDir } from "../../support/tmp.js";
import { within } from "../../support/within.js";

const MODE = process.env.CLUSTER_MODE === "inProcess" ? "inProcess" : "processes";
const test = suite(`test cluster ${MODE}`);

const LIMIT_MS = 20_000;
/** A request that nobody answers fails by then. */
const SHORT_MS = 400;

/** Runs `work` on a cluster of one replica, so that every key is on store 0 unless it moves. */
async function withCluster(
  options: ClusterOptions,
  work: (cluster: Cluster) => Promise<void>,
): Promise<void> {
  const config = { "replication.max-replicas": 1, ...options.config };
  const cluster = new Cluster({ mode: MODE, stores: 1, ...options, config });
  try {
    await cluster.start();
    await cluster.ready();
    await work(cluster);
    assert.equal(cluster.deaths, []);
  } finally {
    await cluster.stop();
  }
}

async function milliseconds(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

async function failsWithin(client: RawClient, key: string): Promise<void> {
  const failed = await client.get(key).then(
    () => false,
    () => true,
  );
  assert.ok(failed, `get of ${key} fails`);
}

test("starts, is ready, serves, says what it has", async () => {
  const labels = ["zone=z1", "zone=z2"];
  await withCluster({ stores: 2, labels }, async (cluster) => {
    const client = await cluster.client();
    await client.put("k", "v");
    assert.equal(await client.get("k"), utf8("v"));
    const [first, second] = cluster.stores;
    assert.is(first?.state, "running");
    assert.is((first?.pid ?? null) === null, MODE === "inProcess");
    assert.ok(second !== undefined && second.id > 0n && second.id !== first?.id);
    const [region, ...more] = await cluster.regions();
    assert.equal(more, []);
    assert.is(region?.leader?.storeId, cluster.stores[await cluster.leaderOf("k")]?.id);
  });
});

/** What keeps this process alive, but for timers. */
function openResources(): string[] {
  return process
    .getActiveResourcesInfo()
    .filter((name) => /TCP|Process|Http2/.test(name))
    .sort();
}

test("a start that fails half way closes what it has begun", async () => {
  const before = openResources();
  const dataDir = tmpDir("half-way");
  // The second store finds no place for snapshots: by then it has an engine, ports and a PD client.
  mkdirSync(join(dataDir, "store-2"));
  writeFileSync(join(dataDir, "store-2", "snap"), "");
  const cluster = new Cluster({ mode: MODE, stores: 3, dataDir });
  const error = await cluster.start().catch((thrown: unknown) => thrown);
  assert.ok(error instanceof Error, "the start fails");
  await within(LIMIT_MS, "all is closed", () => `${openResources()}` === `${before}`);
  await cluster.stop();
});

test("region errors reach the client and end after their count, in calls and in batches", async () => {
  await withCluster({}, async (cluster) => {
    for (const batchCommands of [true, false]) {
      const client = await cluster.client({ batchCommands });
      await client.put("k", "v");
      const before = cluster.faultsHit;
      cluster.injectRegionError(0, "epochNotMatch", { method: "RawGet", count: 2 });
      await client.put("k", "w");
      assert.is(cluster.faultsHit, before, "another method is not met");
      assert.equal(await client.get("k"), utf8("w"));
      assert.is(cluster.faultsHit, before + 2, "the client tried again");
      assert.equal(await client.get("k"), utf8("w"));
      assert.is(cluster.faultsHit, before + 2, "then it is over");
    }
  });
});

test("requests are delayed and dropped; others pass beside them", async () => {
  await withCluster({}, async (cluster) => {
    for (const batchCommands of [true, false]) {
      const client = await cluster.client({ batchCommands, timeoutMs: SHORT_MS });
      await client.put("k", "v");
      cluster.delayRequests(150, { method: "RawGet", count: 1 });
      const slow = milliseconds(() => client.get("k"));
      await client.put("other", "v");
      assert.ok((await slow) >= 145, `took ${await slow} ms`);
      cluster.dropRequests(1, { method: "RawGet" });
      await failsWithin(client, "k");
      await client.put("k", "w");
      cluster.clearRequestFaults();
      assert.equal(await client.get("k"), utf8("w"));
    }
  });
});

test("a cut between clients and a store is felt and heals; a delayed link slows each answer", async () => {
  await withCluster({}, async (cluster) => {
    const client = await cluster.client({ timeoutMs: SHORT_MS });
    await client.put("k", "v");
    cluster.cut({ from: "clients", to: 0 });
    await failsWithin(client, "k");
    cluster.heal();
    await within(LIMIT_MS, "service", () => client.get("k").catch(() => undefined));
    cluster.delayLink(60, { from: "clients", to: 0 });
    const tookMs = await milliseconds(() => client.get("k"));
    assert.ok(tookMs >= 115, `there and back took ${tookMs} ms`);
  });
});

test("a store that is killed is gone for clients; it comes back with its data", async () => {
  await withCluster({}, async (cluster) => {
    const client = await cluster.client({ timeoutMs: SHORT_MS });
    await client.put("k", "v");
    const { address, pid } = cluster.stores[0] as { address: string; pid: number | null };
    await cluster.kill(0);
    assert.is(cluster.stores[0]?.state, "ended");
    await failsWithin(client, "k");
    await cluster.restart(0);
    assert.is(cluster.stores[0]?.address, address, "others find it where it was");
    if (pid !== null) assert.is.not(cluster.stores[0]?.pid, pid);
    const found = await within(LIMIT_MS, "service", () => client.get("k").catch(() => undefined));
    assert.equal(found, utf8("v"));
  });
});

test("PD can be killed and started again", async () => {
  // PD learns the leader anew with the next heartbeat of the Region.
  const config = { "raftstore.pd-heartbeat-tick-interval": "100ms" };
  await withCluster({ config }, async (cluster) => {
    await cluster.killPd();
    await cluster.startPd();
    const client = await cluster.client();
    await client.put("k", "v");
    await cluster.ready();
  });
});

test("a paused store does not answer and goes on afterwards", async () => {
  await withCluster({}, async (cluster) => {
    if (MODE === "inProcess") {
      assert.throws(() => cluster.pause(0), /mode "processes" only/);
      return;
    }
    const client = await cluster.client({ timeoutMs: SHORT_MS });
    await client.put("k", "v");
    cluster.pause(0);
    await failsWithin(client, "k");
    cluster.resume(0);
    await within(LIMIT_MS, "service", () => client.get("k").catch(() => undefined));
  });
});

test("what makes no sense is refused with words", async () => {
  assert.throws(
    () => new Cluster({ config: { "raftstore.raft-base-tick": "1s" } }),
    (error: Error) => error instanceof ClusterError && /unknown keys: raft/.test(error.message),
  );
  assert.throws(
    () => new Cluster({ config: { "raftstore.raft-base-tick-interval": 1 } }),
    /raft-base-tick-interval: given 1, expected a duration/,
  );
  await withCluster({}, async (cluster) => {
    assert.throws(() => cluster.cut({ from: 7 }), /no store 7/);
    assert.throws(() => cluster.resume(0), /store 0 is running/);
  });
  await withCluster({ memory: true }, async (cluster) => {
    await cluster.kill(0);
    const words = await cluster.restart(0).catch((error: Error) => error.message);
    assert.is(words, "what was in memory cannot be started again");
  });
});

test.run();
