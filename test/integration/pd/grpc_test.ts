/** Every RPC of the embedded PD over real gRPC: answers, header errors, statuses and their texts. */
import { type ServiceError, status } from "@grpc/grpc-js";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { utf8 } from "../../../src/base/index.js";
import {
  fromBigInt,
  grpc,
  keyspacepb,
  type metapb,
  methodsOf,
  pdpb,
  toBigInt,
  u64MapEntries,
} from "../../../src/pb/index.js";
import {
  collect,
  LARGE_ID,
  type PdTestClient,
  startTestPd,
  type TestPd,
  testRegion,
  testStore,
  tsOf,
} from "../../support/pd.js";

async function withPd(run: (pd: TestPd) => Promise<void>): Promise<void> {
  const pd = await startTestPd();
  try {
    await run(pd);
  } finally {
    await pd.stop();
  }
}

/** A PD with store 1 at 127.0.0.1:1 and region 2. */
function withCluster(run: (pd: TestPd, client: PdTestClient) => Promise<void>): Promise<void> {
  return withPd(async (pd) => {
    const store = testStore(1n, "127.0.0.1:1");
    await pd.client.call("Bootstrap", { store, region: testRegion(1n) });
    await run(pd, pd.client);
  });
}

async function statusOf(call: Promise<unknown>): Promise<string> {
  try {
    await call;
    return "OK";
  } catch (error) {
    const { code, details } = error as ServiceError;
    return `${status[code]} ${details}`;
  }
}

function errorOf(response: { header: pdpb.ResponseHeader | null }): [number, string] {
  const error = response.header?.error;
  return [error?.type ?? 0, error?.message ?? ""];
}

function split(id: bigint, start: string, end: string, version: number, peerId = 3n) {
  return {
    ...testRegion(1n, id, peerId),
    startKey: utf8(start),
    endKey: utf8(end),
    regionEpoch: { confVer: 1, version },
  };
}

/** Reports regions of store 1, whose peer 3 leads, and waits until they are taken. */
async function report(
  client: PdTestClient,
  regions: readonly metapb.IRegion[],
): Promise<pdpb.RegionHeartbeatResponse[]> {
  const stream = client.stream("RegionHeartbeat");
  const answers = collect(stream);
  for (const region of regions) {
    const leader = { id: fromBigInt(3n), storeId: 1 };
    stream.write({ header: client.header, region, leader, term: 6, approximateSize: 100 });
  }
  stream.end();
  const { messages, error } = await answers;
  assert.is(error, undefined);
  return messages;
}

test("GetMembers: one member that leads, its URL the port really bound; no cluster check", () =>
  withPd(async ({ pd, client }) => {
    for (const header of [undefined, { clusterId: 999 }]) {
      const request = header === undefined ? {} : { header };
      const response = await client.callRaw("pdpb.PD", "GetMembers", request);
      assert.is(toBigInt(response.header?.clusterId ?? 0), pd.clusterId);
      assert.is(response.header?.error, null);
      const [member] = response.members;
      assert.is(response.members.length, 1);
      assert.equal(member?.clientUrls, [`http://${pd.address}`]);
      assert.is(member?.name, "pd");
      const id = toBigInt(response.leader?.memberId ?? 0);
      assert.is(id, toBigInt(member?.memberId ?? 0));
      assert.is.not(id, 0n);
      assert.equal(response.leader?.clientUrls, member?.clientUrls);
      assert.ok(response.etcdLeader);
    }
  }));

test("the cluster id is time << 32 plus a random half: beyond 2^53, exact in every header", () =>
  withPd(async ({ pd, client }) => {
    assert.ok(pd.clusterId > 1n << 53n);
    assert.is(pd.clusterId & 0xffff_ffffn, 0xdead_beefn);
    const info = await client.callRaw("pdpb.PD", "GetClusterInfo", {});
    assert.is(toBigInt(info.header?.clusterId ?? 0), pd.clusterId);
    assert.equal(info.serviceModes, [pdpb.ServiceMode.PD_SVC_MODE]);
  }));

test("MetaStorage answers Get with nothing stored, so that Go clients do not retry at start", () =>
  withPd(async ({ client }) => {
    const response = await client.callRaw("meta_storagepb.MetaStorage", "Get", {
      key: utf8("/ms/1/router/registry/"),
    });
    assert.equal(response.kvs, []);
    assert.is(response.header?.error, null);
  }));

const UNARY_CHECKED = [
  "AllocID",
  "IsBootstrapped",
  "Bootstrap",
  "GetMinTS",
  "GetStore",
  "PutStore",
  "GetAllStores",
  "StoreHeartbeat",
  "GetRegion",
  "GetPrevRegion",
  "GetRegionByID",
  "ScanRegions",
  "BatchScanRegions",
  "GetClusterConfig",
  "PutClusterConfig",
  "GetGCSafePoint",
  "UpdateGCSafePoint",
  "UpdateServiceGCSafePoint",
  "GetGCSafePointV2",
  "UpdateGCSafePointV2",
  "UpdateServiceSafePointV2",
  "GetAllGCSafePointV2",
  "GetGCState",
  "GetAllKeyspacesGCStates",
  "AdvanceTxnSafePoint",
  "AdvanceGCSafePoint",
  "SetGCBarrier",
  "DeleteGCBarrier",
  "SetGlobalGCBarrier",
  "DeleteGlobalGCBarrier",
  "AskSplit",
  "AskBatchSplit",
  "ReportSplit",
  "ReportBatchSplit",
  "ScatterRegion",
  "SplitRegions",
  "SplitAndScatterRegions",
  "GetOperator",
] as const;

test("a wrong cluster id is FAILED_PRECONDITION with PD's text, for each method", () =>
  withCluster(async ({ pd, client }) => {
    const expected = (id: bigint): string =>
      `FAILED_PRECONDITION mismatch cluster id, need ${pd.clusterId} but got ${id}`;
    for (const method of UNARY_CHECKED) {
      const wrong = { header: { clusterId: fromBigInt(LARGE_ID) } };
      assert.is(
        await statusOf(client.callRaw("pdpb.PD", method, wrong)),
        expected(LARGE_ID),
        method,
      );
      assert.is(await statusOf(client.callRaw("pdpb.PD", method, {})), expected(0n), method);
    }
    for (const method of ["Tso", "QueryRegion", "RegionHeartbeat"] as const) {
      const stream = client.stream(method);
      const answers = collect(stream);
      stream.write({ header: { clusterId: 5 }, count: 1 } as never);
      const { error } = await answers;
      assert.is(`${status[error?.code ?? 0]} ${error?.details}`, expected(5n), method);
    }
    const keyspace = client.callRaw("keyspacepb.Keyspace", "LoadKeyspace", { name: "DEFAULT" });
    assert.is(await statusOf(keyspace), expected(0n));
  }));

test("before bootstrap: NOT_BOOTSTRAPPED in the header of what needs a cluster", () =>
  withPd(async ({ client }) => {
    const expected = [pdpb.ErrorType.NOT_BOOTSTRAPPED, "cluster is not bootstrapped"];
    for (const method of UNARY_CHECKED.slice(4)) {
      assert.equal(errorOf(await client.call(method, {})), expected, method);
    }
    for (const method of ["QueryRegion", "RegionHeartbeat"] as const) {
      const stream = client.stream(method);
      const answers = collect(stream);
      stream.write({ header: client.header } as never);
      stream.end();
      const { messages } = await answers;
      assert.equal(errorOf(messages[0] as pdpb.QueryRegionResponse), expected, method);
    }
    const { header } = client;
    const request = { header, name: "DEFAULT" };
    const keyspace = await client.callRaw("keyspacepb.Keyspace", "LoadKeyspace", request);
    assert.equal(errorOf(keyspace), expected);
    assert.not.ok((await client.call("IsBootstrapped", {})).bootstrapped);
  }));

test("everything else of pdpb.PD, and other services, answer UNIMPLEMENTED", () =>
  withCluster(async (_pd, client) => {
    const served = new Set<string>([...UNARY_CHECKED, "GetMembers", "GetClusterInfo"]);
    let asked = 0;
    for (const [name, info] of Object.entries(methodsOf("pdpb.PD"))) {
      if (served.has(name) || info.requestStream || info.responseStream) continue;
      const text = await statusOf(client.call(name as "GetOperator", {}));
      assert.match(text, /^UNIMPLEMENTED /, name);
      asked++;
    }
    assert.ok(asked >= 8, `${asked} methods asked`);
    const get = client.callRaw("meta_storagepb.MetaStorage", "Put", { key: utf8("k") });
    assert.match(await statusOf(get), /^UNIMPLEMENTED /);
    const grant = client.callRaw("etcdserverpb.Lease", "LeaseGrant", { TTL: 60 });
    assert.match(await statusOf(grant), /^UNIMPLEMENTED .*LeaseGrant/);
  }));

test("Bootstrap once; wrong requests first; then ALREADY_BOOTSTRAPPED", () =>
  withPd(async ({ pd, client }) => {
    const store = testStore(1n, "127.0.0.1:1");
    const bad = await client.call("Bootstrap", { store, region: testRegion(9n) });
    assert.equal(errorOf(bad), [
      pdpb.ErrorType.UNKNOWN,
      `invalid peer store id 9 != 1 for bootstrap ${pd.clusterId}`,
    ]);
    const good = await client.call("Bootstrap", { store, region: testRegion(1n) });
    assert.equal(errorOf(good), [0, ""]);
    assert.ok((await client.call("IsBootstrapped", {})).bootstrapped);
    const again = await client.call("Bootstrap", { store, region: testRegion(1n) });
    const already = [pdpb.ErrorType.ALREADY_BOOTSTRAPPED, "cluster is already bootstrapped"];
    assert.equal(errorOf(again), already);
  }));

test("a bootstrap race of three stores has exactly one winner, 30 times", async () => {
  for (let round = 0; round < 30; round++) {
    await withPd(async ({ client }) => {
      const results = await Promise.all(
        [1n, 2n, 3n].map(async (id) => {
          const store = testStore(id, `127.0.0.1:${id}`);
          const region = testRegion(id, id * 10n, id * 100n);
          return errorOf(await client.call("Bootstrap", { store, region }))[0];
        }),
      );
      const winners = results.filter((type) => type === 0).length;
      const losers = results.filter((type) => type === pdpb.ErrorType.ALREADY_BOOTSTRAPPED).length;
      assert.equal([winners, losers], [1, 2], `round ${round}`);
      const winner = results.indexOf(0) + 1;
      const scan = await client.call("ScanRegions", {});
      assert.equal(
        scan.regionMetas.map((region) => toBigInt(region.id)),
        [BigInt(winner * 10)],
      );
      const { stores } = await client.call("GetAllStores", {});
      assert.equal(
        stores.map((store) => toBigInt(store.id)),
        [BigInt(winner)],
      );
    });
  }
});

test("AllocID: unique under concurrency; a batch answers its last id and its count", () =>
  withPd(async ({ client }) => {
    const answers = await Promise.all(
      Array.from({ length: 1500 }, () => client.call("AllocID", {})),
    );
    const ids = new Set(answers.map((answer) => toBigInt(answer.id)));
    assert.is(ids.size, 1500);
    const batch = await client.call("AllocID", { count: 2500 });
    assert.is(batch.count, 2500);
    const first = toBigInt(batch.id) - 2499n;
    for (const id of ids) assert.ok(id < first, `${id} is below the batch`);
  }));

test("Tso: counts respected, logical is the last of the block, strictly increasing, in order", () =>
  withPd(async ({ client }) => {
    const stream = client.stream("Tso");
    const answers = collect(stream);
    const counts = [1, 5, 128, 10_000, 1, 262_143, 3];
    for (const count of counts) stream.write({ header: client.header, count });
    stream.end();
    const { messages, error } = await answers;
    assert.is(error, undefined, "half-close ends with OK");
    assert.equal(
      messages.map((message) => message.count),
      counts,
    );
    let last = 0n;
    for (const message of messages) {
      const largest = tsOf(message);
      assert.ok(largest - BigInt(message.count) >= last, "no block overlaps the one before");
      assert.ok(toBigInt(message.timestamp?.logical ?? 0) < 262_144n);
      last = largest;
    }
    const now = BigInt(Date.now());
    const physical = last >> 18n;
    assert.ok(physical > now - 5000n && physical < now + 5000n, "close to the clock");
    const min = await client.call("GetMinTS", {});
    assert.ok(tsOf(min) > last);
  }));

test("Tso: a half-close without a request ends OK; many requests before it are all answered", () =>
  withPd(async ({ client }) => {
    const empty = client.stream("Tso");
    const nothing = collect(empty);
    empty.end();
    assert.equal(await nothing, { messages: [], error: undefined });
    const stream = client.stream("Tso");
    const answers = collect(stream);
    for (let i = 0; i < 5000; i++) stream.write({ header: client.header, count: 1 });
    stream.end();
    const { messages, error } = await answers;
    assert.is(error, undefined);
    assert.is(messages.length, 5000);
    for (let i = 1; i < messages.length; i++) {
      const [before, here] = [messages[i - 1], messages[i]] as [pdpb.TsoResponse, pdpb.TsoResponse];
      assert.ok(tsOf(before) < tsOf(here), `answer ${i}`);
    }
  }));

test("Tso: count 0 and too large a count end the stream with PD's text", () =>
  withPd(async ({ client }) => {
    const cases: [number, string][] = [
      [0, "generate timestamp failed, tso count should be positive"],
      [262_144, "generate timestamp failed, tso count 262144 exceeds 262143"],
    ];
    for (const [count, text] of cases) {
      const stream = client.stream("Tso");
      const answers = collect(stream);
      stream.write({ header: client.header, count });
      const { error } = await answers;
      assert.equal([error?.code, error?.details], [status.UNKNOWN, text]);
    }
    assert.ok((await client.timestamp()) > 0n, "others are served");
  }));

test("stores: put, get, list, heartbeat; unknown ones with the texts that clients match", () =>
  withCluster(async (_pd, client) => {
    const store = testStore(7n, "127.0.0.1:7", { labels: [{ key: "zone", value: "z1" }] });
    assert.equal(errorOf(await client.call("PutStore", { store })), [0, ""]);
    const got = await client.call("GetStore", { storeId: 7 });
    assert.is(got.store?.address, "127.0.0.1:7");
    assert.is(got.store?.nodeState, 1, "Serving");
    assert.is(got.store?.labels[0]?.value, "z1");
    assert.is(got.stats, null);
    const stats = { storeId: 7, capacity: fromBigInt(LARGE_ID), startTime: 5 };
    const beat = await client.call("StoreHeartbeat", { stats });
    assert.equal(errorOf(beat), [0, ""]);
    assert.is(beat.clusterVersion, "8.5.0");
    const after = await client.call("GetStore", { storeId: 7 });
    assert.is(toBigInt(after.stats?.capacity ?? 0), LARGE_ID);
    assert.ok(toBigInt(after.store?.lastHeartbeat ?? 0) > 0n);
    const { stores } = await client.call("GetAllStores", {});
    assert.equal(
      stores.map((one) => one.address),
      ["127.0.0.1:1", "127.0.0.1:7"],
    );

    const unknown = errorOf(await client.call("GetStore", { storeId: fromBigInt(LARGE_ID) }));
    assert.equal(unknown, [pdpb.ErrorType.UNKNOWN, `invalid store ID ${LARGE_ID}, not found`]);
    const lost = errorOf(await client.call("StoreHeartbeat", { stats: { storeId: 8 } }));
    assert.equal(lost, [pdpb.ErrorType.UNKNOWN, "store 8 not found"]);
    assert.match(await statusOf(client.call("StoreHeartbeat", {})), /^UNKNOWN invalid store heart/);
  }));

test("PutStore refuses: id 0, no store, the address of another store", () =>
  withCluster(async ({ logs }, client) => {
    const zero = errorOf(await client.call("PutStore", { store: testStore(0n, "127.0.0.1:9") }));
    assert.is(zero[0], pdpb.ErrorType.UNKNOWN);
    assert.match(zero[1], /^invalid put store address:"127\.0\.0\.1:9"/);
    assert.match(errorOf(await client.call("PutStore", {}))[1], /^invalid put store /);
    const taken = errorOf(await client.call("PutStore", { store: testStore(2n, "127.0.0.1:1") }));
    assert.is(
      taken[1],
      'duplicated store address: id:2 address:"127.0.0.1:1" version:"8.5.0" , ' +
        'already registered by id:1 address:"127.0.0.1:1" version:"8.5.0" node_state:Serving ',
    );
    const refused = logs.lines.filter((line) => line.message === "put store refused");
    assert.is(refused.length, 3);
    assert.match(String(refused.at(-1)?.fields.reason), /^duplicated store address/);
  }));

test("regions: by key, before a key, by id, scanned; none is a header without region", () =>
  withCluster(async (_pd, client) => {
    await report(client, [split(2n, "", "b", 2), split(4n, "b", "d", 2), split(5n, "d", "", 2)]);
    const byKey = async (key: string): Promise<bigint> => {
      const response = await client.call("GetRegion", { regionKey: utf8(key) });
      assert.equal(errorOf(response), [0, ""]);
      return toBigInt(response.region?.id ?? 0);
    };
    const ids = [await byKey(""), await byKey("azz"), await byKey("b"), await byKey("zz")];
    assert.equal(ids, [2n, 2n, 4n, 5n]);
    const full = await client.call("GetRegion", { regionKey: utf8("b") });
    assert.is(toBigInt(full.leader?.id ?? 0), 3n);
    assert.is(full.region?.regionEpoch?.version.toNumber(), 2);
    const before = await client.call("GetPrevRegion", { regionKey: utf8("c") });
    assert.is(toBigInt(before.region?.id ?? 0), 2n);
    assert.is((await client.call("GetPrevRegion", { regionKey: utf8("a") })).region, null);
    const byId = await client.call("GetRegionByID", { regionId: 5 });
    assert.equal(byId.region?.startKey, Buffer.from("d"));
    const none = await client.call("GetRegionByID", { regionId: fromBigInt(LARGE_ID) });
    assert.equal([none.region, none.leader, errorOf(none)], [null, null, [0, ""]]);

    const scan = await client.call("ScanRegions", { startKey: utf8("a"), limit: 2 });
    assert.equal(
      scan.regionMetas.map((region) => toBigInt(region.id)),
      [2n, 4n],
    );
    assert.equal(
      scan.leaders.map((leader) => toBigInt(leader.id)),
      [3n, 3n],
    );
    assert.equal(
      scan.regions.map((one) => toBigInt(one.region?.id ?? 0)),
      [2n, 4n],
    );
    const ended = await client.call("ScanRegions", { startKey: utf8("a"), endKey: utf8("b") });
    assert.is(ended.regions.length, 1);
  }));

test("BatchScanRegions: each region once, over ranges; wrong ranges and holes are refused", () =>
  withCluster(async (_pd, client) => {
    await report(client, [split(2n, "", "b", 2), split(4n, "b", "d", 2)]);
    const scan = async (ranges: [string, string][], limit = 0, containAllKeyRange = false) => {
      const asked = ranges.map(([start, end]) => ({ startKey: utf8(start), endKey: utf8(end) }));
      const request = { ranges: asked, limit, containAllKeyRange };
      const response = await client.call("BatchScanRegions", request);
      const [type, message] = errorOf(response);
      if (type !== 0) return `${type} ${message}`;
      return response.regions.map((one) => toBigInt(one.region?.id ?? 0)).join();
    };
    assert.is(
      await scan([
        ["a", "aa"],
        ["ab", "c"],
      ]),
      "2,4",
    );
    assert.is(await scan([["a", "c"]], 1), "2");
    assert.is(await scan([["a", ""]]), "2,4");
    assert.is(
      await scan([
        ["a", "c"],
        ["b", "d"],
      ]),
      "1 invalid key range, ranges overlapped",
    );
    assert.is(await scan([["c", "b"]]), "1 invalid key range, start key > end key");
    assert.match(await scan([["a", ""]], 0, true), /^12 .*hole/);
    assert.is(await scan([["a", "d"]], 0, true), "2,4");
  }));

test("QueryRegion: maps as long as the keys, 0 where none is, by id, several per stream", () =>
  withCluster(async (_pd, client) => {
    await report(client, [split(2n, "", "b", 2), split(4n, "b", "d", 2)]);
    const stream = client.stream("QueryRegion");
    const answers = collect(stream);
    const { header } = client;
    const keys = ["a", "c", "x", "a"].map(utf8);
    stream.write({ header, keys, prevKeys: [utf8("c"), utf8("a")], ids: [4, 99, 0] });
    stream.write({ header, ids: [fromBigInt(LARGE_ID)] });
    stream.write({ header });
    stream.end();
    const { messages, error } = await answers;
    assert.is(error, undefined);
    assert.is(messages.length, 3);
    const [first, second, third] = messages as [
      pdpb.QueryRegionResponse,
      pdpb.QueryRegionResponse,
      pdpb.QueryRegionResponse,
    ];
    assert.equal(first.keyIdMap.map(toBigInt), [2n, 4n, 0n, 2n]);
    assert.equal(first.prevKeyIdMap.map(toBigInt), [2n, 0n]);
    const byId = u64MapEntries(first.regionsById);
    assert.equal(byId.map(([id]) => id).sort(), [2n, 4n]);
    for (const [id, answer] of byId) {
      assert.is(toBigInt(answer.region?.id ?? 0), id);
      assert.is(toBigInt(answer.leader?.id ?? 0), 3n);
    }
    assert.is(Object.keys(second.regionsById).length, 0);
    assert.equal(third.keyIdMap, []);
    assert.ok(third.header);
  }));

test("RegionHeartbeat: silent when good; stale, bad range, no leader, id 0, no peer are answered", () =>
  withCluster(async (_pd, client) => {
    assert.equal(await report(client, [split(2n, "", "", 5)]), []);
    const refused = await report(client, [
      split(2n, "", "", 4),
      split(9n, "d", "b", 9),
      split(0n, "a", "b", 9),
      { ...split(9n, "a", "b", 9), peers: [] },
      split(2n, "", "", 6),
    ]);
    const texts = refused.map((answer) => errorOf(answer)[1]);
    assert.is(texts.length, 4, texts.join("\n"));
    assert.match(texts[0] ?? "", /^region is stale: region id:2 /);
    assert.match(texts[1] ?? "", /^invalid region range: id:9 /);
    assert.is(texts[2], "invalid request region");
    assert.is(texts[3], "invalid region, zero region peer count: 9");
    assert.is(toBigInt(refused[0]?.regionId ?? 0), 2n);
    const stream = client.stream("RegionHeartbeat");
    const answers = collect(stream);
    stream.write({ header: client.header, region: split(2n, "", "", 7) });
    stream.write({ header: client.header, leader: { id: 3, storeId: 1 } });
    stream.end();
    const noLeader = (await answers).messages.map((answer) => errorOf(answer)[1]);
    assert.equal(noLeader, ["invalid request leader", "invalid request region"]);
    const region = await client.call("GetRegionByID", { regionId: 2 });
    assert.is(region.region?.regionEpoch?.version.toNumber(), 6, "the stream went on");
  }));

test("RegionHeartbeat of an unknown store ends the stream", () =>
  withCluster(async (_pd, client) => {
    const stream = client.stream("RegionHeartbeat");
    const answers = collect(stream);
    const leader = { id: 3, storeId: 77 };
    stream.write({ header: client.header, region: split(2n, "", "", 7), leader });
    const { error } = await answers;
    assert.is(error?.details, "invalid store ID 77, not found");
  }));

test("cluster config: read, written; a foreign id is refused", () =>
  withCluster(async ({ pd }, client) => {
    const read = await client.call("GetClusterConfig", {});
    assert.is(toBigInt(read.cluster?.id ?? 0), pd.clusterId);
    assert.is(read.cluster?.maxPeerCount, 3);
    const id = fromBigInt(pd.clusterId);
    await client.call("PutClusterConfig", { cluster: { id, maxPeerCount: 5 } });
    assert.is((await client.call("GetClusterConfig", {})).cluster?.maxPeerCount, 5);
    const foreign = await client.call("PutClusterConfig", { cluster: { id: 4, maxPeerCount: 1 } });
    assert.equal(errorOf(foreign), [pdpb.ErrorType.UNKNOWN, "invalid cluster id 4"]);
    assert.is(toBigInt((await client.call("GetGCSafePoint", {})).safePoint), 0n);
  }));

test("keyspaces: DEFAULT with id 0 and ENABLED, no others", () =>
  withCluster(async (_pd, client) => {
    const { header } = client;
    const load = (name: string) =>
      client.callRaw("keyspacepb.Keyspace", "LoadKeyspace", { header, name });
    const { keyspace } = await load("DEFAULT");
    assert.equal(
      [keyspace?.id, keyspace?.name, keyspace?.state],
      [0, "DEFAULT", keyspacepb.KeyspaceState.ENABLED],
    );
    const [type, text] = errorOf(await load("other"));
    assert.is(type, pdpb.ErrorType.ENTRY_NOT_FOUND);
    assert.match(text, /keyspace does not exist/);
    const all = await client.callRaw("keyspacepb.Keyspace", "GetAllKeyspaces", { header });
    assert.equal(
      all.keyspaces.map((one) => one.name),
      ["DEFAULT"],
    );
    const later = { header, startId: 1 };
    const none = await client.callRaw("keyspacepb.Keyspace", "GetAllKeyspaces", later);
    assert.is(none.keyspaces.length, 0);
  }));

test("etcd v3: MemberList with name and client URLs, Maintenance/Status; gRPC health", () =>
  withPd(async ({ pd, client }) => {
    const list = await client.callRaw("etcdserverpb.Cluster", "MemberList", {});
    const [member] = list.members;
    assert.is(list.members.length, 1);
    assert.equal(member?.clientURLs, [`http://${pd.address}`]);
    assert.is(member?.name, "pd");
    assert.not.ok(member?.isLearner);
    assert.is(toBigInt(list.header?.clusterId ?? 0), pd.clusterId);
    const state = await client.callRaw("etcdserverpb.Maintenance", "Status", {});
    assert.is(toBigInt(state.leader), toBigInt(member?.ID ?? 0));
    assert.match(state.version, /^3\.4\./);
    const health = await client.callRaw("grpc.health.v1.Health", "Check", {});
    assert.is(health.status, grpc.health.v1.HealthCheckResponse.ServingStatus.SERVING);
    const unknown = client.callRaw("grpc.health.v1.Health", "Check", { service: "nope" });
    assert.match(await statusOf(unknown), /^NOT_FOUND/);
  }));

test("a message above the limit is RESOURCE_EXHAUSTED and does no harm", async () => {
  const pd = await startTestPd({ limits: { messageSizeMaxBytes: 64 * 1024 } });
  const call = pd.client.call("GetRegion", { regionKey: new Uint8Array(128 * 1024) });
  assert.match(await statusOf(call), /^RESOURCE_EXHAUSTED/);
  assert.not.ok((await pd.client.call("IsBootstrapped", {})).bootstrapped);
  await pd.stop();
});

test.run();
