import { test } from "uvu";
import * as assert from "uvu/assert";
import { utf8 } from "../../../src/base/index.js";
import {
  type Engine,
  EngineFaults,
  FaultEngine,
  openMemoryEngine,
} from "../../../src/engine/index.js";

function setup(): { engine: Engine; faults: EngineFaults; fatals: Error[] } {
  const fatals: Error[] = [];
  const faults = new EngineFaults();
  const inner = openMemoryEngine((error) => fatals.push(error));
  const engine = new FaultEngine(inner, faults, (error) => fatals.push(error));
  return { engine, faults, fatals };
}

function put(engine: Engine, key: string, sync = false): Promise<void> {
  const batch = engine.newWriteBatch();
  batch.put("default", utf8(key), utf8("v"));
  return engine.write(batch, { sync });
}

const outcome = (write: Promise<void>): Promise<unknown> =>
  write.then(
    () => "resolved",
    (error: unknown) => error,
  );

test("a write error is fatal: this and every later write reject with it, onFatal is called once", async () => {
  const { engine, faults, fatals } = setup();
  const full = new Error("No space left on device");
  faults.failWrite(full, 1);
  const outcomes = await Promise.all(["a", "b", "c"].map((key) => outcome(put(engine, key))));
  assert.equal(outcomes, ["resolved", full, full]);
  assert.is(await outcome(put(engine, "d", true)), full);
  assert.is(await outcome(engine.sync()), full);
  assert.equal(fatals, [full]);
  assert.is(engine.get("default", utf8("b")), undefined);
  assert.ok(engine.get("default", utf8("a")));
  await engine.close();
});

test("a failed log sync is as fatal as a failed write", async () => {
  const { engine, faults, fatals } = setup();
  await put(engine, "a");
  const broken = new Error("Input/output error");
  faults.failWrite(broken);
  assert.is(await outcome(engine.sync()), broken);
  assert.is(await outcome(put(engine, "b")), broken);
  assert.equal(fatals, [broken]);
});

test("held writes are not seen and not acknowledged; what was submitted meanwhile is one write", async () => {
  const { engine, faults } = setup();
  faults.holdWrites();
  let settled = 0;
  const writes = ["a", "b", "c", "d"].map((key) => put(engine, key).then(() => settled++));
  await new Promise((resolve) => setImmediate(resolve));
  assert.is(settled, 0);
  assert.is(engine.get("default", utf8("a")), undefined);
  faults.releaseWrites();
  await Promise.all(writes);
  assert.is(engine.stats().writes, 2, "the first alone, the others together");
  assert.ok(engine.get("default", utf8("d")));
});

test("failing reads throw until they are let go", async () => {
  const { engine, faults } = setup();
  const snapshot = engine.snapshot();
  const damaged = new Error("block checksum mismatch");
  faults.failReads(damaged);
  const key = utf8("k");
  const bounds = { lower: new Uint8Array(0), upper: new Uint8Array(0) };
  assert.throws(() => engine.get("default", key), /checksum/);
  assert.throws(() => snapshot.multiGet("default", [key]), /checksum/);
  assert.throws(() => snapshot.iterate("default", bounds), /checksum/);
  faults.failReads(undefined);
  assert.is(snapshot.get("default", key), undefined);
  snapshot.close();
});

test.run();
