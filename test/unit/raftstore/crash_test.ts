/**
 * Crashes at every engine write: what was acknowledged is there after a restart from any prefix of
 * the batches that the disk may have kept.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Prng, utf8, utf8Decode } from "../../../src/base/index.js";
import { dataKey } from "../../../src/codec/index.js";
import type { Peer } from "../../../src/raftstore/index.js";
import { RaftCluster, type TestStore } from "../../support/raft_cluster.js";

interface Acknowledged {
  readonly key: string;
  readonly value: string;
  /** Batches that a disk must have kept by then. */
  readonly durable: number;
}

/** Restarts the cluster's only store from the first `kept` of the batches. */
async function restartFrom(batches: readonly Uint8Array[], kept: number): Promise<RaftCluster> {
  const cluster = await RaftCluster.open({ stores: 1 });
  const [store] = cluster.stores as [TestStore];
  store.store?.shutdown();
  store.crash(0);
  store.replaceDisk();
  store.open();
  for (const batch of batches.slice(0, kept)) await store.engine.writeBytes(batch, { sync: true });
  store.start();
  await cluster.settle();
  return cluster;
}

test("a store alone: restart from every prefix of its batches", async () => {
  const cluster = await RaftCluster.open({ stores: 1 });
  const [store] = cluster.stores as [TestStore];
  const batches = store.journal;
  let durable = batches.length;
  cluster.onWritten = (_store, count, sync) => {
    if (sync) durable = Math.max(durable, count);
  };
  const acknowledged: Acknowledged[] = [];
  const put = async (key: string, value: string): Promise<void> => {
    await cluster.mustPut(key, value);
    acknowledged.push({ key, value, durable });
  };
  for (let i = 0; i < 6; i++) await put(`k${i}`, "1");
  await cluster.mustAdmin(2, () => ({
    kind: "split",
    rightDerive: true,
    parts: [{ splitKey: utf8("k3"), newRegionId: 100n, newPeerIds: [101n] }],
  }));
  for (let i = 0; i < 6; i++) await put(`k${i}`, "2");
  await cluster.mustAdmin(2, (peer: Peer) => {
    const index = peer.applied - 2;
    return { kind: "compactLog", index, term: peer.rawNode.termAt(index) as number };
  });
  for (let i = 0; i < 6; i++) await put(`k${i}`, "3");
  await cluster.tick(3);
  cluster.shutdown();
  assert.ok(batches.length > 40, `${batches.length} batches`);
  for (let kept = 1; kept <= batches.length; kept++) {
    const again = await restartFrom(batches, kept);
    const expected = new Map<string, string>();
    for (const one of acknowledged) if (one.durable <= kept) expected.set(one.key, one.value);
    for (const [key, value] of expected) {
      const found = await again.mustGet(key);
      assert.ok(
        Number(found) >= Number(value),
        `${kept} batches: ${key} is ${found}, not ${value}`,
      );
    }
    await again.mustPut("k0", "9");
    await again.mustPut("k5", "9");
    again.shutdown();
  }
});

test("three stores: crashes that keep any prefix lose nothing acknowledged", async () => {
  const prng = new Prng(BigInt(process.env.SEED ?? 7));
  const cluster = await RaftCluster.open({ seed: prng.below(1000) });
  const expected = new Map<string, string>();
  for (let round = 0; round < 25; round++) {
    for (let i = 0; i < 4; i++) {
      const key = `k${prng.below(10)}`;
      const value = `${round}.${i}`;
      await cluster.mustPut(key, value);
      expected.set(key, value);
    }
    const victims = prng.ratio(1, 4) ? cluster.stores : [prng.pick(cluster.stores)];
    for (const store of victims) store.crash(prng.below(store.disk.unsyncedCount + 1));
    for (const store of victims) {
      store.open();
      store.start();
    }
    for (const [key, value] of expected) {
      assert.is(await cluster.mustGet(key), value, `round ${round}: ${key}`);
    }
  }
  await cluster.until("replicas agree", () =>
    cluster.stores.every((store) =>
      [...expected].every(([key, value]) => {
        const found = store.engine.get("default", dataKey(utf8(key)));
        return found !== undefined && utf8Decode(found) === value;
      }),
    ),
  );
  cluster.shutdown();
});

test.run();
