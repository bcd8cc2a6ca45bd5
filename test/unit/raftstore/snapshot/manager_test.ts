/** The registry of snapshots: from store to store, bounds, expiry, refusals. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { EMPTY_BYTES, utf8 } from "../../../../src/base/index.js";
import { RECEIVED_KEPT_MS } from "../../../../src/raftstore/snapshot/manager.js";
import { SOURCE_IDLE_MAX_MS } from "../../../../src/raftstore/snapshot/send.js";
import {
  chunksOf,
  dataOf,
  deliver,
  fillRandom,
  generate,
  regionOf,
  SNAPSHOT_OPTIONS,
  SnapshotStore,
  snapshotMessage,
} from "../../../support/snapshot_store.js";

const REGION = regionOf(7, "b", "m");
const KEY = { regionId: 7, term: 6, index: 42 };

/** A store with data, a generated snapshot, and its announcement. */
async function sender(): Promise<{
  readonly store: SnapshotStore;
  readonly data: Uint8Array;
}> {
  const store = new SnapshotStore();
  await fillRandom(store, "c", 2000, 1n, 700_000);
  await fillRandom(store, "a", 20, 2n);
  const data = generate(store, KEY, REGION);
  if (data === undefined) throw new Error("refused");
  return { store, data };
}

function handlesOf(store: SnapshotStore): number {
  const { snapshotsOpen, iteratorsOpen } = store.engine.stats();
  return snapshotsOpen + iteratorsOpen;
}

/** Applies a received snapshot; resolves when it is in place. */
async function apply(store: SnapshotStore, replaced: { startKey: string; endKey: string }[] = []) {
  let done = false;
  const spans = replaced.map((span) => {
    return { startKey: utf8(span.startKey), endKey: utf8(span.endKey) };
  });
  store.snapshots.apply({ key: KEY, region: REGION, replaced: spans }, (result) => {
    assert.equal(result, { key: KEY, region: REGION });
    done = true;
  });
  await store.run(() => done);
  return done;
}

test("a region travels from one store to another", async () => {
  const { store, data } = await sender();
  const receiver = new SnapshotStore();
  await fillRandom(receiver, "d", 500, 3n);
  await fillRandom(receiver, "a", 30, 4n);
  await fillRandom(receiver, "m", 30, 5n);
  const others = dataOf(receiver.engine).filter((line) => !/ [b-l]/.test(line));
  assert.is(others.length > 150, true);
  const message = snapshotMessage(KEY, data, REGION);
  assert.is(await deliver(receiver, message, chunksOf(store, KEY)), undefined);
  assert.ok(receiver.snapshots.has(KEY));
  assert.ok(await apply(receiver));
  const expected = dataOf(store.engine, REGION);
  assert.ok(expected.length > 5000);
  assert.equal(dataOf(receiver.engine, REGION), expected);
  assert.equal(
    dataOf(receiver.engine).filter((line) => !/ [b-l]/.test(line)),
    others,
    "nothing outside of the region changed",
  );
  receiver.snapshots.release(KEY);
  assert.not(receiver.snapshots.has(KEY));
  assert.is(receiver.snapDisk.files.size, 0);
  assert.is(handlesOf(store), 0);
  assert.is(handlesOf(receiver), 0);
});

test("what the region had before goes as well", async () => {
  const { store, data } = await sender();
  const receiver = new SnapshotStore();
  await fillRandom(receiver, "b", 100, 3n);
  await fillRandom(receiver, "p", 100, 4n);
  await fillRandom(receiver, "z", 100, 5n);
  const kept = dataOf(receiver.engine).filter((line) => / z/.test(line));
  const message = snapshotMessage(KEY, data, REGION);
  assert.is(await deliver(receiver, message, chunksOf(store, KEY)), undefined);
  assert.ok(await apply(receiver, [{ startKey: "b", endKey: "z" }]));
  const expected = [...dataOf(store.engine, REGION), ...kept].sort();
  assert.equal(dataOf(receiver.engine).sort(), expected);
});

test("later writes are not part of a snapshot", async () => {
  const { store } = await sender();
  const before = dataOf(store.engine, REGION);
  await store.put("default", { d: "later" });
  const receiver = new SnapshotStore();
  const data = snapshotMessage(KEY, generateData(), REGION);
  assert.is(await deliver(receiver, data, chunksOf(store, KEY)), undefined);
  assert.ok(await apply(receiver));
  assert.equal(dataOf(receiver.engine), before);
});

function generateData(): Uint8Array {
  const data = generate(new SnapshotStore(), KEY, REGION);
  if (data === undefined) throw new Error("refused");
  return data;
}

test("the announcement tells region and size", async () => {
  const { store, data } = await sender();
  const described = store.snapshots.describe(data);
  assert.is(described?.region.id, 7n);
  assert.equal(described?.region.peers, REGION.peers);
  assert.ok((described?.sizeBytes ?? 0) > 700_000, "one value has as many");
  assert.is(store.snapshots.describe(Uint8Array.of(1, 2, 3)), undefined);
});

test("generated snapshots are bounded; closed handles make room", async () => {
  const { store } = await sender();
  const key = (index: number) => ({ ...KEY, index });
  for (let peer = 3; peer < 6; peer++) assert.ok(generate(store, key(peer), REGION, peer));
  assert.is(handlesOf(store), 4);
  assert.is(generate(store, key(9), REGION, 9), undefined, "the fifth is refused");
  assert.is(handlesOf(store), 4, "and its engine snapshot closed");
  store.snapshots.open(KEY, 2)?.close();
  assert.is(handlesOf(store), 3);
  assert.ok(generate(store, key(9), REGION, 9));
  chunksOf(store, key(3), 3);
  assert.is(handlesOf(store), 3, "a stream that was read to its end holds nothing");
  store.snapshots.close();
  assert.is(handlesOf(store), 0);
});

test("a newer snapshot for a peer replaces the one that nobody opened", async () => {
  const { store } = await sender();
  assert.ok(generate(store, { ...KEY, index: 50 }, REGION));
  assert.is(handlesOf(store), 1);
  assert.is(store.snapshots.open(KEY, 2), undefined);
  const stream = store.snapshots.open({ ...KEY, index: 50 }, 2);
  stream?.next();
  stream?.next();
  assert.ok(generate(store, { ...KEY, index: 60 }, REGION));
  assert.is(handlesOf(store), 3, "the stream goes on, with its iterator");
  assert.ok(stream?.next() !== undefined);
  stream?.close();
  assert.is(handlesOf(store), 1);
});

test("a snapshot is opened once, by its key and its peer", async () => {
  const { store } = await sender();
  assert.is(store.snapshots.open(KEY, 3), undefined);
  assert.is(store.snapshots.open({ ...KEY, term: 7 }, 2), undefined);
  const source = store.snapshots.open(KEY, 2);
  assert.ok(source);
  assert.is(store.snapshots.open(KEY, 2), undefined);
  assert.equal(store.snapshots.stats(), { sendingCount: 1, receivingCount: 0, applyingCount: 0 });
  source?.close();
  source?.close();
  assert.is(source?.next(), undefined);
  assert.is(store.snapshots.stats().sendingCount, 0);
});

test("what nobody reads expires, and a cut stream is found by the receiver", async () => {
  const { store, data } = await sender();
  const source = store.snapshots.open(KEY, 2);
  const first = source?.next() as Uint8Array;
  assert.ok(generate(store, { ...KEY, index: 50 }, REGION, 3));
  assert.is(handlesOf(store), 2);
  await store.run(() => store.loop.nowUs > (SOURCE_IDLE_MAX_MS + 20_000) * 1000);
  assert.is(handlesOf(store), 0);
  assert.is(source?.next(), undefined);
  assert.is(store.snapshots.open({ ...KEY, index: 50 }, 3), undefined);
  assert.is(store.snapshots.metrics.generate.expired, 2);
  const receiver = new SnapshotStore();
  const problem = await deliver(receiver, snapshotMessage(KEY, data, REGION), [first]);
  assert.is(problem, "the stream ends after 1 chunks");
  assert.not(receiver.snapshots.has(KEY));
});

test("a stream that is read slowly does not expire", async () => {
  const { store } = await sender();
  const source = store.snapshots.open(KEY, 2);
  for (let i = 1; i <= 8; i++) {
    const untilUs = i * (SOURCE_IDLE_MAX_MS - 15_000) * 1000;
    await store.loop.run(untilUs, () => {});
    assert.ok(source?.next() !== undefined, `chunk ${i}`);
  }
  source?.close();
});

test("received snapshots are bounded and refused in words", async () => {
  const receiver = new SnapshotStore();
  const message = (index: number, data = generateData()) =>
    snapshotMessage({ ...KEY, index }, data, REGION);
  const first = receiver.snapshots.receive(message(1));
  assert.ok(typeof first !== "string");
  assert.is(receiver.snapshots.receive(message(1)), "this snapshot is being received already");
  const second = receiver.snapshots.receive(message(2));
  assert.is(receiver.snapshots.stats().receivingCount, 2);
  assert.is(
    receiver.snapshots.receive(message(3)),
    "the number of received snapshots 2 is at its limit",
  );
  if (typeof second !== "string") second.abort();
  const third = receiver.snapshots.receive(message(3));
  assert.ok(typeof third !== "string", "giving one up makes room");
  if (typeof first !== "string") first.abort();
  const foreign = receiver.snapshots.receive(message(4, Uint8Array.of(0x20, 2)));
  assert.is(foreign, "snapshot data of version 2, this store reads 1381323777");
  const other = { ...message(5), regionId: 8 };
  assert.is(receiver.snapshots.receive(other), "snapshot data of region 7");
  const none = { ...message(6), message: undefined };
  assert.match(String(receiver.snapshots.receive(none)), /begins with a snapshot message/);
  assert.is(receiver.snapshots.metrics.receive.refused, 5);
});

test("the bytes of received snapshots are bounded", async () => {
  const { store, data } = await sender();
  const receiver = new SnapshotStore({ ...SNAPSHOT_OPTIONS, snapMaxTotalSizeBytes: 1000 });
  const message = snapshotMessage(KEY, data, REGION);
  assert.is(await deliver(receiver, message, chunksOf(store, KEY)), undefined);
  const next = snapshotMessage({ ...KEY, index: 50 }, data, REGION);
  assert.match(String(receiver.snapshots.receive(next)), /at the limit/);
  receiver.snapshots.release(KEY);
  assert.ok(typeof receiver.snapshots.receive(next) !== "string");
});

test("a damaged chunk ends the stream and leaves nothing", async () => {
  const { store, data } = await sender();
  const chunks = chunksOf(store, KEY);
  const bad = chunks.map((chunk) => chunk.slice());
  const last = bad.at(-2) as Uint8Array;
  last[100] = (last[100] as number) ^ 1;
  const receiver = new SnapshotStore();
  const message = snapshotMessage(KEY, data, REGION);
  assert.match((await deliver(receiver, message, bad)) ?? "good", /the checksum is wrong/);
  assert.not(receiver.snapshots.has(KEY));
  await receiver.run();
  assert.is(receiver.snapDisk.files.size, 0);
  assert.is(receiver.snapshots.stats().receivingCount, 0);
  assert.is(await deliver(receiver, message, chunks), undefined, "it may come again");
});

test("a snapshot that is here already is checked and dropped", async () => {
  const { store, data } = await sender();
  const chunks = chunksOf(store, KEY);
  const receiver = new SnapshotStore();
  const message = snapshotMessage(KEY, data, REGION);
  assert.is(await deliver(receiver, message, chunks), undefined);
  const file = [...receiver.snapDisk.files.values()][0];
  assert.is(await deliver(receiver, message, chunks), undefined);
  assert.match((await deliver(receiver, message, chunks.slice(0, 2))) ?? "good", /ends after 2/);
  assert.ok(receiver.snapshots.has(KEY));
  assert.is([...receiver.snapDisk.files.values()][0], file);
});

test("who does not wait is refused at the bound", async () => {
  const { store, data } = await sender();
  const receiver = new SnapshotStore();
  const sink = receiver.snapshots.receive(snapshotMessage(KEY, data, REGION));
  if (typeof sink === "string") throw new Error(sink);
  await store.put("default", { big: new Uint8Array(12_000_000) });
  generate(store, KEY, regionOf(7, "b", "m"));
  let problem: string | undefined;
  for (const chunk of chunksOf(store, KEY)) problem ??= sink.write(chunk);
  assert.is(problem, "the disk does not keep up");
  let said: string | undefined;
  sink.finish((text) => {
    said = text;
  });
  assert.is(said, "the disk does not keep up");
});

test("a snapshot that nobody applies goes after hours", async () => {
  const { store, data } = await sender();
  const receiver = new SnapshotStore();
  await deliver(receiver, snapshotMessage(KEY, data, REGION), chunksOf(store, KEY));
  await receiver.loop.run((RECEIVED_KEPT_MS - 60_000) * 1000, () => {});
  assert.ok(receiver.snapshots.has(KEY));
  await receiver.loop.run((RECEIVED_KEPT_MS + 60_000) * 1000, () => {});
  assert.not(receiver.snapshots.has(KEY));
  assert.is(receiver.snapDisk.files.size, 0);
});

test("at start only the files of applying regions stay", async () => {
  const { store, data } = await sender();
  const receiver = new SnapshotStore();
  const chunks = chunksOf(store, KEY);
  await deliver(receiver, snapshotMessage(KEY, data, REGION), chunks);
  receiver.snapDisk.files.set("rev_8_6_42.snap", EMPTY_BYTES);
  receiver.crash(0, false);
  assert.ok(receiver.snapshots.has(KEY));
  assert.ok(receiver.snapshots.has({ ...KEY, regionId: 8 }));
  receiver.snapshots.retain([KEY]);
  assert.ok(receiver.snapshots.has(KEY));
  assert.not(receiver.snapshots.has({ ...KEY, regionId: 8 }));
  assert.equal([...receiver.snapDisk.files.keys()], ["rev_7_6_42.snap"]);
});

test("a file that is damaged or gone at apply time is the end of the store", async () => {
  const { store, data } = await sender();
  const chunks = chunksOf(store, KEY);
  const name = "rev_7_6_42.snap";
  const harms: readonly ((bytes: Uint8Array) => Uint8Array | undefined)[] = [
    () => undefined,
    () => EMPTY_BYTES,
    (bytes) => bytes.subarray(0, bytes.length - 1),
    (bytes) => bytes.subarray(0, 400_000),
    (bytes) => Buffer.concat([bytes, Uint8Array.of(1)]),
    (bytes) => Buffer.concat([bytes, bytes]),
    ...[3, 9, 14, 5_000, 700_000, 1_000_000].map((at) => (bytes: Uint8Array) => {
      const copy = bytes.slice();
      copy[at] = (copy[at] as number) ^ 0x10;
      return copy;
    }),
  ];
  for (const [i, harm] of harms.entries()) {
    const receiver = new SnapshotStore();
    await deliver(receiver, snapshotMessage(KEY, data, REGION), chunks);
    const harmed = harm(receiver.snapDisk.files.get(name) as Uint8Array);
    if (harmed === undefined) receiver.snapDisk.files.delete(name);
    else receiver.snapDisk.files.set(name, harmed);
    assert.not(await apply(receiver), `harm ${i}: it is not applied`);
    const [error] = receiver.fatal;
    assert.is(error?.code, "RUTILE:Snapshot:Damaged", `harm ${i}`);
    assert.match(error?.message ?? "", /memory\/rev_7_6_42\.snap of region 7 is damaged: /);
  }
});

test("several applications run in turns, and a deletion before one stays before it", async () => {
  const { store, data } = await sender();
  const receiver = new SnapshotStore();
  await fillRandom(receiver, "c", 5000, 8n);
  await deliver(receiver, snapshotMessage(KEY, data, REGION), chunksOf(store, KEY));
  const order: string[] = [];
  receiver.snapshots.destroyRange(utf8("a"), utf8("z"), () => order.push("destroyed"));
  receiver.snapshots.apply({ key: KEY, region: REGION, replaced: [] }, () => order.push("applied"));
  assert.is(receiver.snapshots.stats().applyingCount, 1);
  receiver.snapshots.destroyRange(utf8("x"), EMPTY_BYTES, () => order.push("other"));
  await receiver.run(() => order.length === 3);
  assert.equal(order, ["destroyed", "other", "applied"]);
  assert.equal(dataOf(receiver.engine), dataOf(store.engine, REGION));
});

test("other regions write while a snapshot is applied", async () => {
  const store = new SnapshotStore();
  await store.put("default", { c: new Uint8Array(8_000_000), d: new Uint8Array(8_000_000) });
  const data = generate(store, KEY, REGION);
  const receiver = new SnapshotStore();
  const message = snapshotMessage(KEY, data ?? EMPTY_BYTES, REGION);
  assert.is(await deliver(receiver, message, chunksOf(store, KEY)), undefined);
  let done = false;
  receiver.snapshots.apply({ key: KEY, region: REGION, replaced: [] }, () => {
    done = true;
  });
  // A write of another region in every turn: its batch never waits for more than one slice.
  let written = 0;
  let atOnce = 0;
  let turns = 0;
  await receiver.run(() => {
    turns++;
    atOnce = Math.max(atOnce, turns - written);
    const batch = receiver.engine.newWriteBatch();
    batch.put("default", utf8("zother"), utf8(`${turns}`));
    receiver.engine.write(batch, { sync: true }).then(() => {
      written++;
    });
    return done;
  });
  assert.ok(turns > 60, `${turns} turns`);
  assert.ok(atOnce <= 2, `${atOnce} writes waited`);
});

test("data of another region are never deleted", async () => {
  const { store, data } = await sender();
  const receiver = new SnapshotStore();
  await deliver(receiver, snapshotMessage(KEY, data, REGION), chunksOf(store, KEY));
  receiver.owner = 9;
  const task = { key: KEY, region: REGION, replaced: [] };
  assert.throws(() => receiver.snapshots.apply(task, () => {}), /belongs to region 9/);
  const destroy = () => receiver.snapshots.destroyRange(utf8("a"), utf8("b"), () => {});
  assert.throws(destroy, /belongs to region 9/);
});

test.run();
