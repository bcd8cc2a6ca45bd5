/** What transactions need of peers: steps of a write, the last write before a handover, checks of reads. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { utf8, utf8Decode } from "../../../src/base/index.js";
import { dataKey } from "../../../src/codec/index.js";
import { WriteBatchBuilder } from "../../../src/engine/index.js";
import type {
  CommandResult,
  Peer,
  ReadConfirmed,
  WriteCommand,
} from "../../../src/raftstore/index.js";
import { outcomes, RaftCluster, type TestStore } from "../../support/raft_cluster.js";

/** A write that notes its steps, and whether its key could be read in each. */
function noted(cluster: RaftCluster, store: TestStore, key: string, steps: string[]): WriteCommand {
  const batch = new WriteBatchBuilder();
  batch.put("default", dataKey(utf8(key)), utf8("v"));
  const step = (name: string) => (): void => {
    steps.push(`${name}:${store.get(key) ?? "-"}`);
  };
  return {
    header: cluster.header(store.peer(2) as Peer),
    data: batch.bytes().slice(),
    frees: false,
    onProposed: step("proposed"),
    onCommitted: step("committed"),
    done: (result) => step(result.ok ? "done" : result.error.kind)(),
  };
}

test("a write tells when it is in the log, when it is committed, when it is applied", async () => {
  const cluster = await RaftCluster.open();
  await cluster.mustPut("a", "1");
  const leader = await cluster.mustLead();
  const steps: string[] = [];
  leader.live.send(2, { kind: "write", command: noted(cluster, leader, "k", steps) });
  await cluster.settle();
  assert.equal(steps, ["proposed:-", "committed:-", "done:v"]);
  cluster.shutdown();
});

test("a write that is lost was proposed, and is never told to be committed", async () => {
  const cluster = await RaftCluster.open();
  await cluster.mustPut("a", "1");
  const old = await cluster.mustLead();
  const others = cluster.stores.filter(({ id }) => id !== old.id).map(({ id }) => id);
  cluster.partition([old.id], others);
  const steps: string[] = [];
  old.live.send(2, { kind: "write", command: noted(cluster, old, "k", steps) });
  await cluster.settle();
  assert.equal(steps, ["proposed:-"]);
  await cluster.until("another leader", () => {
    const leader = cluster.leaderOf(2);
    return leader !== undefined && leader.id !== old.id;
  });
  await cluster.mustPut("a", "2");
  cluster.heal();
  await cluster.until("the old leader follows", () => old.get("a") === "2");
  assert.equal(steps, ["proposed:-", "staleCommand:-"]);
  cluster.shutdown();
});

test("a write that is refused was not proposed", async () => {
  const cluster = await RaftCluster.open();
  await cluster.mustPut("a", "1");
  const leader = await cluster.mustLead();
  const follower = cluster.stores.find(({ id }) => id !== leader.id) as TestStore;
  const steps: string[] = [];
  follower.live.send(2, { kind: "write", command: noted(cluster, follower, "k", steps) });
  await cluster.settle();
  assert.equal(steps, ["notLeader:-"]);
  cluster.shutdown();
});

test("before a transfer and a split the leader writes what storage kept, and it is not lost", async () => {
  const cluster = await RaftCluster.open();
  await cluster.mustPut("a", "1");
  const leader = await cluster.mustLead();
  const steps: string[] = [];
  const asked: bigint[] = [];
  leader.live.beforeHandover((peer) => {
    asked.push(peer.term);
    return noted(cluster, leader, `kept${asked.length}`, steps);
  });
  const target = leader.peer(2)?.region.peers.find(({ storeId }) => Number(storeId) !== leader.id);
  assert.ok(target !== undefined);
  const answers = cluster.admin(leader, 2, { kind: "transferLeader", peer: target as never });
  await cluster.settle();
  assert.is(outcomes(answers), "ok");
  await cluster.until("the other leads", () => cluster.leaderOf(2)?.id === Number(target?.storeId));
  const next = cluster.leaderOf(2) as TestStore;
  assert.is(next.get("kept1"), "v", "the new leader has applied it before it leads");
  assert.equal(steps, ["proposed:-", "committed:-", "done:v"]);
  assert.is(asked.length, 1);
  cluster.shutdown();
});

for (const kind of ["split", "transferLeader"] as const) {
  test(`${kind}: writes of the same turn stand in the log before storage is asked what it kept`, async () => {
    const cluster = await RaftCluster.open();
    await cluster.mustPut("a", "1");
    const leader = await cluster.mustLead();
    const [steps, kept]: [string[], string[]] = [[], []];
    leader.live.beforeHandover(() => {
      steps.push("asked");
      return noted(cluster, leader, "k", kept);
    });
    leader.live.send(2, { kind: "write", command: noted(cluster, leader, "k", steps) });
    const peer = leader.peer(2)?.region.peers.find(({ storeId }) => Number(storeId) !== leader.id);
    assert.ok(peer !== undefined);
    const part = { splitKey: utf8("m"), newRegionId: 100n, newPeerIds: [101n, 102n, 103n] };
    const split = { kind: "split", parts: [part], rightDerive: true } as const;
    cluster.admin(leader, 2, kind === "split" ? split : { kind, peer });
    await cluster.settle();
    assert.equal(steps.slice(0, 2), ["proposed:-", "asked"]);
    cluster.shutdown();
  });
}

test("a follower's read brings its check to the leader, and the verdict back", async () => {
  const cluster = await RaftCluster.open();
  await cluster.mustPut("a", "1");
  const leader = await cluster.mustLead();
  for (const store of cluster.stores) {
    store.live.judgeReads((check) => utf8(`${store.id} read ${utf8Decode(check)}`));
  }
  const verdicts: string[] = [];
  for (const store of cluster.stores) {
    for (const check of ["x", "y"]) {
      const done = (result: CommandResult<ReadConfirmed>): void => {
        assert.ok(result.ok);
        verdicts.push(result.ok ? utf8Decode(result.value.verdict) : "");
      };
      const header = cluster.header(store.peer(2) as Peer);
      const command = { header, replicaRead: true, check: utf8(check), done };
      store.live.send(2, { kind: "read", command });
    }
  }
  const plain = cluster.read(cluster.stores.find(({ id }) => id !== leader.id) as TestStore);
  await cluster.settle();
  assert.is(outcomes(plain), "ok");
  const expected = [`${leader.id} read x`, `${leader.id} read y`];
  assert.equal(verdicts.sort(), [...expected, ...expected, ...expected].sort());
  cluster.shutdown();
});

test("who watches hears of each new leader", async () => {
  const cluster = await RaftCluster.open();
  const terms = new Set<string>();
  for (const store of cluster.stores) {
    store.live.watch((peer) => {
      if (peer.isLeader) terms.add(`${store.id}@${peer.term}`);
    });
  }
  await cluster.mustPut("a", "1");
  const leader = await cluster.mustLead();
  assert.ok(terms.has(`${leader.id}@${leader.peer(2)?.term}`));
  cluster.shutdown();
});

test.run();
