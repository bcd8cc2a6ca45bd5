/** PdClient against a scripted PD: discovery, failures, timestamps, heartbeats. */
import * as grpc from "@grpc/grpc-js";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { fromBigInt, pdpb, toBigInt } from "../../../src/pb/index.js";
import { PdClient, type PdClientConfig, type PdReply } from "../../../src/pd_client/index.js";
import type { PdPort, SchedulePort } from "../../../src/raftstore/index.js";
import { FakeCluster } from "../../support/fake_cluster.js";
import { ScriptedPd } from "../../support/scripted_pd.js";
import { within } from "../../support/within.js";

const CLUSTER_ID = 0xfedc_ba98_7654_3210n;

async function withPd(
  body: (pd: ScriptedPd, client: PdClient) => Promise<void>,
  config: Partial<PdClientConfig> = {},
): Promise<void> {
  const cluster = new FakeCluster(CLUSTER_ID);
  cluster.addresses.set(1, "127.0.0.1:1");
  cluster.bootstrap();
  const pd = await ScriptedPd.start(cluster);
  const client = new PdClient({ endpoints: [pd.address], ...config });
  try {
    await body(pd, client);
  } finally {
    client.close();
    pd.stop();
  }
}

function must<T>(reply: PdReply<T>): T {
  if (!reply.ok) throw new Error(`${reply.error.kind}: ${reply.error.message}`);
  return reply.value;
}

function failure(reply: PdReply<unknown>): string {
  return reply.ok ? "ok" : `${reply.error.kind}: ${reply.error.message}`;
}

test("a PdClient is a PdPort and a SchedulePort", () =>
  withPd(async (_pd, client) => {
    const port: PdPort & SchedulePort = client;
    assert.is(must(await port.clusterId()), CLUSTER_ID);
    assert.equal(must(await port.getStoreAddress(1n)), { address: "127.0.0.1:1", removed: false });
  }));

test("the cluster id has all 64 bits, and every request carries it", () =>
  withPd(async (_pd, client) => {
    assert.is(must(await client.clusterId()), CLUSTER_ID);
    assert.is(must(await client.isBootstrapped()), true);
    assert.is(must(await client.getClusterConfig()).id, CLUSTER_ID);
  }));

test("many first calls share one discovery", () =>
  withPd(async (pd, client) => {
    const replies = await Promise.all(Array.from({ length: 50 }, () => client.allocId()));
    assert.is(new Set(replies.map(must)).size, 50);
    assert.is(pd.count("GetMembers"), 1);
  }));

test("the leader is used, whichever URL was given", async () => {
  const cluster = new FakeCluster(CLUSTER_ID);
  const follower = await ScriptedPd.start(cluster);
  const leader = await ScriptedPd.start(cluster);
  follower.leaderUrl = leader.url;
  const client = new PdClient({ endpoints: ["127.0.0.1:1", `http://${follower.address}/`] });
  must(await client.allocId());
  assert.is(follower.count("AllocID"), 0);
  assert.is(leader.count("AllocID"), 1);
  client.close();
  follower.stop();
  leader.stop();
});

test("a call moves to the new leader when the old one stopped leading", async () => {
  const cluster = new FakeCluster(CLUSTER_ID);
  const [a, b] = [await ScriptedPd.start(cluster), await ScriptedPd.start(cluster)];
  const client = new PdClient({ endpoints: [a.url, b.url] });
  b.leaderUrl = a.url;
  must(await client.allocId());
  a.leaderUrl = b.url;
  b.leaderUrl = b.url;
  a.scripts.set("AllocID", () => ({ code: grpc.status.UNAVAILABLE, details: "not leader" }));
  must(await client.allocId());
  assert.is(b.count("AllocID"), 1);
  client.close();
  a.stop();
  b.stop();
});

test("a call moves to the new leader when the old one died", async () => {
  const cluster = new FakeCluster(CLUSTER_ID);
  const [a, b] = [await ScriptedPd.start(cluster), await ScriptedPd.start(cluster)];
  b.leaderUrl = a.url;
  const client = new PdClient({ endpoints: [a.url, b.url] });
  must(await client.allocId());
  b.leaderUrl = b.url;
  a.stop();
  must(await client.allocId());
  assert.is(b.count("AllocID"), 1);
  client.close();
  b.stop();
});

test("bootstrap is never sent twice", () =>
  withPd(async (pd, client) => {
    pd.scripts.set("Bootstrap", () => ({ code: grpc.status.UNAVAILABLE, details: "gone" }));
    const store = { id: 1n, address: "127.0.0.1:1", statusAddress: "", version: "8.5.0" };
    const rest = { gitHash: "", startTimestamp: 1, deployPath: "", labels: [] };
    const empty = new Uint8Array(0);
    const first = { id: 2n, startKey: empty, endKey: empty, confVer: 1n, version: 1n, peers: [] };
    assert.is(failure(await client.bootstrap({ ...store, ...rest }, first)), "unavailable: gone");
    assert.is(pd.count("Bootstrap"), 1);
  }));

test("PD's words decide the kind of a failure", () =>
  withPd(async (pd, client) => {
    const { ErrorType } = pdpb;
    const cases: [pdpb.IError, string][] = [
      [
        { type: ErrorType.ALREADY_BOOTSTRAPPED, message: "cluster is already bootstrapped" },
        "alreadyBootstrapped",
      ],
      [{ type: ErrorType.STORE_TOMBSTONE, message: "store is tombstone" }, "storeTombstone"],
      [{ type: ErrorType.NOT_BOOTSTRAPPED, message: "cluster is not bootstrapped" }, "unavailable"],
      [{ type: ErrorType.UNKNOWN, message: "duplicated store address: {}" }, "refused"],
    ];
    for (const [error, kind] of cases) {
      pd.scripts.set("IsBootstrapped", () => error);
      assert.is(failure(await client.isBootstrapped()), `${kind}: ${error.message}`);
    }
    pd.scripts.set("IsBootstrapped", () => ({ code: grpc.status.UNIMPLEMENTED, details: "no" }));
    const reply = await client.isBootstrapped();
    assert.is(reply.ok ? 0 : reply.error.grpcStatus, grpc.status.UNIMPLEMENTED);
  }));

test("a PD of another cluster is refused", async () => {
  const [a, b] = [new FakeCluster(5n), new FakeCluster(6n)];
  const pd = await ScriptedPd.start(a);
  const port = Number(pd.address.split(":")[1]);
  const client = new PdClient({ endpoints: [pd.address] });
  must(await client.allocId());
  pd.stop();
  const other = await ScriptedPd.start(b, port);
  const kinds = await within(5000, "the other PD answers", async () => {
    const reply = await client.allocId();
    return reply.ok || reply.error.kind !== "unavailable" ? failure(reply) : undefined;
  });
  assert.match(kinds, /^clusterMismatch: mismatch cluster id, need (5 but got 6|6 but got 5)/);
  client.close();
  other.stop();
});

test("without PD the reason names the addresses; a URL that is none is said so", async () => {
  const client = new PdClient({ endpoints: ["127.0.0.1:1", "https://pd:2379"] });
  const text = failure(await client.clusterId());
  assert.match(text, /^unavailable: no PD leader: /);
  assert.match(text, /127\.0\.0\.1:1: /);
  assert.match(text, /https:\/\/pd:2379: not host:port/);
  client.close();
});

test("an aborted call ends at once", () =>
  withPd(async (_pd, client) => {
    must(await client.clusterId());
    const abort = new AbortController();
    const asked = client.getRegion(new Uint8Array(0), { signal: abort.signal });
    abort.abort();
    const reply = await asked;
    assert.is(reply.ok ? 0 : reply.error.grpcStatus, grpc.status.CANCELLED);
  }));

test("regions and stores come as plain values", () =>
  withPd(async (pd, client) => {
    pd.cluster.split(Buffer.from("m"));
    const regions = must(await client.scanRegions(Buffer.from("a"), new Uint8Array(0), 10));
    assert.equal(
      regions.map((region) => Buffer.from(region.endKey).toString()),
      ["m", ""],
    );
    const region = must(await client.getRegion(Buffer.from("z")));
    assert.is(region?.id, regions[1]?.id);
    assert.is(region?.leader?.storeId, 1n);
    assert.is(must(await client.getRegionById(9999n)), undefined);
    assert.is(must(await client.getStore(1n))?.address, "127.0.0.1:1");
    pd.scripts.set("GetStore", () => ({ type: 1, message: "invalid store ID 9, not found" }));
    assert.is(must(await client.getStore(9n)), undefined);
    assert.equal(
      must(await client.getAllStores()).map((store) => store.state),
      ["Up"],
    );
  }));

test("timestamps are unique and rise in the order of the calls, few messages for many callers", () =>
  withPd(async (pd, client) => {
    const counts = Array.from({ length: 1000 }, (_, i) => (i % 7) + 1);
    const largest = (await Promise.all(counts.map((count) => client.getTimestamps(count)))).map(
      must,
    );
    let before = 0n;
    for (const [i, ts] of largest.entries()) {
      assert.ok(
        ts - BigInt(counts[i] as number) >= before,
        `timestamp ${i} overlaps the one before`,
      );
      before = ts;
    }
    assert.ok(pd.tsoMessages < 10, `${pd.tsoMessages} messages`);
  }));

test("a broken timestamp stream is replaced and nobody notices", () =>
  withPd(async (pd, client) => {
    const first = must(await client.getTimestamps(1));
    let broken = 0;
    pd.onTso = (stream) => {
      if (broken++ > 0) return false;
      stream.emit("error", { code: grpc.status.UNAVAILABLE, details: "not leader" });
      return true;
    };
    const replies = await Promise.all([client.getTimestamps(1), client.getTimestamps(2)]);
    assert.ok(must(replies[0] as PdReply<bigint>) > first);
    assert.is(broken, 2);
  }));

test("timestamps that fall back or do not match the count are refused", () =>
  withPd(async (pd, client) => {
    must(await client.getTimestamps(10));
    pd.logical = 0n;
    pd.physical -= 1n;
    assert.match(failure(await client.getTimestamps(1)), /^refused: timestamp fallback/);
    pd.onTso = (stream) => {
      const header = { clusterId: fromBigInt(CLUSTER_ID) };
      stream.write({ header, count: 3, timestamp: { physical: 9e12, logical: 1 } });
      return true;
    };
    assert.match(failure(await client.getTimestamps(1)), /^refused: asked for 1 timestamps, got 3/);
  }));

test("a silent timestamp stream times out", () =>
  withPd(
    async (pd, client) => {
      must(await client.clusterId());
      pd.onTso = () => true;
      assert.match(failure(await client.getTimestamps(1)), /^unavailable: timed out/);
      pd.onTso = () => false;
      must(await client.getTimestamps(1));
    },
    { requestTimeoutMs: 150 },
  ));

test("more waiting callers than allowed are refused", () =>
  withPd(
    async (_pd, client) => {
      const asked = [1, 2, 3].map(() => client.getTimestamps(1));
      assert.match(failure(await client.getTimestamps(1)), /too many callers/);
      for (const reply of await Promise.all(asked)) must(reply);
      assert.match(failure(await client.getTimestamps(0)), /^refused: count must be/);
    },
    { tsoWaitersMax: 3 },
  ));

test("region heartbeats go over one stream; orders come back; a new PD gets a new stream", async () => {
  const cluster = new FakeCluster(CLUSTER_ID);
  let pd = await ScriptedPd.start(cluster);
  const port = Number(pd.address.split(":")[1]);
  const client = new PdClient({ endpoints: [pd.address] });
  const orders: bigint[] = [];
  client.onOrder((order) => orders.push(order.regionId));
  let lost = 0;
  client.onReportsLost(() => lost++);
  const empty = new Uint8Array(0);
  const region = { id: 2n, startKey: empty, endKey: empty, confVer: 1n, version: 1n };
  const figures = { bytesWritten: 1, keysWritten: 1, bytesRead: 1, keysRead: 1 };
  const report = {
    ...figures,
    region: { ...region, peers: [{ id: 3n, storeId: 1n, role: 0 as const }] },
    leaderPeerId: 3n,
    term: 6n,
    approximateSize: 10,
    approximateKeys: 2,
    interval: { start: 1, end: 2 },
  };
  must(await client.regionHeartbeat(report));
  await within(2000, "PD's order", () => orders.length === 1);
  assert.is(toBigInt(pd.heartbeats[0]?.leader?.storeId ?? 0), 1n);
  assert.is(toBigInt(pd.heartbeats[0]?.header?.clusterId ?? 0), CLUSTER_ID);
  assert.is(lost, 0);
  pd.stop();
  await within(2000, "the store hears that its reports are lost", () => lost > 0);
  pd = await ScriptedPd.start(cluster, port);
  await within(5000, "a heartbeat at the new PD", async () => {
    await client.regionHeartbeat(report);
    return pd.heartbeats.length > 0;
  });
  const before = lost;
  client.close();
  await new Promise((resolve) => setImmediate(resolve));
  assert.is(lost, before, "closing loses nothing");
  pd.stop();
});

test("close ends what waits", () =>
  withPd(async (pd, client) => {
    must(await client.clusterId());
    pd.onTso = () => true;
    const waiting = client.getTimestamps(1);
    client.close();
    assert.match(failure(await waiting), /closed/);
    assert.match(failure(await client.allocId()), /closed|CANCELLED|unavailable/i);
  }));

test.run();
