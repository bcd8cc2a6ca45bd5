/**
 * Snapshots between stores with all of raftstore: who lags behind a compacted log, or is new, gets
 * the region's data, whatever happens meanwhile.
 * @timeout 120
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { utf8 } from "../../../src/base/index.js";
import { snapshotRaftStateKey } from "../../../src/codec/index.js";
import { PEER_STATE } from "../../../src/raftstore/local_state.js";
import { headerOf, peerOn, REGION_ID, SnapshotCluster } from "../../support/snapshot_cluster.js";

const LEARNER = 1;

/** Held streams begin, and stay where they are. */
async function underWay(cluster: SnapshotCluster): Promise<void> {
  const isSending = (): boolean => cluster.node(1).up.snapshots.stats().sendingCount === 1;
  await cluster.until("the stream is under way", isSending);
  await cluster.pass(30);
}

/** Three voters, the third without what was written since, and no log that has it. */
async function lagging(count = 600): Promise<SnapshotCluster> {
  const cluster = new SnapshotCluster(4, 3);
  await cluster.boot();
  await cluster.fill("a", 100, "first");
  await cluster.caughtUp(cluster.node(3));
  cluster.isLost = ({ toPeer, fromPeer }) => toPeer.storeId === 3 || fromPeer.storeId === 3;
  await cluster.fill("b", count, "x".repeat(500));
  await cluster.fill("a", 100, "second");
  await cluster.compact();
  assert.is(cluster.node(3).get("a00000"), "first 0");
  return cluster;
}

function heal(cluster: SnapshotCluster): void {
  cluster.isLost = () => false;
}

function goodStreams(cluster: SnapshotCluster): number {
  return cluster.streams.filter((line) => line.endsWith(" good")).length;
}

/** Nothing is left over on any store: no handle, no file, no state of applying. */
async function mustBeClean(cluster: SnapshotCluster): Promise<void> {
  await cluster.until(
    "nothing is left over",
    () =>
      cluster.nodes.every(({ engine, snapDisk, store }) => {
        const { sendingCount, receivingCount, applyingCount } = store?.snapshots.stats() ?? {
          sendingCount: 0,
          receivingCount: 0,
          applyingCount: 0,
        };
        const busy = sendingCount + receivingCount + applyingCount;
        return busy === 0 && engine.stats().snapshotsOpen === 0 && snapDisk.files.size === 0;
      }),
    120_000,
  );
  for (const node of cluster.nodes) assert.equal(node.fatal, [], `store ${node.id}`);
}

test("a follower behind a compacted log catches up by a snapshot", async () => {
  const cluster = await lagging();
  heal(cluster);
  await cluster.caughtUp(cluster.node(3));
  assert.is(goodStreams(cluster), 1, cluster.describe());
  const node = cluster.node(3);
  assert.is(node.get("a00000"), "second 0");
  assert.is(node.stateOnDisk(), PEER_STATE.Normal);
  assert.is(node.engine.get("raft", snapshotRaftStateKey(BigInt(REGION_ID))), undefined);
  await cluster.put({ after: "it follows" });
  await cluster.caughtUp(node);
  await mustBeClean(cluster);
  cluster.crash(node);
  cluster.start(node);
  await cluster.caughtUp(node);
});

test("a learner gets its data by a snapshot, then votes", async () => {
  const cluster = new SnapshotCluster(4, 3);
  await cluster.boot();
  await cluster.fill("a", 300, "v".repeat(200));
  const node = cluster.node(4);
  const learner = { ...peerOn(4), role: 1 as const };
  const change = { type: 2 as const, peer: learner };
  assert.is(await cluster.admin({ kind: "changePeer", changes: [change] }), undefined);
  await cluster.caughtUp(node);
  assert.is(node.peer()?.self.role, LEARNER);
  assert.ok(goodStreams(cluster) >= 1);
  const promote = { type: 0 as const, peer: peerOn(4) };
  assert.is(await cluster.admin({ kind: "changePeer", changes: [promote] }), undefined);
  await cluster.put({ after: "promoted" });
  await cluster.caughtUp(node);
  assert.is(node.peer()?.self.role, 0);
  await cluster.lead(4);
  await mustBeClean(cluster);
});

test("a stream that is cut anywhere is sent again", async () => {
  for (let cutAt = 0; cutAt < 4; cutAt++) {
    const cluster = await lagging();
    let cuts = 0;
    cluster.onChunk = ({ chunk }) => (chunk === cutAt && cuts++ < 2 ? "cut" : "go");
    heal(cluster);
    await cluster.caughtUp(cluster.node(3));
    assert.is(cuts >= 2, true, `cut at ${cutAt}`);
    assert.ok(cluster.streams.length >= 3, cluster.describe());
    assert.is(goodStreams(cluster), 1);
    await mustBeClean(cluster);
  }
});

test("a receiver that is busy is asked again", async () => {
  const cluster = await lagging();
  const sinks = [50, 51].map((index) => ({ index }));
  const node = cluster.node(3);
  const { receive } = node.up.snapshots;
  let refusals = 0;
  node.up.snapshots.receive = (message) =>
    refusals++ < sinks.length ? "too many" : receive.call(node.up.snapshots, message);
  heal(cluster);
  await cluster.caughtUp(node);
  assert.is(refusals, 3);
  await mustBeClean(cluster);
});

test("a receiver that crashes after any event ends with the data", async () => {
  const reference = await lagging(300);
  heal(reference);
  const from = reference.loop.fired;
  await reference.caughtUp(reference.node(3));
  const events = reference.loop.fired - from;
  assert.ok(events > 30, `${events} events`);
  const states = new Set<number | undefined>();
  for (let at = 1; at <= events; at += 3) {
    const cluster = await lagging(300);
    heal(cluster);
    const start = cluster.loop.fired;
    await cluster.until("the crash", () => cluster.loop.fired - start >= at);
    const node = cluster.node(3);
    cluster.crash(node, at % 4, at % 2 === 0);
    states.add(node.stateOnDisk());
    await cluster.pass((at % 5) * 100);
    cluster.start(node);
    await cluster.caughtUp(node);
    await cluster.put({ after: `crash at ${at}` });
    await cluster.caughtUp(node);
    await mustBeClean(cluster);
  }
  assert.ok(states.has(PEER_STATE.Applying), "some crashes hit the application");
  assert.ok(states.has(PEER_STATE.Normal), "some before or after it");
});

test("a sender that crashes in the middle is replaced by the next leader", async () => {
  const cluster = await lagging();
  cluster.onChunk = ({ from, chunk }) => (from === 1 && chunk === 2 ? "hold" : "go");
  heal(cluster);
  await underWay(cluster);
  cluster.crash(cluster.node(1));
  await cluster.until("another leader", () => cluster.leader() !== undefined);
  await cluster.caughtUp(cluster.node(3));
  cluster.start(cluster.node(1));
  await cluster.put({ after: "the crash" });
  await cluster.caughtUp(cluster.node(1));
  await mustBeClean(cluster);
});

test("the region splits while its snapshot travels", async () => {
  const cluster = await lagging();
  let held = true;
  cluster.onChunk = ({ chunk }) => (held && chunk === 1 ? "hold" : "go");
  heal(cluster);
  await underWay(cluster);
  const newPeerIds = [201n, 202n, 203n];
  const part = { splitKey: utf8("b00100"), newRegionId: 20n, newPeerIds };
  const error = await cluster.admin({ kind: "split", parts: [part], rightDerive: false });
  assert.is(error, undefined);
  await cluster.put({ a: "left, after the split" });
  await cluster.until("the right region has a leader", () => cluster.leader(20) !== undefined);
  await cluster.put({ b00500: "right, after the split" }, 20);
  held = false;
  await cluster.caughtUp(cluster.node(3));
  await cluster.caughtUp(cluster.node(3), 20);
  assert.is(cluster.node(3).get("b00500"), "right, after the split");
  assert.is(cluster.node(3).get("a"), "left, after the split");
  await mustBeClean(cluster);
});

test("a store that missed the split gets both halves", async () => {
  const cluster = await lagging();
  const newPeerIds = [201n, 202n, 203n];
  const part = { splitKey: utf8("b"), newRegionId: 20n, newPeerIds };
  const error = await cluster.admin({ kind: "split", parts: [part], rightDerive: true });
  assert.is(error, undefined);
  await cluster.until("the left region has a leader", () => cluster.leader(20) !== undefined);
  await cluster.put({ a00000: "third" }, 20);
  await cluster.compact();
  heal(cluster);
  await cluster.caughtUp(cluster.node(3));
  await cluster.caughtUp(cluster.node(3), 20);
  assert.is(cluster.node(3).get("a00000"), "third");
  await mustBeClean(cluster);
});

test("a crash does not leave data behind that the smaller region had before", async () => {
  const cluster = await lagging();
  const part = { splitKey: utf8("b"), newRegionId: 20n, newPeerIds: [201n, 202n, 203n] };
  const error = await cluster.admin({ kind: "split", parts: [part], rightDerive: true });
  assert.is(error, undefined);
  await cluster.put({ b00000: "after the split" });
  await cluster.compact();
  cluster.isLost = ({ regionId, toPeer }) => regionId === 20 && toPeer.storeId === 3;
  const node = cluster.node(3);
  await cluster.until("it is being applied", () => node.stateOnDisk() === PEER_STATE.Applying);
  assert.is(node.get("a00000"), "first 0");
  cluster.crash(node);
  cluster.start(node);
  await cluster.caughtUp(node);
  await cluster.until("the rest goes", () => node.get("a00000") === undefined);
  cluster.isLost = () => false;
  await cluster.caughtUp(node, 20);
  assert.is(node.get("a00000"), "second 0");
  await mustBeClean(cluster);
});

test("members change while a snapshot travels", async () => {
  const cluster = await lagging();
  let held = true;
  cluster.onChunk = ({ chunk, to }) => (held && to === 3 && chunk === 1 ? "hold" : "go");
  heal(cluster);
  await underWay(cluster);
  const change = { type: 2 as const, peer: { ...peerOn(4), role: 1 as const } };
  assert.is(await cluster.admin({ kind: "changePeer", changes: [change] }), undefined);
  await cluster.caughtUp(cluster.node(4));
  held = false;
  await cluster.caughtUp(cluster.node(3));
  assert.is(cluster.node(3).peer()?.region.peers.length, 4);
  await mustBeClean(cluster);
});

test("the receiver is removed while its snapshot travels, and comes back", async () => {
  const cluster = await lagging();
  let held = true;
  cluster.onChunk = ({ chunk, to }) => (held && to === 3 && chunk === 1 ? "hold" : "go");
  heal(cluster);
  await underWay(cluster);
  const removal = { type: 1 as const, peer: peerOn(3) };
  assert.is(await cluster.admin({ kind: "changePeer", changes: [removal] }), undefined);
  held = false;
  await cluster.pass(2_000);
  const back = { id: 33n, storeId: 3n, role: 1 as const };
  const added = await cluster.admin({
    kind: "changePeer",
    changes: [{ type: 2 as const, peer: back }],
  });
  assert.is(added, undefined);
  await cluster.until("the new peer is there", () => cluster.node(3).peer()?.peerId === 33n);
  await cluster.caughtUp(cluster.node(3));
  await mustBeClean(cluster);
});

test("two snapshots in a short time", async () => {
  const cluster = await lagging();
  heal(cluster);
  await cluster.until("the first is applied", () => {
    return (
      (cluster.node(3).peer()?.applied ?? 0) > 20 && cluster.node(3).peer()?.dataReady === true
    );
  });
  cluster.isLost = ({ toPeer, fromPeer }) => toPeer.storeId === 3 || fromPeer.storeId === 3;
  await cluster.fill("c", 200, "third");
  await cluster.compact();
  heal(cluster);
  await cluster.caughtUp(cluster.node(3));
  assert.is(goodStreams(cluster), 2, cluster.describe());
  await mustBeClean(cluster);
});

test("the log moves on while a snapshot is applied", async () => {
  const cluster = await lagging(2000);
  heal(cluster);
  await cluster.until("it is applied", () => {
    return cluster.node(3).up.snapshots.stats().applyingCount === 1;
  });
  for (let i = 0; i < 20; i++) await cluster.put({ [`d${i}`]: "meanwhile" });
  await cluster.compact();
  await cluster.caughtUp(cluster.node(3));
  assert.is(cluster.node(3).get("d19"), "meanwhile");
  await mustBeClean(cluster);
});

test("a follower that waits for a read index answers from the snapshot's data, not from before", async () => {
  const cluster = await lagging(2000);
  const node = cluster.node(3);
  const seen: (string | undefined)[] = [];
  const read = (): void => {
    const peer = node.peer();
    if (peer === undefined) return;
    const done = ({ ok }: { readonly ok: boolean }): void => {
      if (ok) seen.push(node.get("a00000"));
    };
    const command = { header: headerOf(peer), replicaRead: true, done };
    node.up.send(REGION_ID, { kind: "read", command });
  };
  heal(cluster);
  // A read that comes at every moment: one of them waits while the snapshot arrives.
  for (let ms = 0; ms < 3000 && !seen.includes("second 0"); ms++) {
    read();
    await cluster.pass(1);
  }
  assert.ok(seen.length > 0, cluster.describe());
  assert.equal([...new Set(seen)], ["second 0"]);
  await cluster.caughtUp(node);
  await mustBeClean(cluster);
});

test.run();
