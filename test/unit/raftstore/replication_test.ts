/** One region on one and on three stores: replication, failover, restarts, reads. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { BATCH_CONFIG_DEFAULT } from "../../../src/batch/index.js";
import { outcomes, RaftCluster, type TestStore } from "../../support/raft_cluster.js";

test("a store that is alone leads and serves without a tick", async () => {
  const cluster = await RaftCluster.open({ stores: 1 });
  const leader = cluster.leaderOf(2);
  assert.is(leader?.id, 1);
  const answers = cluster.put(leader as TestStore, "a", "1");
  await cluster.settle();
  assert.is(outcomes(answers), "ok");
  assert.is(await cluster.mustGet("a"), "1");
  cluster.shutdown();
});

test("three stores elect one leader, and all of them hold what it acknowledges", async () => {
  const cluster = await RaftCluster.open();
  for (let i = 0; i < 20; i++) await cluster.mustPut(`k${i}`, `v${i}`);
  await cluster.tick(2);
  for (const store of cluster.stores) {
    for (let i = 0; i < 20; i++) assert.is(store.get(`k${i}`), `v${i}`, `store ${store.id}`);
  }
  assert.is(new Set(cluster.stores.map((one) => one.peer(2)?.term)).size, 1);
  cluster.shutdown();
});

test("writes of one turn are one entry of the log", async () => {
  const cluster = await RaftCluster.open();
  const leader = await cluster.mustLead();
  const before = leader.peer(2)?.rawNode.lastIndex as number;
  const syncs = leader.syncs;
  const answers = Array.from({ length: 50 }, (_, i) => cluster.put(leader, `k${i}`, "v"));
  await cluster.settle();
  assert.ok(answers.every((one) => outcomes(one) === "ok"));
  assert.is(leader.peer(2)?.rawNode.lastIndex, before + 1);
  assert.is(leader.syncs, syncs + 1);
  cluster.shutdown();
});

test("a leader that is cut off loses its lease before another one leads", async () => {
  const cluster = await RaftCluster.open();
  await cluster.mustPut("a", "1");
  const old = await cluster.mustLead();
  const others = cluster.stores.filter(({ id }) => id !== old.id).map(({ id }) => id);
  cluster.partition([old.id], others);
  // leaderOf asserts in each tick that at most one lease holds.
  await cluster.until("another leader", () => {
    const leader = cluster.leaderOf(2);
    return leader !== undefined && leader.id !== old.id;
  });
  const lost = cluster.put(old, "a", "lost");
  await cluster.mustPut("a", "2");
  assert.is(await cluster.mustGet("a"), "2");
  cluster.heal();
  await cluster.until("the old leader follows", () => old.get("a") === "2");
  assert.ok(["notLeader", "staleCommand"].includes(outcomes(lost)), outcomes(lost));
  cluster.shutdown();
});

test("a follower that was away catches up from the log", async () => {
  const cluster = await RaftCluster.open();
  const leader = await cluster.mustLead();
  const away = cluster.stores.find(({ id }) => id !== leader.id) as TestStore;
  away.crash();
  for (let i = 0; i < 30; i++) await cluster.mustPut(`k${i}`, "v");
  away.open();
  away.start();
  await cluster.until("it has all", () => away.get("k29") === "v");
  cluster.shutdown();
});

test("after all stores lost power nothing acknowledged is lost", async () => {
  const cluster = await RaftCluster.open();
  for (let i = 0; i < 30; i++) await cluster.mustPut(`k${i}`, `v${i}`);
  for (const store of cluster.stores) store.crash(0);
  for (const store of cluster.stores) {
    store.open();
    store.start();
  }
  for (let i = 0; i < 30; i++) assert.is(await cluster.mustGet(`k${i}`), `v${i}`);
  await cluster.mustPut("k0", "again");
  assert.is(await cluster.mustGet("k0"), "again");
  cluster.shutdown();
});

test("followers and a leader without lease serve reads that the leader confirmed", async () => {
  const cluster = await RaftCluster.open();
  await cluster.mustPut("a", "1");
  const leader = await cluster.mustLead();
  for (const store of cluster.stores) {
    const answers = cluster.read(store);
    await cluster.settle();
    assert.is(outcomes(answers), "ok", `store ${store.id}`);
    assert.is(store.get("a"), "1");
  }
  // Time passes that no tick saw: the lease is over.
  cluster.clock.advance(9_001);
  assert.is(leader.peer(2)?.canReadLocally(), false);
  const answers = cluster.read(leader, 2, false);
  await cluster.settle();
  assert.is(outcomes(answers), "ok");
  assert.is(leader.peer(2)?.canReadLocally(), true);
  cluster.shutdown();
});

test("a read whose question is lost is asked again; without a leader it is refused", async () => {
  const cluster = await RaftCluster.open();
  await cluster.mustPut("a", "1");
  const leader = await cluster.mustLead();
  const follower = cluster.stores.find(({ id }) => id !== leader.id) as TestStore;
  let lost = 0;
  cluster.filter = (_from, _to, { message }) => {
    if (message?.type !== 15 || lost > 0) return true;
    lost++;
    return false;
  };
  const answers = cluster.read(follower);
  await cluster.settle();
  assert.is(lost, 1);
  assert.is(outcomes(answers), "");
  await cluster.tick(4);
  assert.is(outcomes(answers), "ok");
  cluster.partition();
  await cluster.until("no leader", () => follower.peer(2)?.leader === undefined, 60);
  const refused = cluster.read(follower);
  await cluster.settle();
  assert.is(outcomes(refused), "notLeader");
  cluster.shutdown();
});

test("a leader hands over, and serves no read under its old lease", async () => {
  const cluster = await RaftCluster.open();
  await cluster.mustPut("a", "1");
  for (const to of [1, 2, 3, 1]) {
    await cluster.mustTransfer(2, to);
    await cluster.mustPut("a", `on ${to}`);
    assert.is(cluster.store(to).get("a"), `on ${to}`);
  }
  cluster.shutdown();
});

test("everything that waits is answered when a store stops", async () => {
  const cluster = await RaftCluster.open();
  const leader = await cluster.mustLead();
  cluster.partition();
  const proposed = cluster.put(leader, "a", "1");
  await cluster.settle();
  cluster.clock.advance(9_001);
  const read = cluster.read(leader, 2, false);
  await cluster.settle();
  const unseen = cluster.put(leader, "b", "1");
  assert.is(outcomes(proposed) + outcomes(read) + outcomes(unseen), "");
  cluster.shutdown();
  for (const answers of [proposed, read, unseen]) assert.is(answers.length, 1);
  assert.is(outcomes(proposed), "other");
});

/** Lets what a store holds back be done. */
function release(store: TestStore): void {
  store.holdWrites = false;
  for (const done of store.held.splice(0)) done();
}

test("nothing is acknowledged before it is durable on a quorum", async () => {
  const cluster = await RaftCluster.open();
  await cluster.mustPut("a", "1");
  const leader = await cluster.mustLead();
  const [one, two] = cluster.stores.filter((store) => store !== leader) as [TestStore, TestStore];
  one.holdWrites = true;
  two.holdWrites = true;
  const answers = cluster.put(leader, "a", "2");
  await cluster.settle();
  assert.is(outcomes(answers), "");
  assert.is(leader.get("a"), "1");
  release(two);
  await cluster.settle();
  assert.is(outcomes(answers), "ok");
  release(one);
  cluster.shutdown();
});

test("a leader acknowledges by its own disk's order, however many rounds are under way", async () => {
  const cluster = await RaftCluster.open();
  const leader = await cluster.mustLead();
  leader.holdWrites = true;
  const order: number[] = [];
  const writes = leader.writes;
  for (let i = 0; i < 40; i++) {
    const answers = cluster.put(leader, `k${i}`, "v");
    answers.push = (...results): number => {
      order.push(i);
      return Array.prototype.push.apply(answers, results);
    };
    await cluster.settle();
  }
  assert.equal(order, []);
  // Peers keep their Readies when so many rounds are under way.
  assert.is(leader.writes - writes, 16);
  release(leader);
  await cluster.settle();
  assert.equal(order, [...Array(40).keys()]);
  cluster.shutdown();
});

test("a full mailbox answers full, and loses Raft messages only", async () => {
  const storeBatch = { ...BATCH_CONFIG_DEFAULT, notifyCapacity: 4 };
  const cluster = await RaftCluster.open({ options: { storeBatch } });
  const leader = await cluster.mustLead();
  const answers = Array.from({ length: 10 }, (_, i) => cluster.put(leader, `k${i}`, "v"));
  await cluster.settle();
  assert.equal(answers.map(outcomes), [...Array(4).fill("ok"), ...Array(6).fill("")]);
  await cluster.mustPut("k9", "v");
  cluster.shutdown();
});

test.run();
