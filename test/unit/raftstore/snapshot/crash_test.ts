/**
 * A crash after every event (engine write, file operation, turn) of receiving, applying and
 * deleting, and then a restart: the end is always the same.
 * @timeout 120
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { utf8 } from "../../../../src/base/index.js";
import { regionStateKey, snapshotRaftStateKey } from "../../../../src/codec/index.js";
import {
  encodeRegionLocalState,
  PEER_STATE,
  readRegionLocalState,
} from "../../../../src/raftstore/local_state.js";
import {
  chunksOf,
  dataOf,
  deliver,
  fillRandom,
  generate,
  regionOf,
  SnapshotStore,
  snapshotMessage,
} from "../../../support/snapshot_store.js";

const REGION = regionOf(7, "b", "m", 3n);
const KEY = { regionId: 7, term: 6, index: 42 };
const REPLACED = [{ startKey: utf8("b"), endKey: utf8("x") }];

/** A stream of the region, its announcement, and what the region's data are. */
async function sent() {
  const store = new SnapshotStore();
  await fillRandom(store, "c", 300, 1n, 600_000);
  const data = generate(store, KEY, REGION);
  if (data === undefined) throw new Error("refused");
  const expected = dataOf(store.engine, REGION);
  return { chunks: chunksOf(store, KEY), message: snapshotMessage(KEY, data, REGION), expected };
}

/** A receiver with old data in and around the region. Not yet received. */
async function receiverWithData(count = 200): Promise<SnapshotStore> {
  const store = new SnapshotStore();
  await fillRandom(store, "d", count, 3n);
  await fillRandom(store, "n", 100, 4n);
  await fillRandom(store, "a", 40, 5n);
  await fillRandom(store, "x", 40, 6n);
  return store;
}

function othersOf(store: SnapshotStore): string[] {
  return dataOf(store.engine).filter((line) => / [ax]/.test(line));
}

/** What a peer writes before it applies a snapshot. */
async function markApplying(store: SnapshotStore): Promise<void> {
  const batch = store.engine.newWriteBatch();
  const state = encodeRegionLocalState({ state: PEER_STATE.Applying, region: REGION });
  batch.put("raft", regionStateKey(7n), state);
  batch.put("raft", snapshotRaftStateKey(7n), Uint8Array.of(1));
  await store.engine.write(batch, { sync: true });
}

/** Orders what the state on disk asks for; returns whether it is over. */
function resume(store: SnapshotStore): () => boolean {
  const state = readRegionLocalState(store.engine, 7n)?.state;
  let done = state !== PEER_STATE.Applying;
  store.snapshots.retain(done ? [] : [KEY]);
  if (!done) {
    store.snapshots.apply({ key: KEY, region: REGION, replaced: REPLACED }, () => {
      done = true;
      store.snapshots.release(KEY);
    });
  }
  return () => done;
}

async function mustEndWell(
  store: SnapshotStore,
  expected: readonly string[],
  others: readonly string[],
  what: string,
): Promise<void> {
  const isOver = resume(store);
  await store.run(isOver);
  assert.ok(isOver(), `${what}: it ends`);
  const found = dataOf(store.engine).filter((line) => / [b-w]/.test(line));
  assert.equal(found, expected, `${what}: the data`);
  assert.equal(othersOf(store), others, `${what}: the data of others`);
  assert.is(readRegionLocalState(store.engine, 7n)?.state, PEER_STATE.Normal, what);
  assert.is(store.engine.get("raft", snapshotRaftStateKey(7n)), undefined, what);
  assert.is(store.snapDisk.files.size, 0, `${what}: no file is left`);
  assert.is(store.engine.stats().snapshotsOpen, 0, `${what}: no handle is left`);
}

test("applying ends the same after a crash at every event", async () => {
  const { chunks, message, expected } = await sent();
  const ready = async (): Promise<SnapshotStore> => {
    const store = await receiverWithData();
    assert.is(await deliver(store, message, chunks), undefined);
    await markApplying(store);
    return store;
  };
  const whole = await ready();
  const others = othersOf(whole);
  assert.is(others.length > 200, true);
  whole.events = 0;
  await mustEndWell(whole, expected, others, "without a crash");
  const events = whole.events;
  assert.ok(events > 12, `${events} events`);
  for (let at = 0; at <= events; at++) {
    for (const [i, kept] of [0, 1, Number.POSITIVE_INFINITY].entries()) {
      const store = await ready();
      store.events = 0;
      const isOver = resume(store);
      await store.run(() => store.events >= at || isOver());
      store.crash(kept, (at + i) % 2 === 0);
      await mustEndWell(store, expected, others, `crash at ${at}, ${kept} kept`);
    }
  }
});

test("two crashes one after the other", async () => {
  const { chunks, message, expected } = await sent();
  for (const [first, second] of [
    [3, 5],
    [8, 2],
    [12, 12],
    [15, 1],
    [20, 18],
  ] as const) {
    const store = await receiverWithData();
    assert.is(await deliver(store, message, chunks), undefined);
    await markApplying(store);
    const others = othersOf(store);
    for (const at of [first, second]) {
      store.events = 0;
      const isOver = resume(store);
      await store.run(() => store.events >= at || isOver());
      store.crash(1, true);
    }
    await mustEndWell(store, expected, others, `crashes at ${first} and ${second}`);
  }
});

test("after a crash at every event of receiving the file is whole or not there", async () => {
  const { chunks, message, expected } = await sent();
  const whole = await receiverWithData();
  whole.events = 0;
  assert.is(await deliver(whole, message, chunks), undefined);
  const events = whole.events;
  let there = 0;
  for (let at = 0; at <= events; at++) {
    const store = await receiverWithData();
    store.events = 0;
    const sink = store.snapshots.receive(message);
    if (typeof sink === "string") throw new Error(sink);
    const step = (i: number): void => {
      sink.ready(() => {
        const chunk = chunks[i];
        if (chunk === undefined) sink.finish(() => {});
        else if (sink.write(chunk) === undefined) step(i + 1);
      });
    };
    step(0);
    await store.run(() => store.events >= at);
    store.crash(0, false);
    if (!store.snapshots.has(KEY)) {
      assert.is(await deliver(store, message, chunks), undefined, `crash at ${at}: once more`);
    } else there++;
    await markApplying(store);
    await mustEndWell(store, expected, othersOf(store), `crash at ${at}`);
  }
  assert.ok(there > 0 && there < events, `${there} of ${events} crashes left a file`);
});

test("deleting the data of a destroyed peer goes on after a crash at every event", async () => {
  const destroy = async (store: SnapshotStore, stopAt: number): Promise<boolean> => {
    let done = false;
    store.events = 0;
    store.snapshots.destroyRange(utf8("b"), utf8("x"), () => {
      done = true;
    });
    await store.run(() => done || store.events >= stopAt);
    return done;
  };
  const whole = await receiverWithData(2200);
  const others = othersOf(whole);
  assert.ok(await destroy(whole, Number.POSITIVE_INFINITY));
  assert.equal(dataOf(whole.engine), others);
  for (let at = 0; at <= whole.events; at++) {
    const store = await receiverWithData(2200);
    await destroy(store, at);
    store.crash(at % 3, false);
    assert.equal(othersOf(store), others, `crash at ${at}`);
    assert.ok(await destroy(store, Number.POSITIVE_INFINITY));
    assert.equal(dataOf(store.engine), others, `crash at ${at}`);
  }
});

test.run();
