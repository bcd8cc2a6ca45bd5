/**
 * Snapshots between engines of each binding, through real files: the data, and the handles that a
 * binding has only a bounded number of.
 * @variants RUTILE_ENGINE=memory,librocksdb,rocksdb
 * @timeout 120
 */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { NULL_LOGGER, utf8 } from "../../../../src/base/index.js";
import { dataKey } from "../../../../src/codec/index.js";
import type { Engine } from "../../../../src/engine/index.js";
import {
  enginePort,
  NodeSnapFiles,
  REPLICATION_DEFAULTS,
  RegionSnapshots,
  type SnapshotSink,
} from "../../../../src/raftstore/index.js";
import { BUSY_RETRY_MS } from "../../../../src/raftstore/snapshot/delete_range.js";
import { REAL_CLOCK } from "../../../support/clocks.js";
import { harnessOfEnvironment } from "../../../support/engine_harness.js";
import { dataOf, regionOf, snapshotMessage } from "../../../support/snapshot_store.js";
import { tmpDir } from "../../../support/tmp.js";
import { within } from "../../../support/within.js";

const harness = harnessOfEnvironment();

/** Timers that keep the process alive; waits of 100 ms are those for a handle. */
let handleWaits = 0;
const timers = {
  after(delayMs: number, callback: () => void): () => void {
    if (delayMs === BUSY_RETRY_MS) handleWaits++;
    const timer = setTimeout(callback, delayMs);
    return () => clearTimeout(timer);
  },
};

interface Store {
  readonly engine: Engine;
  readonly snapshots: RegionSnapshots;
  readonly folder: string;
}

async function open(): Promise<Store> {
  if (harness === undefined) throw new Error("no engine");
  const onFatal = (error: Error): void => {
    throw error;
  };
  const engine = await harness.open(harness.newPath(), onFatal);
  const folder = join(tmpDir("snap"), "snap");
  const snapshots = new RegionSnapshots(REPLICATION_DEFAULTS, {
    port: enginePort(engine, onFatal),
    files: new NodeSnapFiles(folder),
    clock: REAL_CLOCK,
    timers,
    logger: NULL_LOGGER,
    onFatal,
    ownerOf: () => undefined,
  });
  return { engine, snapshots, folder };
}

async function fill(engine: Engine, prefix: string, count: number, tag: string): Promise<void> {
  for (const cf of ["default", "lock", "write"] as const) {
    const batch = engine.newWriteBatch();
    for (let i = 0; i < count; i++) {
      const key = dataKey(utf8(`${prefix}${String(i).padStart(6, "0")}`));
      batch.put(cf, key, utf8(`${tag} ${cf} ${i}`));
    }
    if (cf === "default" && count > 500) {
      batch.put(cf, dataKey(utf8(`${prefix}long`)), new Uint8Array(1_300_000).fill(count & 255));
    }
    await engine.write(batch, { sync: false });
  }
}

const KEY = { regionId: 7, term: 6, index: 42 };
const REGION = regionOf(7, "b", "m");

function close({ engine, snapshots }: Store): Promise<void> {
  snapshots.close();
  return engine.close();
}

/** Generates at `from` for peer `toPeerId`; returns the announcement. */
function announce(from: Store, toPeerId: number, key = KEY, region = REGION) {
  let data: Uint8Array | undefined;
  const { message } = snapshotMessage(key, new Uint8Array(0), region, toPeerId);
  const confState = message?.snapshot?.metadata.confState;
  if (confState === undefined) throw new Error("no conf state");
  const engineSnapshot = from.engine.snapshot();
  from.snapshots.generate({ key, toPeerId, region, confState, engineSnapshot }, (result) => {
    data = result.snapshot?.data;
  });
  if (data === undefined) throw new Error("refused");
  return snapshotMessage(key, data, region, toPeerId);
}

/** Sends what was announced, as a transport does. */
async function send(from: Store, to: Store, message: ReturnType<typeof announce>): Promise<void> {
  const metadata = message.message?.snapshot?.metadata;
  const key = {
    regionId: message.regionId,
    term: metadata?.term ?? 0,
    index: metadata?.index ?? 0,
  };
  const source = from.snapshots.open(key, message.toPeer.id);
  const sink = to.snapshots.receive(message) as SnapshotSink;
  for (;;) {
    await new Promise<void>((go) => source?.ready(go));
    const chunk = source?.next();
    if (chunk === undefined) break;
    await new Promise<void>((go) => sink.ready(go));
    assert.is(sink.write(chunk), undefined);
  }
  const problem = await new Promise<string | undefined>((done) => sink.finish(done));
  assert.is(problem, undefined);
}

function apply(to: Store, key = KEY, region = REGION): Promise<void> {
  return new Promise((resolve) => {
    to.snapshots.apply({ key, region, replaced: [] }, () => resolve());
  });
}

function handles(engine: Engine): number {
  return engine.stats().snapshotsOpen + engine.stats().iteratorsOpen;
}

if (harness === undefined) {
  test.skip("snapshots: the library is missing", () => {});
} else {
  test("a region travels, and writes meanwhile do not", async () => {
    const [from, to] = [await open(), await open()];
    await fill(from.engine, "c", 5000, "new");
    await fill(to.engine, "c", 6000, "old");
    await fill(to.engine, "k", 300, "old");
    await fill(to.engine, "a", 200, "other");
    await fill(to.engine, "m", 200, "other");
    const expected = dataOf(from.engine, REGION);
    const message = announce(from, 2);
    await fill(from.engine, "c", 2000, "later");
    await send(from, to, message);
    await apply(to);
    assert.is(dataOf(to.engine).length, expected.length + 2 * 3 * 200);
    assert.equal(dataOf(to.engine, REGION), expected);
    to.snapshots.release(KEY);
    await within(5000, "the file is gone", () => readdirSync(to.folder).length === 0);
    for (const store of [from, to]) {
      assert.is(handles(store.engine), 0);
      await close(store);
    }
  });

  test("as many snapshots as may be sent at a time are held, and all are given back", async () => {
    const from = await open();
    await fill(from.engine, "c", 600, "one");
    const limit = REPLICATION_DEFAULTS.concurrentSendSnapLimit;
    for (let peer = 1; peer <= limit; peer++) {
      announce(from, peer);
      // Without a write in between, the npm binding's snapshots share a handle.
      await fill(from.engine, "d", 3, `${peer}`);
    }
    assert.is(handles(from.engine), limit);
    assert.throws(() => announce(from, 99), /refused/);
    assert.is(handles(from.engine), limit);
    const sources = [];
    for (let peer = 1; peer <= limit; peer++) {
      const source = from.snapshots.open(KEY, peer);
      source?.next();
      source?.next();
      sources.push(source);
    }
    assert.is(handles(from.engine), 2 * limit, "each has an iterator now");
    for (const [i, source] of sources.entries()) {
      if (i % 2 === 0) source?.close();
      else while (source?.next() !== undefined);
    }
    assert.is(handles(from.engine), 0);
    await close(from);
  });

  test("snapshots are sent and applied while others are", async () => {
    const [from, to] = [await open(), await open()];
    const jobs: Promise<void>[] = [];
    const regions = [1, 2, 3, 4, 5, 6].map((i) => regionOf(i, `${i}`, `${i + 1}`));
    for (const region of regions) {
      await fill(from.engine, `${region.id}`, 700, `new ${region.id}`);
      await fill(to.engine, `${region.id}`, 900, `old ${region.id}`);
    }
    const expected = dataOf(from.engine);
    for (const [i, region] of regions.entries()) {
      const key = { ...KEY, regionId: i + 1 };
      const message = announce(from, 20 + i, key, region);
      const job = async (): Promise<void> => {
        await send(from, to, message);
        await apply(to, key, region);
        to.snapshots.release(key);
      };
      jobs.push(job());
    }
    await Promise.all(jobs);
    assert.equal(dataOf(to.engine), expected);
    for (const store of [from, to]) {
      assert.is(handles(store.engine), 0);
      await close(store);
    }
  });

  test("a deletion waits for a handle when all are in use", async () => {
    const store = await open();
    await fill(store.engine, "c", 3000, "old");
    const held = [];
    const max = harness.supports.snapshotsMax;
    for (let i = 0; i < Math.min(max, 300); i++) held.push(store.engine.snapshot());
    let done = false;
    store.snapshots.destroyRange(utf8("a"), utf8("z"), () => {
      done = true;
    });
    if (Number.isFinite(max)) {
      await within(20_000, "it asks again", () => handleWaits > 1);
      assert.not(done);
    }
    for (const one of held) one.close();
    await within(20_000, "the data are deleted", () => done);
    assert.equal(dataOf(store.engine), []);
    await close(store);
  });
}

test.run();
