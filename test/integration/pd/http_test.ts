/** PD's HTTP API and what else arrives on its port. Field names are those that pd-ctl parses. */
import { connect } from "node:net";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { utf8 } from "../../../src/base/index.js";
import { PromMetrics } from "../../../src/node/metrics.js";
import { fromBigInt } from "../../../src/pb/index.js";
import { durationText, sizeText } from "../../../src/pd/server/http_json.js";
import { type Json, jsonText } from "../../../src/pd/server/json.js";
import {
  collect,
  LARGE_ID,
  startTestPd,
  type TestPd,
  testRegion,
  testStore,
} from "../../support/pd.js";

/** Parsed JSON, for tests that look into it. */
type Any = { readonly [key: string]: Any } & { readonly [at: number]: Any } & Json;

interface Reply {
  readonly status: number;
  readonly text: string;
  readonly json: Any;
}

async function get(pd: TestPd, path: string, method = "GET"): Promise<Reply> {
  const response = await fetch(`http://${pd.pd.address}${path}`, { method });
  const text = await response.text();
  const json = response.headers.get("content-type")?.startsWith("application/json")
    ? (JSON.parse(text) as Any)
    : (null as unknown as Any);
  return { status: response.status, text, json };
}

async function withCluster(run: (pd: TestPd) => Promise<void>): Promise<void> {
  const metricsText = async (): Promise<string> => "pd_up 1\n";
  const pd = await startTestPd({ deps: { metricsText } });
  try {
    const labels = [{ key: "zone", value: "z1" }];
    const store = testStore(1n, "127.0.0.1:1", { labels, statusAddress: "127.0.0.1:2" });
    await pd.client.call("Bootstrap", { store, region: testRegion(1n) });
    const stats = { storeId: 1, capacity: fromBigInt(100n << 30n), available: 512, startTime: 9 };
    await pd.client.call("StoreHeartbeat", { stats });
    await run(pd);
  } finally {
    await pd.stop();
  }
}

async function reportRegions(pd: TestPd): Promise<void> {
  const stream = pd.client.stream("RegionHeartbeat");
  const answers = collect(stream);
  const leader = { id: 3, storeId: 1 };
  const { header } = pd.client;
  const part = (id: bigint, startKey: string, endKey: string) => ({
    header,
    leader,
    approximateSize: 3 << 20,
    approximateKeys: fromBigInt(LARGE_ID),
    region: {
      ...testRegion(1n, id),
      startKey: utf8(startKey),
      endKey: utf8(endKey),
      regionEpoch: { confVer: 1, version: 2 },
    },
  });
  stream.write(part(2n, "", "k"));
  stream.write(part(LARGE_ID, "k", ""));
  stream.end();
  assert.is((await answers).error, undefined);
}

test("members, leader, health: the cluster id is exact beyond 2^53", () =>
  withCluster(async (pd) => {
    const members = await get(pd, "/pd/api/v1/members");
    assert.is(members.status, 200);
    assert.ok(members.text.includes(`"header":{"cluster_id":${pd.pd.clusterId}}`), members.text);
    const url = `http://${pd.pd.address}`;
    assert.equal(members.json.members?.[0]?.client_urls, [url]);
    assert.is(members.json.leader?.name, "pd");
    assert.match(members.text, /"etcd_leader":\{"name":"pd","member_id":\d{10,20},/);
    assert.equal((await get(pd, "/pd/api/v1/leader")).json.client_urls, [url]);
    const health = (await get(pd, "/pd/api/v1/health")).json;
    assert.equal([health[0]?.name, health[0]?.health], ["pd", true]);
    assert.is((await get(pd, "/pd/api/v1/ping")).status, 200);
  }));

test("version, status, cluster, cluster/status, config, metrics", () =>
  withCluster(async (pd) => {
    assert.equal((await get(pd, "/pd/api/v1/version")).json, { version: "8.5.0" });
    const status = (await get(pd, "/pd/api/v1/status")).json;
    assert.is(status.version, "8.5.0");
    assert.ok(Number(status.start_timestamp) > 1_600_000_000);
    const cluster = await get(pd, "/pd/api/v1/cluster");
    assert.is(cluster.text, `{"id":${pd.pd.clusterId},"max_peer_count":3}\n`);
    const state = (await get(pd, "/pd/api/v1/cluster/status")).json;
    assert.is(state.is_initialized, true);
    assert.ok(Math.abs(Date.parse(String(state.raft_bootstrap_time)) - Date.now()) < 60_000);
    const config = (await get(pd, "/pd/api/v1/config")).json;
    assert.is(config.replication?.["max-replicas"], 3);
    assert.is(config.schedule?.["max-store-down-time"], "30m0s");
    assert.is((await get(pd, "/metrics")).text, "pd_up 1\n");
  }));

test("stores and one store", () =>
  withCluster(async (pd) => {
    const stores = (await get(pd, "/pd/api/v1/stores")).json;
    assert.is(stores.count, 1);
    const one = (await get(pd, "/pd/api/v1/store/1")).json;
    assert.equal(one, stores.stores?.[0]);
    assert.equal(one.store?.labels, [{ key: "zone", value: "z1" }]);
    assert.is(one.store?.state_name, "Up");
    assert.is(one.store?.status_address, "127.0.0.1:2");
    assert.is(one.status?.capacity, "100GiB");
    assert.is(one.status?.available, "512B");
    assert.is(one.status?.region_count, 1);
    assert.ok(!Number.isNaN(Date.parse(String(one.status?.last_heartbeat_ts))));
    assert.is((await get(pd, "/pd/api/v1/stores?state=2")).json.count, 0);
    assert.is((await get(pd, "/pd/api/v1/stores?state=0")).json.count, 1);
  }));

test("regions: all, by id, by key in text, percent and hex; ids exact", () =>
  withCluster(async (pd) => {
    await reportRegions(pd);
    const all = await get(pd, "/pd/api/v1/regions");
    assert.is(all.json.count, 2);
    assert.ok(all.text.includes(`"id":${LARGE_ID},"start_key":"6B","end_key":""`), all.text);
    const first = (await get(pd, "/pd/api/v1/region/id/2")).json;
    assert.equal(first.epoch, { conf_ver: 1, version: 2 });
    assert.equal(first.leader, { id: 3, store_id: 1, role_name: "Voter" });
    assert.equal(first.peers, [{ id: 3, store_id: 1, role_name: "Voter" }]);
    assert.is(first.approximate_size, 3);
    const large = await get(pd, `/pd/api/v1/region/id/${LARGE_ID}`);
    assert.ok(large.text.includes(`"approximate_keys":${LARGE_ID}`));
    const idOf = async (path: string) => (await get(pd, path)).json.start_key;
    assert.is(await idOf("/pd/api/v1/region/key/a"), "");
    assert.is(await idOf("/pd/api/v1/region/key/z"), "6B");
    assert.is(await idOf("/pd/api/v1/region/key/%FF%00"), "6B");
    assert.is(await idOf("/pd/api/v1/region/key/6a?format=hex"), "");
    assert.is(await idOf("/pd/api/v1/region/key/6B?format=hex"), "6B");
  }));

const BAD: readonly [string, string, number, RegExp][] = [
  ["GET", "/pd/api/v1/store/99", 404, /store 99 not found/],
  ["GET", "/pd/api/v1/store/abc", 400, /parsing "abc": invalid syntax/],
  ["GET", "/pd/api/v1/store/18446744073709551616", 400, /invalid syntax/],
  ["GET", "/pd/api/v1/store/-1", 400, /invalid syntax/],
  ["GET", "/pd/api/v1/region/id/77", 404, /region 77 not found/],
  ["GET", "/pd/api/v1/region/id/", 400, /invalid syntax/],
  ["GET", "/pd/api/v1/region/key/%zz", 400, /invalid key/],
  ["GET", "/pd/api/v1/region/key/6?format=hex", 400, /invalid key/],
  ["GET", "/pd/api/v1/stores?state=x", 400, /unknown StoreState/],
  ["GET", "/pd/api/v1/nothing", 404, /404 page not found/],
  ["GET", "/pd/api/v1/__proto__", 404, /404 page not found/],
  ["GET", "/", 404, /404 page not found/],
  ["POST", "/pd/api/v1/stores", 405, /method POST is not allowed/],
  ["DELETE", "/pd/api/v1/members", 405, /method DELETE is not allowed/],
];

test("bad requests get a status and a JSON string", () =>
  withCluster(async (pd) => {
    for (const [method, path, status, text] of BAD) {
      const reply = await get(pd, path, method);
      assert.is(reply.status, status, `${method} ${path}`);
      assert.type(reply.json, "string", path);
      assert.match(String(reply.json), text);
    }
  }));

test("before bootstrap stores and regions are 500 with PD's text; members are served", async () => {
  const pd = await startTestPd();
  for (const path of ["stores", "regions", "store/1", "region/id/1", "region/key/a"]) {
    const reply = await get(pd, `/pd/api/v1/${path}`);
    assert.is(reply.status, 500, path);
    assert.match(reply.text, /TiKV cluster not bootstrapped, please start TiKV first/);
  }
  assert.is((await get(pd, "/pd/api/v1/cluster/status")).json.is_initialized, false);
  assert.is((await get(pd, "/pd/api/v1/members")).status, 200);
  assert.is((await get(pd, "/metrics")).status, 404, "nobody brought metrics");
  await pd.stop();
});

test("metrics: stores, regions, timestamps and calls under PD's names", async () => {
  const metrics = new PromMetrics();
  const pd = await startTestPd({ deps: { metrics, metricsText: () => metrics.scrape() } });
  await pd.client.call("Bootstrap", { store: testStore(1n, "h:1"), region: testRegion(1n) });
  await pd.client.call("StoreHeartbeat", { stats: { storeId: 1 } });
  await reportRegions(pd);
  await pd.client.timestamp(250);
  await pd.client.call("GetStore", { storeId: 1 }).catch(() => {});
  await get(pd, "/metrics");
  const { text } = await get(pd, "/metrics");
  const service = 'grpc_service="pdpb.PD"';
  for (const line of [
    'pd_cluster_status{type="store_up_count"} 1',
    'pd_cluster_status{type="region_count"} 2',
    'pd_cluster_status{type="leader_count"} 2',
    'pd_tso_events{type="timestamps"} 250',
    'pd_tso_events{type="requests"} 1',
    'pd_scheduler_region_heartbeat{type="report",status="ok"} 2',
    `grpc_server_handled_total{${service},grpc_method="GetStore",grpc_code="OK"} 1`,
    `grpc_server_handled_total{${service},grpc_method="Tso",grpc_code="OK"} 1`,
    'pd_server_info{version="8.5.0"} 1',
  ]) {
    assert.ok(text.includes(`${line}\n`), `${line}\n${text}`);
  }
  await pd.stop();
});

test("garbage on the client port is closed while gRPC and HTTP go on", async () => {
  const pd = await startTestPd({ limits: { sniffTimeoutMs: 200 } });
  const closed = (bytes: Buffer): Promise<void> =>
    new Promise((resolve) => {
      const socket = connect(pd.port, "127.0.0.1", () => socket.write(bytes));
      socket.on("error", () => {});
      socket.on("close", () => resolve());
      socket.resume();
    });
  const attacks = [0x00, 0x16, 0x50, 0xff].map((first) => closed(Buffer.of(first, 0, 0, 0)));
  attacks.push(closed(Buffer.alloc(0)));
  assert.ok((await pd.client.timestamp()) > 0n);
  assert.is((await get(pd, "/pd/api/v1/version")).status, 200);
  await Promise.all(attacks);
  const lines = pd.logs.lines.filter((line) => line.message.startsWith("connection closed"));
  assert.is(lines.length, 1, "one line per peer and minute");
  await pd.stop();
});

test("sizes, durations and numbers are written as PD and Go write them", () => {
  assert.is(sizeText(0n), "0B");
  assert.is(sizeText(1536n), "1.5KiB");
  assert.is(sizeText(1_000_204_886_016n), "931.5GiB");
  assert.is(durationText(59_999), "59s");
  assert.is(durationText(3_723_000), "1h2m3s");
  const value = { a: [LARGE_ID, null, "x\n"], b: undefined, c: { d: true } };
  assert.is(jsonText(value), `{"a":[${LARGE_ID},null,"x\\n"],"c":{"d":true}}`);
});

test.run();
