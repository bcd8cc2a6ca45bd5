/** Peers come and go: conf changes, snapshots, removal, tombstones, splits. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { utf8 } from "../../../src/base/index.js";
import { ConfChangeType } from "../../../src/raft/index.js";
import type { AdminCommand, Peer, PeerInfo } from "../../../src/raftstore/index.js";
import { PEER_STATE, readRegionLocalState } from "../../../src/raftstore/local_state.js";
import { outcomes, RaftCluster, type TestStore } from "../../support/raft_cluster.js";

const LEARNER = 1;
const VOTER = 0;

function peerOn(store: number, id: bigint, role: 0 | 1): PeerInfo {
  return { id, storeId: BigInt(store), role };
}

function add(peer: PeerInfo): AdminCommand {
  const type = peer.role === LEARNER ? ConfChangeType.AddLearnerNode : ConfChangeType.AddNode;
  return { kind: "changePeer", changes: [{ type, peer }] };
}

function remove(peer: PeerInfo): AdminCommand {
  return { kind: "changePeer", changes: [{ type: ConfChangeType.RemoveNode, peer }] };
}

async function grow(cluster: RaftCluster, store: number, id: bigint): Promise<void> {
  await cluster.mustAdmin(2, () => add(peerOn(store, id, LEARNER)));
  await cluster.until(
    `store ${store} has data`,
    () => cluster.store(store).peer(2)?.dataReady === true,
  );
  await cluster.mustAdmin(2, () => add(peerOn(store, id, VOTER)));
}

function hasAll(store: TestStore, count: number): boolean {
  for (let i = 0; i < count; i++) if (store.get(`k${i}`) !== `v${i}`) return false;
  return true;
}

async function fill(cluster: RaftCluster, count: number): Promise<void> {
  for (let i = 0; i < count; i++) await cluster.mustPut(`k${i}`, `v${i}`);
}

test("a region on one store grows to three, by snapshots", async () => {
  const cluster = await RaftCluster.open({ voters: 1 });
  await fill(cluster, 20);
  await grow(cluster, 2, 12n);
  await grow(cluster, 3, 13n);
  await cluster.until("all have all", () => cluster.stores.every((one) => hasAll(one, 20)));
  const region = cluster.leaderOf(2)?.peer(2)?.region;
  assert.is(region?.confVer, 5n);
  assert.equal(
    region?.peers.map(({ storeId, role }) => [storeId, role]),
    [
      [1n, 0],
      [2n, 0],
      [3n, 0],
    ],
  );
  cluster.store(1).crash();
  await cluster.mustPut("after", "1");
  cluster.shutdown();
});

test("a removed peer destroys itself, leaves a tombstone and no data", async () => {
  const cluster = await RaftCluster.open();
  await fill(cluster, 10);
  const leader = await cluster.mustLead();
  const gone = cluster.stores.find(({ id }) => id !== leader.id) as TestStore;
  const self = (gone.peer(2) as Peer).self;
  await cluster.mustAdmin(2, () => remove(self));
  await cluster.until("it is gone", () => gone.peer(2) === undefined);
  await cluster.tick(2);
  assert.is(readRegionLocalState(gone.engine, 2n)?.state, PEER_STATE.Tombstone);
  assert.is(gone.get("k0"), undefined);
  await cluster.mustPut("k0", "v0");
  // A peer with a newer id comes back, an old message does not revive the old one.
  await grow(cluster, gone.id, 30n);
  await cluster.until("it has all", () => hasAll(gone, 10));
  assert.is(gone.peer(2)?.peerId, 30n);
  cluster.shutdown();
});

test("a peer that was removed while it was away is told, and goes", async () => {
  const cluster = await RaftCluster.open();
  await fill(cluster, 5);
  const leader = await cluster.mustLead();
  const away = cluster.stores.find(({ id }) => id !== leader.id) as TestStore;
  const self = (away.peer(2) as Peer).self;
  const others = cluster.stores.filter((one) => one !== away).map(({ id }) => id);
  cluster.partition(others);
  await cluster.mustAdmin(2, () => remove(self));
  cluster.heal();
  await cluster.until("it is gone", () => away.peer(2) === undefined, 200);
  assert.is(readRegionLocalState(away.engine, 2n)?.state, PEER_STATE.Tombstone);
  cluster.shutdown();
});

test("a leader that is removed after a transfer goes too", async () => {
  const cluster = await RaftCluster.open();
  await fill(cluster, 5);
  const leader = await cluster.mustLead();
  const self = (leader.peer(2) as Peer).self;
  const refused = cluster.admin(leader, 2, remove(self));
  await cluster.settle();
  assert.is(outcomes(refused), "other");
  const next = cluster.stores.find((one) => one !== leader) as TestStore;
  await cluster.mustTransfer(2, next.id);
  await cluster.mustAdmin(2, () => remove(self));
  await cluster.until("it is gone", () => leader.peer(2) === undefined);
  await cluster.mustPut("after", "1");
  cluster.shutdown();
});

async function split(
  cluster: RaftCluster,
  regionId: number,
  key: string,
  ids: bigint,
): Promise<void> {
  await cluster.mustAdmin(regionId, (peer) => ({
    kind: "split",
    rightDerive: true,
    parts: [
      {
        splitKey: utf8(key),
        newRegionId: ids,
        newPeerIds: peer.region.peers.map((_, i) => ids + 1n + BigInt(i)),
      },
    ],
  }));
}

test("a region splits; both parts serve, on all stores, and after a restart", async () => {
  const cluster = await RaftCluster.open();
  await fill(cluster, 20);
  await split(cluster, 2, "k15", 100n);
  await cluster.until("both parts are everywhere", () =>
    cluster.stores.every((one) => one.peer(2) !== undefined && one.peer(100) !== undefined),
  );
  const [left, right] = [100, 2].map((id) => cluster.store(1).peer(id)?.region);
  assert.equal(left?.endKey, utf8("k15"));
  assert.equal(right?.startKey, utf8("k15"));
  assert.equal([left?.version, right?.version], [2n, 2n]);
  await cluster.mustPut("k1", "left");
  await cluster.mustPut("k9", "right");
  for (const store of cluster.stores) store.crash(0);
  for (const store of cluster.stores) {
    store.open();
    store.start();
  }
  assert.is(await cluster.mustGet("k1"), "left");
  assert.is(await cluster.mustGet("k9"), "right");
  await cluster.mustPut("k1", "again");
  cluster.shutdown();
});

test("the new part leads on the store that led at once, without a tick", async () => {
  const cluster = await RaftCluster.open();
  const leader = await cluster.mustLead();
  cluster.admin(leader, 2, {
    kind: "split",
    rightDerive: true,
    parts: [{ splitKey: utf8("m"), newRegionId: 100n, newPeerIds: [101n, 102n, 103n] }],
  });
  await cluster.settle();
  // Followers apply with the next message of the leader; the vote may wait for that.
  await cluster.tick(2);
  assert.is(cluster.leaderOf(100)?.id, leader.id);
  cluster.shutdown();
});

test("a write behind a split in the log is refused with both regions", async () => {
  const cluster = await RaftCluster.open();
  const leader = await cluster.mustLead();
  const answer = cluster.admin(leader, 2, {
    kind: "split",
    rightDerive: true,
    parts: [{ splitKey: utf8("m"), newRegionId: 100n, newPeerIds: [101n, 102n, 103n] }],
  });
  const write = cluster.put(leader, "a", "1");
  await cluster.tick(2);
  assert.is(outcomes(answer), "ok");
  assert.is(outcomes(write), "epochNotMatch");
  cluster.shutdown();
});

test("a store that was away during a split gets both parts", async () => {
  const cluster = await RaftCluster.open();
  await fill(cluster, 20);
  const leader = await cluster.mustLead();
  const away = cluster.stores.find(({ id }) => id !== leader.id) as TestStore;
  away.crash();
  await split(cluster, 2, "k15", 100n);
  await cluster.mustPut("k1", "left");
  away.open();
  away.start();
  await cluster.until(
    "it has both",
    () => away.peer(100)?.dataReady === true && away.get("k1") === "left",
  );
  cluster.shutdown();
});

test("a follower far behind gets a snapshot instead of the log", async () => {
  const cluster = await RaftCluster.open();
  await fill(cluster, 5);
  const leader = await cluster.mustLead();
  const away = cluster.stores.find(({ id }) => id !== leader.id) as TestStore;
  away.crash();
  await fill(cluster, 40);
  const peer = leader.peer(2) as Peer;
  const index = peer.applied - 1;
  await cluster.mustAdmin(2, (one) => ({
    kind: "compactLog",
    index,
    term: one.rawNode.termAt(index) as number,
  }));
  assert.is(peer.storage.firstIndex(), index + 1);
  away.open();
  away.start();
  await cluster.until("it has all", () => hasAll(away, 40));
  assert.ok((away.peer(2)?.storage.firstIndex() ?? 0) > index, "by a snapshot");
  await cluster.restart(away.id, 0);
  await cluster.until("and after a restart", () => hasAll(away, 40));
  cluster.shutdown();
});

test.run();
