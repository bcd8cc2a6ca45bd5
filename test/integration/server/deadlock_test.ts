/** deadlock.Deadlock over gRPC: the service of the store that leads, and the way of another to it. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { EMPTY_BYTES, err, NULL_LOGGER, ok, utf8 } from "../../../src/base/index.js";
import { type deadlock, methodDefinition, methodInfo, toBigInt } from "../../../src/pb/index.js";
import { DeadlockClient, type DeadlockDirectory } from "../../../src/server/deadlock_client.js";
import type { DeadlockFound, DeadlockRequest, WaitForEntry } from "../../../src/txn/index.js";
import { FakeTxnStorage } from "../../support/fake_txn_storage.js";
import { type Served, startServed } from "../../support/tikv_server.js";
import { within } from "../../support/within.js";

const LIMIT_MS = 5000;
const OWN = { storeId: 2, clusterId: 9n };
const HASH = 0xffff_ffff_ffff_fff1n;

function edge(txn: bigint, waitForTxn: bigint): WaitForEntry {
  return { txn, waitForTxn, keyHash: HASH, key: utf8("k"), resourceGroupTag: utf8("tag") };
}

/** The same as an edge, however its bytes are held. */
function told({ txn, waitForTxn, keyHash, key, resourceGroupTag }: WaitForEntry): unknown {
  const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();
  return [txn, waitForTxn, keyHash, text(key), text(resourceGroupTag)];
}

/** PD: store 1 leads and is at `address`, unless a part is given in another way. */
function directory(address: string, parts: Partial<DeadlockDirectory> = {}): DeadlockDirectory {
  return {
    getRegion: async (key) => {
      assert.is(key.length, 0, "the leader of the empty key is asked for");
      return ok({ leader: { storeId: 1n } });
    },
    getStoreAddress: async () => ok({ address, removed: false }),
    ...parts,
  };
}

class Events {
  readonly list: string[] = [];
  readonly found: DeadlockFound[] = [];
  onConnected(): void {
    this.list.push("connected");
  }
  onDisconnected(): void {
    this.list.push("disconnected");
  }
  onFound(found: DeadlockFound): void {
    this.found.push(found);
  }
}

function clientOf(pd: DeadlockDirectory): { client: DeadlockClient; events: Events } {
  const events = new Events();
  const deps = { own: OWN, pd, logger: NULL_LOGGER, connectTimeoutMs: 2000 };
  return { client: new DeadlockClient(deps, events), events };
}

async function leader(): Promise<{ storage: FakeTxnStorage; served: Served }> {
  const storage = new FakeTxnStorage();
  storage.verdict = ok(undefined);
  return { storage, served: await startServed({ txn: storage }) };
}

const until = (what: string, condition: () => boolean): Promise<true> =>
  within(LIMIT_MS, what, condition) as Promise<true>;

test("edges travel to the leader, and the deadlock that it finds comes back", async () => {
  const { storage, served } = await leader();
  const { client, events } = clientOf(directory(served.server.address));
  client.send({ type: "detect", entry: edge(1n, 2n) });
  client.connect();
  await until("connected", () => events.list.length > 0);
  const requests: DeadlockRequest[] = [
    { type: "detect", entry: edge(1n, 2n) },
    { type: "cleanUpWaitFor", entry: edge(3n, 4n) },
    { type: "cleanUp", entry: edge(5n, 0n) },
  ];
  for (const request of requests) client.send(request);
  await until("all arrived", () => storage.detected.length === requests.length);
  assert.equal(
    storage.detected.map(({ type, entry }) => [type, told(entry)]),
    requests.map(({ type, entry }) => [type, told(entry)]),
  );
  const found = { edge: edge(2n, 1n), deadlockKeyHash: HASH, waitChain: [edge(1n, 2n)] };
  storage.verdict = ok(found);
  client.send({ type: "detect", entry: edge(2n, 1n) });
  await until("a deadlock came back", () => events.found.length === 1);
  const [got] = events.found as [DeadlockFound];
  assert.is(got.deadlockKeyHash, HASH);
  assert.equal(
    [told(got.edge), ...got.waitChain.map(told)],
    [told(found.edge), ...found.waitChain.map(told)],
  );
  assert.equal(events.list, ["connected"]);
  client.close();
  await served.stop();
});

test("a store that does not lead ends the stream, and one that stops does", async () => {
  const { storage, served } = await leader();
  storage.verdict = err("notLeader");
  const { client, events } = clientOf(directory(served.server.address));
  client.connect();
  await until("connected", () => events.list.length === 1);
  client.send({ type: "detect", entry: edge(1n, 2n) });
  await until("refused", () => events.list.length === 2);
  client.connect();
  await until("connected again", () => events.list.length === 3);
  await served.stop();
  await until("ended by the stop", () => events.list.length === 4);
  assert.equal(events.list, ["connected", "disconnected", "connected", "disconnected"]);
});

test("no leader, this store itself, a removed store, no answer of PD: each is told as no way", async () => {
  const rows: Partial<DeadlockDirectory>[] = [
    { getRegion: async () => ok(undefined) },
    { getRegion: async () => ok({ leader: undefined }) },
    { getRegion: async () => ok({ leader: { storeId: BigInt(OWN.storeId) } }) },
    { getRegion: async () => err({ kind: "unavailable", message: "gone" }) },
    { getStoreAddress: async () => ok({ address: "127.0.0.1:1", removed: true }) },
    { getStoreAddress: async () => err({ kind: "unavailable", message: "gone" }) },
    {
      getStoreAddress: () => Promise.reject(new Error("thrown")),
    },
  ];
  for (const parts of rows) {
    const { client, events } = clientOf(directory("127.0.0.1:1", parts));
    client.connect();
    assert.equal(events.list, [], "never from inside of the call");
    await until("told", () => events.list.length === 1);
    assert.equal(events.list, ["disconnected"]);
  }
});

test("a closed way tells nothing any more", async () => {
  const { storage, served } = await leader();
  const { client, events } = clientOf(directory(served.server.address));
  client.connect();
  client.close();
  client.connect();
  await until("connected", () => events.list.length === 1);
  client.close();
  client.send({ type: "detect", entry: edge(1n, 2n) });
  await served.stop();
  assert.equal(events.list, ["connected"]);
  assert.equal(storage.detected, []);
});

/** A Detect stream of the test's own, and how it ends. */
function rawStream(served: Served) {
  const info = methodInfo("deadlock.Deadlock", "Detect");
  const { path, requestSerialize, responseDeserialize } = methodDefinition(info);
  const client = served.connect();
  const stream = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
  stream.on("data", () => {});
  const ended = new Promise<number>((resolve) => {
    stream.on("error", (error: { code?: number }) => resolve(error.code ?? -1));
    stream.on("status", ({ code }) => resolve(code));
  });
  return { stream, ended };
}

test("Detect of an unknown type is refused; an empty one is an edge of zeros; half-close ends it", async () => {
  const { storage, served } = await leader();
  const refused = rawStream(served);
  refused.stream.write({ tp: 77, entry: {} });
  assert.is(await refused.ended, 3);
  const finished = rawStream(served);
  finished.stream.write({});
  finished.stream.end();
  assert.is(await finished.ended, 0);
  const zeros = { txn: 0n, waitForTxn: 0n, keyHash: 0n };
  const [only] = storage.detected as [DeadlockRequest];
  assert.is(storage.detected.length, 1);
  const empty = { ...zeros, key: EMPTY_BYTES, resourceGroupTag: EMPTY_BYTES };
  assert.equal(told(only.entry), told(empty));
  await served.stop();
});

test("GetWaitForEntries tells who waits here", async () => {
  const { storage, served } = await leader();
  storage.waits.push({ ...edge(1n, 2n), waitMs: 12.9 });
  const info = methodInfo("deadlock.Deadlock", "GetWaitForEntries");
  const { path, requestSerialize, responseDeserialize } = methodDefinition(info);
  const client = served.connect();
  const response = await new Promise<deadlock.WaitForEntriesResponse>((resolve, reject) => {
    client.makeUnaryRequest(path, requestSerialize, responseDeserialize, {}, (error, got) => {
      if (error === null && got !== undefined) resolve(got);
      else reject(error);
    });
  });
  const [entry] = response.entries;
  assert.equal(
    [entry?.txn, entry?.waitForTxn, entry?.waitTime].map((n) => toBigInt(n ?? 0)),
    [1n, 2n, 12n],
  );
  await served.stop();
});

test.run();
