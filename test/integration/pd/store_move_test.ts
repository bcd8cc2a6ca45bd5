/**
 * One store id at two addresses: a store that came back on another port is taken, a copied data
 * directory is refused. Stores here are servers that say who they are.
 */
import { createServer, type Server } from "node:net";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Clock } from "../../../src/base/index.js";
import { REAL_CLOCK } from "../../support/clocks.js";
import { startFakeTikv } from "../../support/fake_tikv.js";
import {
  type PdTestClient,
  startTestPd,
  type TestPd,
  testRegion,
  testStore,
} from "../../support/pd.js";

const NEW_ADDRESS = "127.0.0.1:2";
const PROBE_TIMEOUT_MS = 200;

/** A clock whose monotonic time the test moves. */
class StridingClock implements Clock {
  aheadMs = 0;

  nowMs(): number {
    return REAL_CLOCK.nowMs() + this.aheadMs;
  }

  monotonicMs(): number {
    return REAL_CLOCK.monotonicMs() + this.aheadMs;
  }
}

interface Fixture {
  readonly pd: TestPd;
  readonly client: PdTestClient;
  readonly clock: StridingClock;
}

/** A PD whose store 1 registered at `address`. */
async function withStoreAt(
  addressOf: (clusterId: bigint) => Promise<string>,
  run: (fixture: Fixture, address: string) => Promise<void>,
): Promise<void> {
  const clock = new StridingClock();
  const limits = { probeTimeoutMs: PROBE_TIMEOUT_MS };
  const pd = await startTestPd({ limits, deps: { clock } });
  try {
    const address = await addressOf(pd.pd.clusterId);
    const store = testStore(1n, address, { startTimestamp: 100 });
    await pd.client.call("Bootstrap", { store, region: testRegion(1n) });
    await run({ pd, client: pd.client, clock }, address);
  } finally {
    await pd.stop();
  }
}

/** Registers store 1 at the new address; returns the refusal, or the address that PD has then. */
async function move(client: PdTestClient): Promise<string> {
  const store = testStore(1n, NEW_ADDRESS, { startTimestamp: 200 });
  const { header } = await client.call("PutStore", { store });
  if (header?.error) return header.error.message;
  return (await client.call("GetStore", { storeId: 1 })).store?.address ?? "";
}

async function heartbeat(client: PdTestClient, startTime: number): Promise<string> {
  const { header } = await client.call("StoreHeartbeat", { stats: { storeId: 1, startTime } });
  return header?.error?.message ?? "ok";
}

test("a store that is gone from its address may come back elsewhere, heartbeats fresh or not", async () => {
  const gone = async (clusterId: bigint): Promise<string> => {
    const tikv = await startFakeTikv(clusterId, 1n);
    await tikv.stop();
    return tikv.address;
  };
  await withStoreAt(gone, async ({ pd, client }, old) => {
    assert.is(await heartbeat(client, 100), "ok");
    assert.is(await move(client), NEW_ADDRESS);
    const moved = pd.logs.lines.find((line) => line.message === "store moved");
    assert.equal([moved?.fields.from, moved?.fields.to], [old, NEW_ADDRESS]);
    assert.is(await heartbeat(client, 200), "ok");
  });
});

test("a copy is refused while the store answers at its address, with a log line that says why", async () => {
  let stop = async (): Promise<void> => {};
  const alive = async (clusterId: bigint): Promise<string> => {
    const tikv = await startFakeTikv(clusterId, 1n);
    stop = tikv.stop;
    return tikv.address;
  };
  await withStoreAt(alive, async ({ pd, client, clock }, old) => {
    clock.aheadMs = 3_600_000;
    const text = await move(client);
    const expected = `duplicated store id: store 1 is alive at ${old} and cannot also be at ${NEW_ADDRESS}; `;
    assert.ok(text.startsWith(expected), text);
    assert.match(text, /a data directory that was copied belongs to one store only/);
    assert.is((await client.call("GetStore", { storeId: 1 })).store?.address, old);
    const refused = pd.logs.lines.find((line) => line.message === "put store refused");
    assert.is(refused?.fields.reason, text);
    await stop();
    assert.is(await move(client), NEW_ADDRESS, "taken when the first is gone");
  });
});

test("the old port now belongs to another store or another cluster: the move is taken", async () => {
  for (const [cluster, store] of [
    [0n, 5n],
    [77n, 1n],
  ] as const) {
    let stop = async (): Promise<void> => {};
    const other = async (clusterId: bigint): Promise<string> => {
      const tikv = await startFakeTikv(cluster === 0n ? clusterId : cluster, store);
      stop = tikv.stop;
      return tikv.address;
    };
    await withStoreAt(other, async ({ client }) => {
      assert.is(await heartbeat(client, 100), "ok");
      assert.is(await move(client), NEW_ADDRESS, `cluster ${cluster} store ${store}`);
    });
    await stop();
  }
});

test("a silent old address counts as alive for 20 s after the last sign of life", async () => {
  let server: Server | undefined;
  const silent = (): Promise<string> =>
    new Promise((resolve) => {
      const listening = createServer((socket) => socket.resume());
      server = listening.listen(0, "127.0.0.1", () => {
        resolve(`127.0.0.1:${(listening.address() as { port: number }).port}`);
      });
    });
  await withStoreAt(silent, async ({ client, clock }) => {
    assert.is(await heartbeat(client, 100), "ok");
    clock.aheadMs = 19_000;
    assert.match(await move(client), /^duplicated store id/);
    clock.aheadMs = 21_000;
    assert.is(await move(client), NEW_ADDRESS);
  });
  server?.close();
});

test("two processes at once at two new addresses: one is taken", async () => {
  const answers = new Map<string, "same" | "gone">();
  const pd = await startTestPd({
    deps: { probe: async (address) => answers.get(address) ?? "gone" },
  });
  const { client } = pd;
  await client.call("Bootstrap", { store: testStore(1n, "h:1"), region: testRegion(1n) });
  answers.set("h:2", "same");
  answers.set("h:3", "same");
  const results = await Promise.all(
    ["h:2", "h:3"].map(async (address) => {
      const { header } = await client.call("PutStore", { store: testStore(1n, address) });
      return header?.error?.message ?? "ok";
    }),
  );
  assert.is(results.filter((text) => text === "ok").length, 1, results.join("\n"));
  assert.match(
    results.find((text) => text !== "ok") ?? "",
    /^duplicated store id: store 1 is alive/,
  );
  await pd.stop();
});

test("two processes that heartbeat as one store: the older one is refused and logged", async () => {
  const pd = await startTestPd();
  const { client } = pd;
  await client.call("Bootstrap", { store: testStore(1n, "h:1"), region: testRegion(1n) });
  assert.is(await heartbeat(client, 100), "ok");
  assert.is(await heartbeat(client, 200), "ok");
  assert.match(await heartbeat(client, 100), /^duplicated store id: two processes/);
  assert.is(pd.logs.lines.filter((line) => line.level === "error").length, 1);
  await client.call("PutStore", { store: testStore(1n, "h:1") });
  assert.is(await heartbeat(client, 100), "ok", "registered anew, as after a clock went back");
  await pd.stop();
});

test.run();
