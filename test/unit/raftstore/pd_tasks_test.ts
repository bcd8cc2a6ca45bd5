/** Ids for splits, stale peers, PD's orders, and what a leader says of its followers. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { err, NULL_LOGGER, ok, utf8 } from "../../../src/base/index.js";
import type { SplitWish } from "../../../src/raftstore/commands.js";
import type { PeerMsg } from "../../../src/raftstore/messages.js";
import { messageOfOrder } from "../../../src/raftstore/pd_order.js";
import type {
  KnownRegion,
  PdReply,
  RegionOrder,
  SplitIds,
} from "../../../src/raftstore/pd_port.js";
import { downPeers, pendingPeers } from "../../../src/raftstore/peer_health.js";
import type { RegionInfo } from "../../../src/raftstore/region.js";
import { PdTasks } from "../../../src/raftstore/workers/pd_tasks.js";
import { SELF, testRegion } from "../../support/apply_harness.js";

const REGION = testRegion();

class Pd {
  readonly asked: number[] = [];
  readonly reported: RegionInfo[][] = [];
  ids: PdReply<readonly SplitIds[]> = ok([
    { newRegionId: 20n, newPeerIds: [21n, 22n, 23n] },
    { newRegionId: 30n, newPeerIds: [31n, 32n, 33n] },
  ]);
  known: PdReply<KnownRegion | undefined> = ok(undefined);
  take: (order: RegionOrder) => void = () => {};

  async askBatchSplit(_: RegionInfo, count: number): Promise<PdReply<readonly SplitIds[]>> {
    this.asked.push(count);
    return this.ids;
  }

  async reportBatchSplit(regions: readonly RegionInfo[]): Promise<PdReply<void>> {
    this.reported.push([...regions]);
    return err({ kind: "unavailable", message: "no leader" });
  }

  async getRegionById(): Promise<PdReply<KnownRegion | undefined>> {
    return this.known;
  }

  onOrder(take: (order: RegionOrder) => void): void {
    this.take = take;
  }
}

interface TaskTest {
  readonly pd: Pd;
  readonly tasks: PdTasks;
  readonly sent: { readonly regionId: number; readonly message: PeerMsg }[];
}

function make(): TaskTest {
  const pd = new Pd();
  const sent: TaskTest["sent"] = [];
  const notify = (regionId: number, message: PeerMsg): void => {
    sent.push({ regionId, message });
  };
  const tasks = new PdTasks({ rightDerive: true }, { pd, logger: NULL_LOGGER, notify });
  return { pd, tasks, sent };
}

interface TestWish extends SplitWish {
  readonly answers: Parameters<SplitWish["done"]>[0][];
}

function wish(...keys: readonly string[]): TestWish {
  const answers: TestWish["answers"] = [];
  return {
    confVer: 3n,
    version: 4n,
    splitKeys: keys.map(utf8),
    reason: "size",
    done: (answer) => answers.push(answer),
    answers,
  };
}

async function settle(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

test("a wish becomes a split of the epoch that it was checked for", async () => {
  const { pd, tasks, sent } = make();
  const wanted = wish("f", "k");
  tasks.askSplit(REGION, SELF, wanted);
  await settle();
  assert.equal(pd.asked, [2]);
  const [first] = sent;
  assert.is(first?.regionId, 2);
  assert.is(first?.message.kind, "admin");
  if (first?.message.kind !== "admin") return;
  const { header, command, done } = first.message.request;
  assert.equal(header, {
    regionId: 2n,
    confVer: 3n,
    version: 4n,
    peerId: 11n,
    storeId: 1n,
    term: 0n,
  });
  assert.equal(command, {
    kind: "split",
    parts: [
      { splitKey: utf8("f"), newRegionId: 20n, newPeerIds: [21n, 22n, 23n] },
      { splitKey: utf8("k"), newRegionId: 30n, newPeerIds: [31n, 32n, 33n] },
    ],
    rightDerive: true,
  });
  assert.is(done, wanted.done);
  assert.is(wanted.answers.length, 0);
});

test("a wish without ids is answered", async () => {
  const { pd, tasks, sent } = make();
  pd.ids = err({ kind: "refused", message: "region epoch is stale" });
  const wanted = wish("f");
  tasks.askSplit(REGION, SELF, wanted);
  await settle();
  assert.is(sent.length, 0);
  const [answer] = wanted.answers;
  assert.match(answer?.ok === false ? answer.error.message : "", /region epoch is stale/);
});

test("a bounded number of wishes asks at a time, and a stopped store answers them", async () => {
  const { tasks, sent } = make();
  const wishes = Array.from({ length: 1025 }, () => wish("f"));
  for (const one of wishes) tasks.askSplit(REGION, SELF, one);
  const last = wishes[1024]?.answers[0];
  assert.is(last?.ok === false && last.error.kind, "serverIsBusy");
  tasks.stop();
  await settle();
  assert.is(sent.length, 0);
  assert.ok(wishes.every(({ answers }) => answers.length === 1));
});

test("a report that PD does not take is let go", async () => {
  const { pd, tasks } = make();
  tasks.reportSplit([REGION]);
  await settle();
  assert.equal(pd.reported, [[REGION]]);
});

/** PD's region and what becomes of peer 11 of a region with epoch 3/4. */
const VALIDATIONS: readonly (readonly [string, Partial<RegionInfo> | undefined, boolean])[] = [
  ["unknown to PD", undefined, false],
  ["still a member", { confVer: 9n }, false],
  ["gone in a newer region", { confVer: 4n, peers: [{ id: 12n, storeId: 2n, role: 0 }] }, true],
  ["PD knows less", { confVer: 2n, peers: [{ id: 12n, storeId: 2n, role: 0 }] }, false],
  ["another peer on its store", { confVer: 5n, peers: [{ id: 99n, storeId: 1n, role: 0 }] }, true],
];

for (const [name, known, removed] of VALIDATIONS) {
  test(`stale peer: ${name}`, async () => {
    const { pd, tasks, sent } = make();
    const region = known === undefined ? undefined : testRegion(known);
    pd.known = ok(region && { region, leader: undefined });
    tasks.validatePeer(REGION, SELF);
    await settle();
    assert.is(sent.length, removed ? 1 : 0);
    const [first] = sent;
    if (first?.message.kind !== "raftMessage") return;
    const { message } = first.message;
    assert.ok(message.isTombstone);
    assert.is(message.toPeer.id, 11);
    assert.is(message.epoch.confVer, Number(region?.confVer));
  });
}

const NO_OP = (): void => {};

function order(part: Partial<RegionOrder>): RegionOrder {
  return { regionId: 2n, confVer: 3n, version: 4n, targetPeer: undefined, ...part };
}

test("orders reach their region until the store stops", () => {
  const { pd, tasks, sent } = make();
  tasks.start();
  pd.take(order({}));
  assert.equal(sent, [{ regionId: 2, message: { kind: "order", order: order({}) } }]);
  tasks.stop();
  pd.take(order({}));
  assert.is(sent.length, 1);
});

const LEADER = { region: REGION, self: SELF };
const HEADER = { regionId: 2n, confVer: 3n, version: 4n, peerId: 11n, storeId: 1n, term: 0n };

test("a change of peers is proposed for the order's epoch and the peer that PD takes for leader", () => {
  const changePeers = [{ type: 1, peer: { id: 13n, storeId: 3n, role: 0 } }] as const;
  const message = messageOfOrder(order({ changePeers }), LEADER, NO_OP);
  const command = { kind: "changePeer", changes: changePeers };
  assert.equal(message, {
    kind: "admin",
    request: { header: HEADER, command, done: NO_OP },
  });
  const other = order({ changePeers, targetPeer: { id: 12n, storeId: 2n, role: 0 } });
  const misled = messageOfOrder(other, LEADER, NO_OP);
  assert.is(misled?.kind === "admin" && misled.request.header.peerId, 12n);
  const leave = messageOfOrder(order({ changePeers: [] }), LEADER, NO_OP);
  assert.equal(leave?.kind === "admin" && leave.request.command, {
    kind: "changePeer",
    changes: [],
  });
});

test("a transfer goes to the first candidate that can lead", () => {
  const target = (...ids: readonly number[]): bigint | undefined => {
    const peers = ids.map((id) => ({ id: BigInt(id), storeId: BigInt(id - 10), role: 0 as const }));
    const message = messageOfOrder(order({ transferLeader: peers }), LEADER, NO_OP);
    if (message?.kind !== "admin" || message.request.command.kind !== "transferLeader") return;
    return message.request.command.peer.id;
  };
  assert.is(target(13, 12), 13n);
  assert.is(target(99, 11, 12), 12n);
  assert.is(target(99), 99n, "refused by the peer's checks");
  assert.is(target(), undefined);
});

test("an order to split is a wish for its epoch", () => {
  const keys = [utf8("m")];
  const message = messageOfOrder(order({ splitRegion: { keys } }), LEADER, NO_OP);
  const wanted = { confVer: 3n, version: 4n, splitKeys: keys, reason: "pd", done: NO_OP };
  assert.equal(message, { kind: "splitWish", wish: wanted });
  assert.is(messageOfOrder(order({}), LEADER, NO_OP), undefined);
});

test("followers that are silent are down, those behind the log are pending", () => {
  const silent = (id: bigint): number => (id === 12n ? 600_000 : id === 13n ? 599_999 : 1e9);
  assert.equal(downPeers(REGION, SELF, silent, 600_000), [
    { peer: REGION.peers[1], downSeconds: 600 },
  ]);
  const match = (id: bigint): number => (id === 13n ? 49 : id === 12n ? 50 : 0);
  assert.equal(pendingPeers(REGION, SELF, match, 50), [REGION.peers[2]]);
});

test.run();
