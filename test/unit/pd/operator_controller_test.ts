/** Operators under way: steps sent and sent again, ends of every kind, limits, history. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  addPeerOperator,
  movePeerOperator,
  type Operator,
  removePeerOperator,
  transferLeaderOperator,
} from "../../../src/pd/schedule/index.js";
import { ScheduleFixture } from "../../support/pd_schedule.js";

type Built = ReturnType<typeof addPeerOperator>;

function must(built: Built): Operator {
  if (!built.ok) throw new Error(built.error);
  return built.value;
}

function started(sizeMiB = 1): { fixture: ScheduleFixture; operator: Operator } {
  const fixture = new ScheduleFixture().stores(4);
  fixture.coordinator.pauseScheduler("all", 1e9);
  const region = fixture.region(1, { peers: "1 2 3", sizeMiB });
  const making = { desc: "move", kind: "region" } as const;
  const operator = must(movePeerOperator(fixture.context, region, 3n, 4n, making));
  assert.is(fixture.operators.add(operator), undefined);
  return { fixture, operator };
}

function sent(fixture: ScheduleFixture): unknown[] {
  return fixture.orders.splice(0).map(({ changePeers, transferLeader }) => {
    return changePeers?.map(({ type, peer }) => `${type}@${peer.storeId}`).join() ?? transferLeader;
  });
}

test("an operator from start to success, step by step by what is reported", () => {
  const { fixture, operator } = started();
  assert.equal(sent(fixture), ["2@4"]);
  const learner = "4l";
  const id = 1001n;
  const report = (peers: string, confVer: number, pending: number[] = []): void => {
    const region = fixture.region(1, { peers, confVer, pending, sizeMiB: 1 });
    const named = region.meta.peers.map((peer) => (peer.storeId === 4n ? { ...peer, id } : peer));
    const pendingPeers = region.pendingPeers.map((peer) => ({ ...peer, id }));
    const known = { ...region, meta: { ...region.meta, peers: named }, pendingPeers };
    fixture.basic.putRegion(known);
    fixture.coordinator.heartbeat(known, true);
  };
  report(`1 2 3 ${learner}`, 2, [4]);
  assert.equal(sent(fixture), [], "the new peer waits for its data");
  report(`1 2 3 ${learner}`, 2);
  assert.equal(sent(fixture), ["0@4,2@3"]);
  report("1 2 3d 4i", 4);
  assert.equal(sent(fixture), [""]);
  report("1 2 3l 4", 6);
  assert.equal(sent(fixture), ["1@3"]);
  report("1 2 4", 7);
  assert.equal(sent(fixture), []);
  assert.is(operator.status, "success");
  assert.is(operator.confVerChanged(fixture.basic.getRegion(1n) as never), 6);
  assert.is(fixture.operators.get(1n), undefined);
  assert.is(fixture.operators.finished(1n), operator);
});

test("a step is sent again every 5 s, a fast one every 2 s, until it shows", () => {
  const { fixture } = started();
  sent(fixture);
  for (const [now, count] of [
    [4000, 0],
    [5000, 1],
    [9000, 1],
    [10_000, 2],
  ] as const) {
    fixture.now = now;
    fixture.operators.push();
    assert.is(fixture.orders.length, count, `${now} ms`);
  }
  const other = fixture.region(2, { peers: "1 2 3" });
  const making = { desc: "t", kind: "leader" } as const;
  fixture.operators.add(must(transferLeaderOperator(fixture.context, other, 2n, making)));
  sent(fixture);
  fixture.now += 2000;
  fixture.operators.push();
  assert.is(fixture.orders.filter(({ transferLeader }) => transferLeader).length, 1);
});

test("a step that takes too long ends the operator, and says which", () => {
  const { fixture, operator } = started();
  fixture.now = 600_000;
  fixture.stores(4);
  fixture.operators.push();
  assert.is(operator.status, "started");
  fixture.now = 600_001;
  fixture.operators.push();
  fixture.now += 5000;
  fixture.operators.push();
  assert.is(operator.status, "timeout");
  assert.match(operator.reason, /^step 0 took too long: add learner peer/);
});

test("an operator ends when the region shows what its steps do not explain", () => {
  for (const [confVer, status] of [
    [1, "started"],
    [2, "cancelled"],
  ] as const) {
    const { fixture, operator } = started();
    fixture.report(1, { peers: "1 2 3", confVer, sizeMiB: 1 });
    assert.is(operator.status, status, `conf_ver ${confVer}`);
  }
});

test("a split meanwhile does not end a change of peers", () => {
  const { fixture, operator } = started();
  fixture.report(1, { peers: "1 2 3", version: 2, sizeMiB: 1 });
  assert.is(operator.status, "started");
});

test("an operator ends when its region disappears or a person says so", () => {
  const { fixture, operator } = started();
  const whole = fixture.region(9, { peers: "1", version: 9 });
  fixture.basic.putRegion({ ...whole, meta: { ...whole.meta, startKey: new Uint8Array(0) } });
  fixture.operators.push();
  assert.is(operator.reason, "the region disappeared");
  const again = started();
  assert.ok(again.fixture.operators.cancel(1n, "because"));
  assert.not.ok(again.fixture.operators.cancel(1n, "because"));
  assert.is(again.operator.reason, "because");
});

test("what is not taken: a second operator, an old epoch, an unknown region, an old operator", () => {
  const { fixture } = started();
  const making = { desc: "x", kind: "admin" } as const;
  const region = fixture.basic.getRegion(1n) as never;
  const second = must(removePeerOperator(fixture.context, region, 3n, making));
  assert.match(fixture.operators.add(second) ?? "", /has an operator: move/);
  const other = fixture.region(2, { peers: "1 2 3" });
  const outdated = must(removePeerOperator(fixture.context, other, 3n, making));
  fixture.region(2, { peers: "1 2 3", confVer: 2 });
  assert.match(fixture.operators.add(outdated) ?? "", /changed meanwhile/);
  const late = must(
    removePeerOperator(fixture.context, fixture.region(3, { peers: "1 2 3" }), 3n, making),
  );
  fixture.now += 3001;
  assert.match(fixture.operators.add(late) ?? "", /not started in time/);
  assert.is(late.status, "expired");
});

test("an urgent operator takes the place of another, not of a person's", () => {
  const { fixture, operator } = started();
  const region = fixture.basic.getRegion(1n) as never;
  const urgent = { desc: "repair", kind: "replica", isUrgent: true } as const;
  const repair = must(removePeerOperator(fixture.context, region, 3n, urgent));
  assert.is(fixture.operators.add(repair), undefined);
  assert.is(operator.status, "replaced");
  assert.is(operator.reason, "replaced by repair");
  const second = fixture.region(2, { peers: "1 2 3" });
  const admin = { desc: "admin", kind: "admin" } as const;
  fixture.operators.add(must(removePeerOperator(fixture.context, second, 3n, admin)));
  const next = must(removePeerOperator(fixture.context, second, 2n, urgent));
  assert.match(fixture.operators.add(next) ?? "", /has an operator: admin/);
});

test("store limits: one region at once, 15 a minute; empty regions and people's are free", () => {
  const fixture = new ScheduleFixture().stores(6);
  const add = (id: number, sizeMiB: number, kind: "region" | "admin"): string | undefined => {
    const region = fixture.region(id, { peers: "1 2 3", sizeMiB });
    const peer = { storeId: 4n, role: "voter" } as const;
    const making = { desc: "add", kind } as const;
    return fixture.operators.add(must(addPeerOperator(fixture.context, region, peer, making)));
  };
  assert.is(add(1, 100, "region"), undefined);
  assert.match(add(2, 100, "region") ?? "", /store limit reached: add-peer of store 4/);
  assert.is(add(3, 1, "region"), undefined, "an empty region");
  assert.is(add(4, 100, "admin"), undefined, "a person's");
  fixture.now += 8000;
  assert.is(add(5, 100, "region"), undefined, "two regions' time later");
  assert.is(add(6, 100, "region") === undefined, false);
  fixture.operators.limits.setRate(4n, "add-peer", 6000);
  fixture.now += 1000;
  for (let id = 7; id < 107; id++) assert.is(add(id, 100, "region"), undefined, `region ${id}`);
});

test("history is bounded in time", () => {
  const { fixture } = started();
  fixture.operators.cancel(1n, "x");
  assert.is(fixture.operators.records.since(0).length, 1);
  fixture.now += 600_001;
  fixture.operators.push();
  assert.is(fixture.operators.records.since(0).length, 0);
  assert.is(fixture.operators.finished(1n), undefined);
});

test.run();
