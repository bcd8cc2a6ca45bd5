/** Where regions are split: the walk against a naive twin, policies, slices, keys with versions. */
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { utf8 } from "../../../src/base/index.js";
import { keyAppendTs, keyFromRaw } from "../../../src/codec/index.js";
import { type Engine, openMemoryEngine } from "../../../src/engine/index.js";
import type { SplitWish } from "../../../src/raftstore/commands.js";
import type { PeerMsg } from "../../../src/raftstore/messages.js";
import { approximate } from "../../../src/raftstore/split/approximate.js";
import {
  type ScanResult,
  type SplitOptions,
  SplitScan,
  withoutTimestamp,
} from "../../../src/raftstore/split/check.js";
import { SplitController } from "../../../src/raftstore/split/controller.js";
import { SplitCheckWorker } from "../../../src/raftstore/workers/split_check.js";
import { testRegion } from "../../support/apply_harness.js";
import { FakeTimers } from "../../support/fake_timers.js";

const OPTIONS: SplitOptions = {
  regionSplitSizeBytes: 100,
  regionMaxSizeBytes: 150,
  regionSplitKeys: 1e9,
  regionMaxKeys: 1e9,
  batchSplitLimit: 10,
};

type Cf = "default" | "write";

async function engineOf(entries: readonly (readonly [Cf, Uint8Array, number])[]): Promise<Engine> {
  const engine = openMemoryEngine((error) => {
    throw error;
  });
  const batch = engine.newWriteBatch();
  for (const [cf, key, bytes] of entries) {
    batch.put(cf, Buffer.concat([Buffer.from("z"), key]), new Uint8Array(bytes - key.length - 1));
  }
  await engine.write(batch, { sync: false });
  return engine;
}

/** `sizes[i]` bytes under key 1000 + i, key and value together. */
function rawEngine(sizes: readonly number[]): Promise<Engine> {
  return engineOf(sizes.map((bytes, i) => ["default", utf8(String(1000 + i)), bytes]));
}

function scan(
  engine: Engine,
  policy: "size" | "half",
  options: Partial<SplitOptions> = {},
  region = testRegion(),
  slice = 3,
  sliceBytes = 1e9,
): ScanResult {
  const walk = new SplitScan(engine.snapshot(), region, policy, { ...OPTIONS, ...options });
  for (let i = 0; i < 100_000 && !walk.step(slice, sliceBytes); i++);
  const result = walk.result();
  walk.close();
  return result;
}

function texts(keys: readonly Uint8Array[]): string[] {
  return keys.map((key) => Buffer.from(key).toString());
}

/** The rule in one look at all sizes: cut before what would exceed the share, mind the rest. */
function twin(
  sizes: readonly number[],
  { regionSplitSizeBytes, regionMaxSizeBytes, batchSplitLimit }: SplitOptions,
): string[] {
  const cuts: number[] = [];
  let from = 0;
  for (;;) {
    let end = from;
    let sum = 0;
    while (
      end < sizes.length &&
      (end === from || sum + (sizes[end] as number) <= regionSplitSizeBytes)
    ) {
      sum += sizes[end] as number;
      end++;
    }
    if (end >= sizes.length || cuts.length === batchSplitLimit) break;
    cuts.push(end);
    from = end;
  }
  const rest = sizes.slice(from).reduce((sum, size) => sum + size, 0);
  if (cuts.length > 0 && rest + regionSplitSizeBytes < regionMaxSizeBytes) cuts.pop();
  return cuts.map((at) => String(1000 + at));
}

test("split keys by size equal the naive twin's", async () => {
  const sizes = fc.array(fc.integer({ min: 6, max: 130 }), { maxLength: 60 });
  const limits = fc.integer({ min: 1, max: 12 });
  await fc.assert(
    fc.asyncProperty(sizes, limits, async (list, batchSplitLimit) => {
      const options = { ...OPTIONS, batchSplitLimit };
      const engine = await rawEngine(list);
      const found = scan(engine, "size", options);
      await engine.close();
      assert.equal(texts(found.splitKeys), twin(list, options));
    }),
    { numRuns: 150 },
  );
});

const BY_SIZE: readonly (readonly [string, readonly number[], Partial<SplitOptions>, string[]])[] =
  [
    ["nothing", [], {}, []],
    ["one large entry", [500], {}, []],
    ["below the maximum the rest is not worth a cut", [50, 50, 40], {}, []],
    ["at the maximum", [50, 50, 50], {}, ["1002"]],
    ["several", [60, 60, 60, 60], {}, ["1001", "1002", "1003"]],
    ["the last cut is taken back", [100, 100, 49], {}, ["1001"]],
    ["the limit", [100, 100, 100, 100, 100], { batchSplitLimit: 2 }, ["1001", "1002"]],
  ];

for (const [name, sizes, options, keys] of BY_SIZE) {
  test(`by size: ${name}`, async () => {
    const engine = await rawEngine(sizes);
    assert.equal(texts(scan(engine, "size", options).splitKeys), keys);
    await engine.close();
  });
}

test("by keys when the size does not call for it", async () => {
  const engine = await rawEngine(Array.from({ length: 10 }, () => 10));
  const options = { regionSplitSizeBytes: 1e9, regionMaxSizeBytes: 1e9 };
  const found = scan(engine, "size", { ...options, regionSplitKeys: 4, regionMaxKeys: 6 });
  assert.equal(texts(found.splitKeys), ["1004", "1008"]);
  assert.is(found.keys, 10);
  assert.is(found.sizeBytes, 100);
  await engine.close();
});

test("size goes before keys", async () => {
  const engine = await rawEngine([100, 100, 100]);
  const found = scan(engine, "size", { regionSplitKeys: 2, regionMaxKeys: 2 });
  assert.equal(texts(found.splitKeys), ["1001", "1002"]);
  await engine.close();
});

test("only the region's own range is walked", async () => {
  const engine = await rawEngine(Array.from({ length: 10 }, () => 50));
  const region = testRegion({ startKey: utf8("1002"), endKey: utf8("1007") });
  const found = scan(engine, "size", {}, region);
  assert.is(found.sizeBytes, 250);
  assert.equal(texts(found.splitKeys), ["1004", "1006"]);
  await engine.close();
});

test("slices of any length find the same", async () => {
  const engine = await rawEngine(Array.from({ length: 30 }, (_, i) => 20 + ((i * 37) % 90)));
  const whole = scan(engine, "size", {}, testRegion(), 1000);
  for (const slice of [1, 2, 7]) {
    assert.equal(scan(engine, "size", {}, testRegion(), slice), whole, `slice ${slice}`);
  }
  for (const bytes of [1, 100, 250]) {
    assert.equal(scan(engine, "size", {}, testRegion(), 1000, bytes), whole, `${bytes} bytes`);
  }
  await engine.close();
});

test("a slice ends with the entry that reaches its bytes", async () => {
  const engine = await rawEngine([60, 60, 60, 60]);
  const walk = new SplitScan(engine.snapshot(), testRegion(), "size", OPTIONS);
  assert.not(walk.step(1000, 100));
  assert.is(walk.result().sizeBytes, 120);
  assert.not(walk.step(1, 1000));
  assert.is(walk.result().sizeBytes, 180);
  assert.ok(walk.step(1000, 1000));
  walk.close();
  await engine.close();
});

test("half: what lies before the key is nearest to half, from below or just above", async () => {
  const sizes = fc.array(fc.integer({ min: 6, max: 130 }), { minLength: 2, maxLength: 60 });
  await fc.assert(
    fc.asyncProperty(sizes, async (list) => {
      const engine = await rawEngine(list);
      const [key] = texts(scan(engine, "half").splitKeys);
      await engine.close();
      const total = list.reduce((sum, size) => sum + size, 0);
      const at = Number(key) - 1000;
      const before = list.slice(0, at).reduce((sum, size) => sum + size, 0);
      const last = at === list.length - 1;
      assert.ok(at > 0 && (before * 2 >= total || last), `${at} of ${list.length}`);
      assert.ok((before - (list[at - 1] as number)) * 2 < total || last, "not later than needed");
    }),
    { numRuns: 100 },
  );
});

test("half: many entries need few buckets", async () => {
  const engine = await rawEngine(Array.from({ length: 9000 }, () => 10));
  const [key] = texts(scan(engine, "half", {}, testRegion(), 4096).splitKeys);
  assert.ok(Math.abs(Number(key) - 1000 - 4500) < 40, `${key}`);
  await engine.close();
});

test("half: a region of one key cannot be halved", async () => {
  const engine = await rawEngine([50]);
  assert.equal(scan(engine, "half").splitKeys, []);
  await engine.close();
});

function versioned(key: string, ts: number): Uint8Array {
  return keyAppendTs(keyFromRaw(utf8(key)), BigInt(ts));
}

test("versions of a key stay together, in both CFs; keys are counted by CF write", async () => {
  const entries: [Cf, Uint8Array, number][] = [];
  for (const name of ["a", "b", "c"]) {
    for (let ts = 1; ts <= 4; ts++) {
      entries.push(["write", versioned(name, ts), 30]);
      entries.push(["default", versioned(name, ts), 30]);
    }
  }
  const engine = await engineOf(entries);
  const found = scan(engine, "size");
  assert.equal(
    found.splitKeys.map((key) => Buffer.from(key).toString("hex")),
    ["b", "c"].map((name) => Buffer.from(keyFromRaw(utf8(name))).toString("hex")),
  );
  assert.is(found.keys, 12);
  assert.is(found.sizeBytes, 24 * 30);
  const only = testRegion({ startKey: keyFromRaw(utf8("a")), endKey: keyFromRaw(utf8("b")) });
  assert.equal(scan(engine, "size", {}, only).splitKeys, [], "one key is not cut");
  assert.equal(scan(engine, "half", {}, only).splitKeys, []);
  await engine.close();
});

test("a timestamp is recognised by the shape of the key", () => {
  const encoded = keyFromRaw(utf8("key"));
  assert.equal(withoutTimestamp(keyAppendTs(encoded, 5n)), encoded);
  assert.equal(withoutTimestamp(encoded), encoded);
  assert.equal(
    withoutTimestamp(utf8("any raw key of some length")),
    utf8("any raw key of some length"),
  );
});

test("approximate: the engine's bytes, keys by a sample", async () => {
  const engine = await rawEngine(Array.from({ length: 1000 }, () => 20));
  const whole = approximate(engine, testRegion());
  assert.is(whole.sizeBytes, 20_000);
  assert.is(whole.keys, 1000);
  const part = approximate(engine, testRegion({ startKey: utf8("1990") }));
  assert.is(part.keys, 10);
  await engine.close();
});

interface WorkerTest {
  readonly worker: SplitCheckWorker;
  readonly timers: FakeTimers;
  readonly sent: PeerMsg[];
}

function workerOn(engine: Engine, options: Partial<SplitOptions> = {}): WorkerTest {
  const timers = new FakeTimers();
  const sent: PeerMsg[] = [];
  const notify = (_: number, message: PeerMsg): void => {
    sent.push(message);
  };
  const worker = new SplitCheckWorker({ ...OPTIONS, ...options }, { engine, timers, notify });
  return { worker, timers, sent };
}

const NOTHING = { sizeBytes: 0, keys: 0 };

test("worker: a small region is not walked, a large one is, one after the other", async () => {
  const engine = await rawEngine(Array.from({ length: 5000 }, () => 20));
  const options = { regionSplitSizeBytes: 10_000, regionMaxSizeBytes: 15_000 };
  const { worker, timers, sent } = workerOn(engine, options);
  worker.check(testRegion({ endKey: utf8("1002") }), NOTHING);
  worker.check(testRegion(), NOTHING);
  assert.is(sent.length, 0, "never from inside the call");
  timers.runAll();
  assert.is(timers.fired > 3, true, "slices");
  const [small, large] = sent;
  assert.is(small?.kind === "splitCheckDone" && small.result.splitKeys.length, 0);
  assert.is(large?.kind === "splitCheckDone" && large.result.splitKeys.length, 9);
  assert.is(large?.kind === "splitCheckDone" && large.result.version, 4n);
  assert.equal(worker.counts, { ignored: 1, all: 1, success: 1 });
  await engine.close();
});

test("worker: what the leader has counted leads to a walk when the engine sees less", async () => {
  const engine = await rawEngine([20, 20]);
  const { worker, timers, sent } = workerOn(engine);
  worker.check(testRegion(), { sizeBytes: 151, keys: 1 });
  timers.runAll();
  const [done] = sent;
  assert.is(done?.kind === "splitCheckDone" && done.result.sizeBytes, 40);
  await engine.close();
});

function wish(): SplitWish & { readonly answers: unknown[] } {
  const answers: unknown[] = [];
  return {
    confVer: 3n,
    version: 4n,
    splitKeys: [],
    reason: "client",
    done: (result) => answers.push(result),
    answers,
  };
}

test("worker: a wish to halve comes back with a key, or is answered", async () => {
  const engine = await rawEngine([20, 20, 20, 20]);
  const { worker, timers, sent } = workerOn(engine);
  const [good, tooSmall, late] = [wish(), wish(), wish()];
  worker.halve(testRegion(), good);
  worker.halve(testRegion({ endKey: utf8("1001") }), tooSmall);
  timers.runAll();
  const [back] = sent;
  assert.equal(back?.kind === "splitWish" && texts(back.wish.splitKeys), ["1002"]);
  assert.is(back?.kind === "splitWish" && back.wish.done, good.done);
  assert.is(tooSmall.answers.length, 1);
  worker.halve(testRegion(), late);
  worker.stop();
  assert.is(late.answers.length, 1);
  timers.runAll();
  assert.is(sent.length, 1);
  await engine.close();
});

function applied(
  writtenBytes: number,
  writtenKeys = 1,
): Parameters<SplitController["onApplied"]>[0] {
  return { writtenBytes, writtenKeys } as Parameters<SplitController["onApplied"]>[0];
}

test("controller: looks at first, then after growth, one look at a time", () => {
  const controller = new SplitController({ regionSplitCheckDiffBytes: 10 });
  assert.ok(controller.onTick());
  assert.is(controller.sizes(), undefined, "nobody has looked");
  controller.onApplied(applied(50));
  assert.not(controller.onTick(), "one look is under way");
  const result = { version: 4n, sizeBytes: 100, keys: 7, splitKeys: [] };
  assert.equal(controller.onChecked(result, 4n), []);
  assert.equal(controller.sizes(), { sizeBytes: 150, keys: 7 });
  assert.ok(controller.onTick());
  controller.onChecked(result, 4n);
  controller.onApplied(applied(9));
  assert.not(controller.onTick());
  controller.onApplied(applied(1));
  assert.ok(controller.onTick());
});

test("controller: a result for another version is not acted on, and the region looked at again", () => {
  const controller = new SplitController({ regionSplitCheckDiffBytes: 10 });
  assert.ok(controller.onTick());
  const splitKeys = [utf8("m")];
  const result = { version: 4n, sizeBytes: 100, keys: 7, splitKeys };
  assert.equal(controller.onChecked(result, 5n), []);
  assert.is(controller.counted.sizeBytes, 0);
  assert.ok(controller.onTick());
  assert.equal(controller.onChecked({ ...result, version: 5n }, 5n), splitKeys);
  assert.not(controller.onTick());
  controller.onSplitFailed();
  assert.ok(controller.onTick());
  controller.onChecked({ ...result, version: 5n }, 5n);
  controller.onSplit(2);
  assert.is(controller.counted.sizeBytes, 50);
  assert.ok(controller.onTick());
});

test.run();
