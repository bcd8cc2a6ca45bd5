/**
 * Scheduling over the wire: orders on heartbeat streams, ids for splits, splits and scatters on
 * request, stores that leave, operators and their reasons over HTTP.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { utf8, utf8Decode } from "../../../src/base/index.js";
import { PromMetrics } from "../../../src/node/metrics.js";
import { pdpb, toBigInt } from "../../../src/pb/index.js";
import { PD_DEFAULTS } from "../../../src/pd/index.js";
import { startTestPd, type TestPd } from "../../support/pd.js";
import { type LedPeer, type LedRegion, PdLeader, startStores } from "../../support/pd_leader.js";
import { tmpDirInMemory } from "../../support/tmp.js";
import { within } from "../../support/within.js";

interface Reply {
  readonly status: number;
  readonly json: unknown;
  /** What the JSON has at this path; undefined where it has nothing. */
  at(...path: readonly (string | number)[]): unknown;
}

async function http(pd: TestPd, method: string, path: string, body?: object): Promise<Reply> {
  const init = body === undefined ? { method } : { method, body: JSON.stringify(body) };
  const response = await fetch(`http://${pd.pd.address}/pd/api/v1/${path}`, init);
  const json: unknown = await response.json();
  const at = (...path: readonly (string | number)[]): unknown =>
    path.reduce<unknown>((value, key) => (value as Record<string, unknown>)?.[key], json);
  return { status: response.status, json, at };
}

async function withStores(
  count: number,
  maxReplicas: number,
  run: (pd: TestPd, leader: PdLeader) => Promise<void>,
): Promise<void> {
  const schedule = { ...PD_DEFAULTS.schedule, maxReplicas };
  const pd = await startTestPd({ options: { schedule } });
  const leader = new PdLeader(pd);
  try {
    await startStores(pd, count);
    await run(pd, leader);
  } finally {
    leader.end();
    await pd.stop();
  }
}

/** A region with voters on `storeIds`; peer id = 100 + store id. */
function voting(storeIds: readonly number[], more: Partial<LedRegion> = {}): LedRegion {
  const peers = storeIds.map((storeId) => ({ id: 100 + storeId, storeId }));
  const leader = storeIds[0] as number;
  return { id: 2, confVer: 5, version: 1, peers, leader, ...more };
}

test("a region grows: learner, caught up, voter; each order comes without being asked for", () =>
  withStores(2, 2, async (pd, leader) => {
    const region: LedRegion = {
      id: 2,
      confVer: 1,
      version: 1,
      peers: [{ id: 3, storeId: 1 }],
      leader: 1,
    };
    await leader.report(region);
    const added = await leader.order(
      "a learner",
      ({ changePeers }) => changePeers?.[0]?.type === 2,
    );
    const peer = added.changePeers?.[0]?.peer;
    assert.is(peer?.storeId, 2n);
    assert.is(peer?.role, 1);
    assert.is(added.confVer, 1n);
    assert.equal(added.targetPeer, { id: 3n, storeId: 1n, role: 0 });
    const running = await pd.client.call("GetOperator", { regionId: 2 });
    assert.is(utf8Decode(running.desc), "make-up-replica");
    assert.is(running.status, pdpb.OperatorStatus.RUNNING);
    const learner = { id: Number(peer?.id), storeId: 2, role: 1 };
    const grown = { ...region, confVer: 2, peers: [...region.peers, learner] };
    await leader.report({ ...grown, pending: [learner] });
    assert.is(leader.orders.length, 0, "it waits for the snapshot");
    await leader.report(grown);
    const promoted = await leader.order("a voter", ({ confVer }) => confVer === 2n);
    assert.equal(promoted.changePeers, [{ type: 0, peer: { id: peer?.id, storeId: 2n, role: 0 } }]);
    const done = { ...grown, confVer: 3, peers: [...region.peers, { ...learner, role: 0 }] };
    await leader.report(done);
    const finished = await pd.client.call("GetOperator", { regionId: 2 });
    assert.is(finished.status, pdpb.OperatorStatus.SUCCESS);
    const records = await http(pd, "GET", "operators/records?object=true");
    assert.is(records.at(0, "desc"), "make-up-replica");
    assert.is(records.at(0, "status"), "success");
  }));

test("a joint change over the wire: enter, leave, remove the learner", () =>
  withStores(4, 3, async (pd, leader) => {
    await leader.report(voting([1, 2, 3]));
    await http(pd, "POST", "schedulers/all", { delay: 600 });
    const request = { name: "transfer-peer", region_id: 2, from_store_id: 1, to_store_id: 4 };
    const created = await http(pd, "POST", "operators", request);
    assert.equal([created.status, created.json], [200, "The operator is created."]);
    const again = await http(pd, "POST", "operators", request);
    assert.is(again.status, 500);
    assert.match(String(again.json), /has an operator: admin-transfer-peer/);
    const added = await leader.order(
      "a learner",
      ({ changePeers }) => changePeers?.[0]?.type === 2,
    );
    const id = Number(added.changePeers?.[0]?.peer.id);
    const four = { id, storeId: 4, role: 1 };
    const peers = voting([1, 2, 3]).peers;
    const [one, two, three] = peers as [LedPeer, LedPeer, LedPeer];
    await leader.report(voting([], { leader: 1, confVer: 6, peers: [...peers, four] }));
    const moved = await leader.order(
      "the leader moves",
      (order) => order.transferLeader !== undefined,
    );
    const to = Number(moved.transferLeader?.[0]?.storeId);
    assert.ok(to === 2 || to === 3, "to one that votes before and after");
    await leader.report(voting([], { leader: to, confVer: 6, peers: [...peers, four] }));
    const enter = await leader.order("enter", ({ changePeers }) => changePeers?.length === 2);
    assert.equal(
      enter.changePeers?.map(({ type, peer }) => [type, peer.storeId]),
      [
        [0, 4n],
        [2, 1n],
      ],
    );
    const joint = [{ ...one, role: 3 }, two, three, { ...four, role: 2 }];
    await leader.report(voting([], { leader: to, confVer: 8, peers: joint }));
    await leader.order("leave", ({ changePeers }) => changePeers?.length === 0);
    const left = [{ ...one, role: 1 }, two, three, { ...four, role: 0 }];
    await leader.report(voting([], { leader: to, confVer: 10, peers: left }));
    const removed = await leader.order("remove", ({ changePeers }) => changePeers?.[0]?.type === 1);
    assert.is(removed.changePeers?.[0]?.peer.storeId, 1n);
    await leader.report(
      voting([], { leader: to, confVer: 11, peers: [two, three, { ...four, role: 0 }] }),
    );
    const shown = await http(pd, "GET", "operators/2");
    assert.is(shown.at("status"), "success");
    assert.is(shown.at("steps", "length"), 5);
  }));

test("an operator ends when the region changed by more than its steps", () =>
  withStores(4, 3, async (pd, leader) => {
    await leader.report(voting([1, 2, 3]));
    await http(pd, "POST", "schedulers/all", { delay: 600 });
    await http(pd, "POST", "operators", { name: "remove-peer", region_id: 2, store_id: 3 });
    await leader.report(voting([1, 2, 3], { confVer: 7 }));
    const reason = await within(5000, "cancelled", async () => {
      const shown = await http(pd, "GET", "operators/2");
      return shown.at("status") === "cancelled" ? String(shown.at("reason")) : undefined;
    });
    assert.match(reason, /conf_ver moved by 2, the steps explain 0/);
    const text = (await http(pd, "GET", "operators/records")).at(0);
    assert.match(
      String(text),
      /admin-remove-peer \{rm peer: store \[3\]\}.* cancelled at .*: stale/,
    );
  }));

test("operators on request: what is wrong with them; cancelling", () =>
  withStores(4, 3, async (pd, leader) => {
    await leader.report(voting([1, 2, 3]));
    await http(pd, "POST", "schedulers/all", { delay: 600 });
    const post = async (body: object): Promise<string> => {
      const { status, json } = await http(pd, "POST", "operators", body);
      return `${status} ${json}`;
    };
    const region_id = 2;
    assert.match(await post({ name: "transfer-leader" }), /^400 missing region id/);
    assert.match(await post({ name: "no", region_id }), /^400 unknown operator "no"/);
    assert.match(await post({ name: "transfer-leader", region_id: 9 }), /^404 region 9 not found/);
    assert.match(await post({ name: "transfer-leader", region_id }), /^500 .*to_store_id/);
    const to = { name: "transfer-leader", region_id, to_store_id: 4 };
    assert.match(await post(to), /^500 .*store 4 cannot lead/);
    const dup = { name: "add-peer", region_id, store_id: 3 };
    assert.match(await post(dup), /^500 .*has a peer on store 3 already/);
    assert.match(await post({ name: "split-region", region_id, keys: ["zz"] }), /^500 .*hex/);
    assert.is((await http(pd, "DELETE", "operators/2")).status, 404);
    assert.match(await post({ ...to, to_store_id: "2" }), /^200 /);
    const order = await leader.order(
      "transfer",
      ({ transferLeader }) => transferLeader !== undefined,
    );
    assert.equal(
      order.transferLeader?.map(({ storeId }) => storeId),
      [2n],
    );
    assert.is((await http(pd, "GET", "operators?kind=leader")).at("length"), 1);
    assert.is((await http(pd, "GET", "operators?kind=split")).at("length"), 0);
    assert.is((await http(pd, "DELETE", "operators/2")).status, 200);
    assert.is((await http(pd, "GET", "operators")).at("length"), 0);
    const cancelled = await pd.client.call("GetOperator", { regionId: 2 });
    assert.is(cancelled.status, pdpb.OperatorStatus.CANCEL);
  }));

test("ids for splits: a group for each region, none for an older epoch", () =>
  withStores(1, 1, async (pd, leader) => {
    await leader.report(voting([1, 2, 3], { version: 4 }));
    const region = {
      id: 2,
      regionEpoch: { confVer: 5, version: 4 },
      peers: voting([1, 2, 3]).peers,
    };
    const batch = await pd.client.call("AskBatchSplit", { region, splitCount: 3 });
    const ids = batch.ids.flatMap((one) => [one.newRegionId, ...one.newPeerIds]).map(toBigInt);
    assert.is(ids.length, 12);
    assert.is(new Set(ids).size, 12, "all different");
    const single = await pd.client.call("AskSplit", { region });
    assert.ok(toBigInt(single.newRegionId) > 0n);
    assert.is(single.newPeerIds.length, 3);
    const old = { ...region, regionEpoch: { confVer: 5, version: 3 } };
    const refused = await pd.client.call("AskBatchSplit", { region: old, splitCount: 1 });
    assert.match(
      refused.header?.error?.message ?? "",
      /^invalid region epoch, request: .*current: /,
    );
    const none = await pd.client.call("AskBatchSplit", { region, splitCount: 0 });
    assert.match(none.header?.error?.message ?? "", /split count 0/);
    await http(pd, "POST", "config", { "halt-scheduling": true });
    const halted = await pd.client.call("AskSplit", { region });
    assert.match(halted.header?.error?.message ?? "", /halted/);
    const left = { ...region, endKey: utf8("m") };
    const right = { ...region, id: 9, startKey: utf8("m") };
    const report = await pd.client.call("ReportBatchSplit", { regions: [left, right] });
    assert.is(report.header?.error, null);
    const apart = await pd.client.call("ReportSplit", { left: right, right: left });
    assert.match(apart.header?.error?.message ?? "", /do not meet/);
  }));

test("SplitRegions orders the split and waits until it shows; scatter follows", () =>
  withStores(3, 3, async (pd, leader) => {
    await leader.report(voting([1, 2, 3]));
    await http(pd, "POST", "schedulers/all", { delay: 600 });
    const keys = [utf8("m")];
    const answer = pd.client.call("SplitAndScatterRegions", { splitKeys: keys, group: "g" });
    const order = await leader.order("split", ({ splitRegion }) => splitRegion !== undefined);
    assert.equal(order.splitRegion?.keys.map(utf8Decode), ["m"]);
    const peers = voting([1, 2, 3]).peers.map((peer) => ({ ...peer, id: peer.id + 100 }));
    const left = { id: 9, version: 2, endKey: utf8("m"), peers };
    await leader.report(voting([1, 2, 3], { version: 2, startKey: utf8("m") }));
    await leader.report(voting([1, 2, 3], left));
    const done = await answer;
    assert.is(Number(toBigInt(done.splitFinishedPercentage)), 100);
    assert.is(Number(toBigInt(done.scatterFinishedPercentage)), 100);
    assert.equal(done.regionsId.map(toBigInt), [2n]);
    const scattered = await pd.client.call("ScatterRegion", { regionsId: [2, 77], group: "g" });
    assert.equal(scattered.failedRegionsId.map(toBigInt), [77n]);
    const missing = await pd.client.call("ScatterRegion", { regionId: 77 });
    assert.match(missing.header?.error?.message ?? "", /region 77 not found/);
    const never = await pd.client.call("SplitRegions", { splitKeys: [utf8("q")], retryLimit: 1 });
    assert.is(Number(toBigInt(never.finishedPercentage)), 0);
  }));

test("stores: offline, up again, refused, tombstone when empty, forgotten on request", () =>
  withStores(4, 3, async (pd, leader) => {
    await leader.report(voting([1, 2, 3]));
    const state = async (id: number): Promise<string> =>
      String((await http(pd, "GET", `store/${id}`)).at("store", "state_name"));
    assert.is((await http(pd, "DELETE", "store/3")).json, "The store is set as Offline.");
    assert.is(await state(3), "Offline");
    const few = await http(pd, "DELETE", "store/2");
    assert.is(few.status, 400);
    assert.match(String(few.json), /no extra up store/);
    assert.is((await http(pd, "POST", "store/3/state?state=Up")).status, 200);
    assert.is(await state(3), "Up");
    assert.is((await http(pd, "DELETE", "store/4")).status, 200);
    await within(15_000, "a tombstone", async () => (await state(4)) === "Tombstone");
    assert.is((await http(pd, "DELETE", "store/4")).status, 410);
    const put = await pd.client.call("PutStore", {
      store: { id: 4, address: "127.0.0.1:20004", version: "8.5.0" },
    });
    assert.is(put.header?.error?.type, pdpb.ErrorType.STORE_TOMBSTONE);
    assert.is((await http(pd, "DELETE", "store/9")).status, 404);
    assert.is((await http(pd, "DELETE", "store/3?force")).status, 200);
    const back = await http(pd, "POST", "store/3/state?state=Up");
    assert.match(String(back.json), /physically destroyed/);
    assert.is((await http(pd, "DELETE", "stores/remove-tombstone")).status, 200);
    assert.is((await http(pd, "GET", "store/4")).status, 404);
  }));

test("labels, limits, schedulers, config: changed, shown, refused when they make no sense", () =>
  withStores(2, 3, async (pd) => {
    assert.is((await http(pd, "POST", "store/1/label", { zone: "a", host: "h" })).status, 200);
    assert.is((await http(pd, "POST", "store/1/label", { zone: "" })).status, 200);
    const labels = (await http(pd, "GET", "store/1")).at("store", "labels");
    assert.equal(labels, [{ key: "host", value: "h" }]);
    assert.is((await http(pd, "POST", "store/1/label", { "a b": "c" })).status, 400);
    assert.is((await http(pd, "POST", "store/2/limit", { rate: 7, type: "add-peer" })).status, 200);
    const limits = (await http(pd, "GET", "stores/limit")).at("2");
    assert.equal(limits, { "add-peer": 7, "remove-peer": 15 });
    const names = ["balance-region-scheduler", "balance-leader-scheduler"];
    assert.equal((await http(pd, "GET", "schedulers")).json as unknown, names);
    const pause = await http(pd, "POST", "schedulers/balance-leader-scheduler", { delay: 30 });
    assert.is(pause.status, 200);
    const paused = (await http(pd, "GET", "schedulers?status=paused")).json;
    assert.equal(paused, ["balance-leader-scheduler"]);
    assert.is((await http(pd, "POST", "schedulers/x", { delay: 1 })).status, 404);
    const change = { "replication.location-labels": "zone,host", "leader-schedule-limit": 8 };
    assert.is((await http(pd, "POST", "config", change)).status, 200);
    const shown = await http(pd, "GET", "config");
    assert.is(shown.at("replication", "location-labels"), "zone,host");
    assert.is(shown.at("schedule", "leader-schedule-limit"), 8);
    for (const bad of [
      { "no-such": 1 },
      { "max-replicas": 0 },
      { "isolation-level": "rack" },
      { "low-space-ratio": "x" },
    ]) {
      assert.is((await http(pd, "POST", "config", bad)).status, 400, JSON.stringify(bad));
    }
    assert.is((await http(pd, "GET", "config/replicate")).at("max-replicas"), 3);
  }));

test("what was changed is there after a restart: config, store states, labels", async () => {
  const dataDir = tmpDirInMemory("pd");
  const first = await startTestPd({ options: { dataDir } });
  await startStores(first, 4);
  await http(first, "POST", "config", { "max-replicas": 2, "location-labels": "zone" });
  await http(first, "POST", "store/2/label", { zone: "other" });
  await http(first, "DELETE", "store/1");
  await first.stop();
  const second = await startTestPd({ options: { dataDir } });
  try {
    const config = await http(second, "GET", "config");
    assert.is(config.at("replication", "max-replicas"), 2);
    assert.is(config.at("replication", "location-labels"), "zone");
    assert.is((await http(second, "GET", "store/1")).at("store", "state_name"), "Offline");
    const labels = (await http(second, "GET", "store/2")).at("store", "labels");
    assert.equal(labels, [{ key: "zone", value: "other" }]);
  } finally {
    await second.stop();
  }
});

test("metrics have PD's names", async () => {
  const metrics = new PromMetrics();
  const pd = await startTestPd({ deps: { metrics, metricsText: () => metrics.scrape() } });
  const leader = new PdLeader(pd);
  try {
    await startStores(pd, 2);
    await leader.report(voting([1], { confVer: 1 }));
    await leader.order("a learner", ({ changePeers }) => changePeers?.[0]?.type === 2);
    await http(pd, "DELETE", "operators/2");
    const text = await (await fetch(`http://${pd.pd.address}/metrics`)).text();
    for (const line of [
      /^pd_schedule_operators_count\{type="make-up-replica",event="create"\} 1$/m,
      /^pd_schedule_operators_count\{type="make-up-replica",event="cancelled"\} 1$/m,
      /^pd_schedule_finish_operators_duration_seconds_count\{type="make-up-replica"\} 1$/m,
      /^pd_checker_event_count\{type="replica_checker",name="new-operator"\} 1$/m,
      /^pd_scheduler_event_count\{type="balance-leader-scheduler",name="schedule"\} [1-9]/m,
      /^pd_scheduler_store_status\{address="127.0.0.1:20001",store="1",type="leader_count"\} 1$/m,
      /^pd_regions_status\{type="miss-peer-region-count"\} 1$/m,
      /^pd_cluster_status\{type="store_up_count"\} 2$/m,
      /^pd_cluster_status\{type="store_unhealth_count"\} 0$/m,
      /^pd_scheduler_region_heartbeat\{type="push",status="push"\} [1-9]/m,
    ]) {
      assert.match(text, line);
    }
  } finally {
    leader.end();
    await pd.stop();
  }
});

test("regions that lack something, and why nothing is done about it", () =>
  withStores(2, 3, async (pd, leader) => {
    const [one, two] = voting([1, 2]).peers;
    await leader.report(voting([1, 2], { pending: [two as never], down: [two as never] }));
    const count = async (name: string): Promise<number> =>
      (await http(pd, "GET", `regions/check/${name}`)).at("count") as number;
    assert.is(await count("miss-peer"), 1);
    assert.is(await count("extra-peer"), 0);
    assert.is(await count("down-peer"), 1);
    assert.is(await count("pending-peer"), 1);
    assert.is((await http(pd, "GET", "regions/check/nonsense")).status, 404);
    const why = await within(5000, "a reason", async () => {
      const reasons = await http(pd, "GET", "operators/reasons");
      return reasons.at("length") === 1 ? reasons : undefined;
    });
    assert.is(why.at(0, "checker"), "replica_checker");
    assert.match(String(why.at(0, "reason")), /^make-up: no other store/);
    const stats = (await http(pd, "GET", "stats/region")).json as unknown as Record<
      string,
      unknown
    >;
    assert.is(stats.count, 1);
    assert.equal(stats.store_leader_count, { [String(one?.storeId)]: 1 });
    assert.equal(stats.store_peer_count, { "1": 1, "2": 1 });
    assert.is((await http(pd, "GET", "regions/store/2")).at("count"), 1);
  }));

test.run();
