/**
 * The bridge to the worker of the npm RocksDB binding: deadlines, death, frames in pieces, snapshots
 * while a write is under way, range deletes in chunks, the bound on snapshots.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { equalBytes, TikvError, utf8, utf8Decode } from "../../../src/base/index.js";
import type { Engine } from "../../../src/engine/index.js";
import {
  openRocksdbEngine,
  ROCKSDB_TUNING,
  type RocksdbTuning,
} from "../../../src/engine/rocksdb.js";
import { RocksdbBridge } from "../../../src/engine/rocksdb_bridge.js";
import { codeOf, NO_BOUNDS } from "../../conformance/engine_case.js";
import { tmpDir } from "../../support/tmp.js";

const MIB = 1024 * 1024;
const SILENT = new URL("../../support/silent_worker.js", import.meta.url);

function open(tuning: Partial<RocksdbTuning> = {}): Promise<Engine> {
  return openRocksdbEngine(
    {
      path: tmpDir("bridge"),
      binding: "rocksdb",
      blockCacheBytes: MIB,
      writeBufferBytes: 8 * MIB,
      onFatal: (error) => {
        throw error;
      },
    },
    { ...ROCKSDB_TUNING, ...tuning },
  );
}

function silentBridge(fatal: Error[]): RocksdbBridge {
  return new RocksdbBridge(SILENT, {
    areaBytes: 4096,
    readDeadlineMs: 50,
    writeDeadlineMs: 50,
    onFatal: (error) => fatal.push(error),
  });
}

function codeThrown(work: () => unknown): string {
  try {
    work();
    return "returned";
  } catch (error) {
    return error instanceof TikvError ? error.code : String(error);
  }
}

const key = (i: number): Uint8Array => utf8(`key${String(i).padStart(6, "0")}`);

test("a read that is not answered in time is fatal, once, for every later call", async () => {
  const fatal: Error[] = [];
  const bridge = silentBridge(fatal);
  assert.is(
    codeThrown(() => bridge.read(utf8("x"))),
    "RUTILE:Engine:Deadline",
  );
  assert.is(
    codeThrown(() => bridge.read(utf8("x"))),
    "RUTILE:Engine:Deadline",
  );
  assert.is(await codeOf(() => bridge.write(utf8("x"), true, 0)), "RUTILE:Engine:Deadline");
  assert.is(fatal.length, 1);
  await bridge.abandon();
});

test("a write that is not answered in time is fatal", async () => {
  const fatal: Error[] = [];
  const bridge = silentBridge(fatal);
  assert.is(await codeOf(() => bridge.write(utf8("x"), true, 0)), "RUTILE:Engine:Deadline");
  assert.match(fatal[0]?.message ?? "", "did not answer a write within 50 ms");
  await bridge.abandon();
});

test("a worker that dies ends the wait for a write, and every later call", async () => {
  const fatal: Error[] = [];
  process.env.RUTILE_TEST_WORKER = "throw";
  const bridge = new RocksdbBridge(SILENT, {
    areaBytes: 4096,
    readDeadlineMs: 1_000,
    writeDeadlineMs: 60_000,
    onFatal: (error) => fatal.push(error),
  });
  const write = codeOf(() => bridge.write(utf8("x"), true, 0));
  assert.is(await write, "KV:Engine:Engine");
  delete process.env.RUTILE_TEST_WORKER;
  assert.match(fatal[0]?.message ?? "", "the RocksDB worker is gone: thrown by the test's worker");
  assert.is(
    codeThrown(() => bridge.read(utf8("x"))),
    "KV:Engine:Engine",
  );
});

test("an error in the worker reaches a read that waits for it", async () => {
  const fatal: Error[] = [];
  const bridge = new RocksdbBridge(ROCKSDB_TUNING.workerUrl, {
    areaBytes: 4096,
    readDeadlineMs: 60_000,
    writeDeadlineMs: 60_000,
    onFatal: (error) => fatal.push(error),
  });
  // A frame that is no request: the worker refuses it and goes on.
  assert.is(
    codeThrown(() => bridge.read(Uint8Array.of(99, 0, 0, 0))),
    "KV:Engine:Engine",
  );
  assert.is(
    codeThrown(() => bridge.read(Uint8Array.of(98, 0, 0, 0))),
    "KV:Engine:Engine",
  );
  assert.is(fatal.length, 0);
  await bridge.abandon();
});

test("requests and answers larger than the shared area cross in pieces", async () => {
  const engine = await open({ areaBytes: 1000 });
  const batch = engine.newWriteBatch();
  const large = new Uint8Array(3 * MIB).map((_, i) => i % 251);
  batch.put("default", utf8("large"), large);
  for (let i = 0; i < 500; i++) batch.put("default", key(i), utf8(`value${i}`));
  await engine.write(batch, { sync: false });
  assert.ok(equalBytes(engine.get("default", utf8("large")) ?? new Uint8Array(0), large));
  const values = engine.multiGet(
    "default",
    Array.from({ length: 501 }, (_, i) => key(i)),
  );
  for (let i = 0; i < 500; i++) assert.is(utf8Decode(values[i] ?? utf8("-")), `value${i}`, `${i}`);
  assert.is(values[500], undefined);
  const snapshot = engine.snapshot();
  const iter = snapshot.iterate("default", NO_BOUNDS);
  iter.seekToFirst();
  assert.is(iter.take(1000, 100 * MIB).keys.length, 501);
  iter.close();
  snapshot.close();
  await engine.close();
});

/** Returns the distinct values that a snapshot shows through gets, forward and in reverse. */
function valuesOf(engine: Engine): Set<string> {
  const snapshot = engine.snapshot();
  const iter = snapshot.iterate("default", NO_BOUNDS);
  const seen = new Set<string>();
  for (let on = iter.seekToFirst(); on; on = iter.next()) seen.add(utf8Decode(iter.value()));
  for (let on = iter.seekToLast(); on; on = iter.prev()) seen.add(utf8Decode(iter.value()));
  for (const value of snapshot.multiGet("default", [key(0), key(7)])) {
    seen.add(utf8Decode(value ?? utf8("-")));
  }
  iter.close();
  snapshot.close();
  return seen;
}

test("a snapshot taken while a write is under way shows one state in all directions", async () => {
  const engine = await open();
  const write = (round: number): Promise<void> => {
    const batch = engine.newWriteBatch();
    for (let i = 0; i < 8; i++) batch.put("default", key(i), utf8(`${round}`));
    return engine.write(batch, { sync: false });
  };
  await write(0);
  let underWay = 0;
  for (let round = 1; round <= 400; round++) {
    let answered = false;
    const written = write(round).then(() => {
      answered = true;
    });
    const seen = valuesOf(engine);
    assert.is(seen.size, 1, `round ${round} shows ${[...seen]}`);
    const [value] = [...seen];
    assert.ok(value === `${round}` || value === `${round - 1}`, `round ${round} shows ${value}`);
    if (!answered) underWay++;
    await written;
    assert.equal([...valuesOf(engine)], [`${round}`]);
  }
  assert.is(underWay, 400, "the snapshots were taken while a write was under way");
  await engine.close();
});

test("a large range delete goes in chunks; an older snapshot keeps the range", async () => {
  const engine = await open();
  const keys = 20_000;
  const fill = engine.newWriteBatch();
  for (let i = 0; i < keys; i++) fill.put("default", key(i), utf8("v"));
  await engine.write(fill, { sync: false });
  const before = engine.snapshot();
  const batch = engine.newWriteBatch();
  batch.put("default", utf8("key000001x"), utf8("put before the range delete"));
  batch.deleteRange("default", key(1), key(keys - 1));
  batch.put("default", key(5), utf8("put after it"));
  await engine.write(batch, { sync: true });
  const left = engine.multiGet("default", [key(0), key(1), utf8("key000001x"), key(5)]);
  assert.equal(
    left.map((value) => (value === undefined ? "-" : utf8Decode(value))),
    ["v", "-", "-", "put after it"],
  );
  const iter = before.iterate("default", NO_BOUNDS);
  iter.seekToFirst();
  assert.is(iter.take(2 * keys, 100 * MIB).keys.length, keys);
  iter.close();
  before.close();
  const after = engine.snapshot();
  const rest = after.iterate("default", NO_BOUNDS);
  rest.seekToFirst();
  assert.is(rest.take(keys, 100 * MIB).keys.length, 3);
  rest.close();
  after.close();
  await engine.close();
});

test("snapshots beyond the bound are refused with Busy; closing one makes room", async () => {
  const engine = await open({ snapshotsMax: 2 });
  const first = engine.snapshot();
  const second = engine.snapshot();
  assert.is(
    codeThrown(() => engine.snapshot()),
    "RUTILE:Engine:Busy",
  );
  first.close();
  const third = engine.snapshot();
  third.close();
  second.close();
  await engine.close();
});

test("reads are served while synced writes wait for the disk", async () => {
  const engine = await open({ readDeadlineMs: 5_000 });
  let answered = 0;
  const writes = Array.from({ length: 50 }, (_, i) => {
    const batch = engine.newWriteBatch();
    batch.put("default", key(i), utf8("v"));
    return engine.write(batch, { sync: true }).then(() => answered++);
  });
  for (let i = 0; i < 200; i++) engine.get("default", key(0));
  assert.is(answered, 0, "no promise settles inside synchronous reads");
  await Promise.all(writes);
  assert.is.not(engine.get("default", key(49)), undefined);
  await engine.close();
});

test.run();
