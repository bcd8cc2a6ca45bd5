/** Peers come and go: conf changes, snapshots, removal, tombstones, splits. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { utf8 } from "../../../src/base/index.js";
import { applyStateKey, regionStateKey } from "../../../src/codec/index.js";
import { ConfChangeType, MessageType, newMessage } from "../../../src/raft/index.js";
import type { AdminCommand, Peer, PeerInfo, RaftMessage } from "../../../src/raftstore/index.js";
import {
  encodeRaftApplyState,
  encodeRegionLocalState,
  initialApplyState,
  PEER_STATE,
  readRaftApplyState,
  readRaftLocalState,
  readRegionLocalState,
} from "../../../src/raftstore/local_state.js";
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

test("a learner that was removed while it was away asks PD, though it still knows a leader", async () => {
  const options = { peerStaleStateCheckIntervalMs: 2_000, maxLeaderMissingDurationMs: 20_000 };
  const cluster = await RaftCluster.open({ voters: 1, options });
  await fill(cluster, 5);
  await cluster.mustAdmin(2, () => add(peerOn(2, 12n, LEARNER)));
  const away = cluster.store(2);
  await cluster.until("it has data", () => away.peer(2)?.dataReady === true);
  cluster.partition([1]);
  await cluster.mustAdmin(2, () => remove(peerOn(2, 12n, LEARNER)));
  await cluster.tick(2);
  cluster.heal();
  assert.is(away.peer(2)?.rawNode.leader, 11);
  const { region } = cluster.store(1).peer(2) as Peer;
  const none = { bytesWritten: 0, keysWritten: 0, bytesRead: 0, keysRead: 0 };
  const size = { approximateSize: 1, approximateKeys: 1, interval: { start: 0, end: 1 } };
  await cluster.pd.regionHeartbeat({ region, leaderPeerId: 11n, term: 6n, ...none, ...size });
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

/** A message of peer 101 on store 1 to peer 103 on store 3, for region 100. */
function toNewPeer(change: Partial<RaftMessage>): RaftMessage {
  return {
    regionId: 100,
    fromPeer: { id: 101, storeId: 1, role: 0 },
    toPeer: { id: 103, storeId: 3, role: 0 },
    epoch: { confVer: 1, version: 2 },
    message: undefined,
    isTombstone: false,
    startKey: utf8("a"),
    endKey: utf8("b"),
    extra: "none",
    checkRegion: undefined,
    ...change,
  };
}

function vote(): RaftMessage {
  const message = newMessage(MessageType.RequestVote, 103);
  Object.assign(message, { from: 101, term: 6, index: 5, logTerm: 5 });
  return toNewPeer({ message });
}

const GO = toNewPeer({ isTombstone: true, epoch: { confVer: 9, version: 9 } });

/** Store 3 of a cluster, with a peer of region 100 that a vote made. */
async function withNewPeer(): Promise<{ cluster: RaftCluster; store: TestStore }> {
  const cluster = await RaftCluster.open({ voters: 2 });
  const store = cluster.store(3);
  store.hooks.events.onRaftMessage(vote());
  await cluster.settle();
  assert.is(store.peer(100)?.peerId, 103n);
  assert.is(store.peer(100)?.dataReady, false);
  return { cluster, store };
}

test("a peer that a message made goes when it is told, and leaves a tombstone", async () => {
  const { cluster, store } = await withNewPeer();
  store.hooks.events.onRaftMessage(GO);
  await cluster.settle();
  assert.is(store.peer(100), undefined);
  assert.is(readRegionLocalState(store.engine, 100n)?.state, PEER_STATE.Tombstone);
  store.hooks.events.onRaftMessage(vote());
  await cluster.settle();
  assert.is(store.peer(100), undefined);
  cluster.shutdown();
});

test("a peer whose region a split has claimed does not go", async () => {
  const { cluster, store } = await withNewPeer();
  assert.is(store.live.meta.creates.claimForSplit(100, 103), "replaces");
  store.hooks.events.onRaftMessage(GO);
  await cluster.settle();
  assert.is(store.peer(100)?.peerId, 103n);
  assert.is(readRegionLocalState(store.engine, 100n), undefined);
  cluster.shutdown();
});

test("a split that is applied while a tombstone is written keeps its states", async () => {
  const { cluster, store } = await withNewPeer();
  store.holdWrites = true;
  store.hooks.events.onRaftMessage(GO);
  await cluster.settle();
  assert.is(store.live.meta.creates.claimForSplit(100, 103), "replaces");
  const batch = store.engine.newWriteBatch();
  batch.put("raft", applyStateKey(100n), encodeRaftApplyState(initialApplyState()));
  await store.engine.write(batch, { sync: true });
  store.holdWrites = false;
  for (const done of store.held.splice(0)) done();
  await cluster.settle();
  assert.equal(readRaftApplyState(store.engine, 100n), initialApplyState());
  cluster.shutdown();
});

test("what a vote promised survives that the peer's region is made by a split", async () => {
  const { cluster, store } = await withNewPeer();
  assert.is(readRaftLocalState(store.engine, 100n)?.vote, 101);
  await cluster.restart(3);
  // A split's peer: region and apply state are there, the raft state is the voter's.
  const peers = [101n, 102n, 103n].map((id, i) => ({
    id,
    storeId: BigInt(i + 1),
    role: 0 as const,
  }));
  const region = {
    id: 100n,
    startKey: utf8("a"),
    endKey: utf8("b"),
    confVer: 1n,
    version: 2n,
    peers,
  };
  const batch = store.engine.newWriteBatch();
  const state = encodeRegionLocalState({ state: PEER_STATE.Normal, region });
  batch.put("raft", regionStateKey(100n), state);
  batch.put("raft", applyStateKey(100n), encodeRaftApplyState(initialApplyState()));
  await store.engine.write(batch, { sync: true });
  await cluster.restart(3);
  const { vote: voted, term, lastIndex } = store.peer(100)?.storage.raftState ?? {};
  assert.equal([voted, term, lastIndex], [101, 6, 5]);
  cluster.shutdown();
});

test.run();
