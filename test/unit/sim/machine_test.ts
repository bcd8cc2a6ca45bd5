/** Virtual time, machines, network and disk of the simulator. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Prng } from "../../../src/base/index.js";
import { SimDisk, SimEngine } from "../../sim/disk.js";
import { SimHost } from "../../sim/host.js";
import { SimLoop } from "../../sim/loop.js";
import { SimNetwork } from "../../sim/network.js";
import { optionsOf } from "../../sim/options.js";
import { SimTrace } from "../../sim/trace.js";
import { setTraps } from "../../sim/traps.js";

const NOTHING = (): void => undefined;
const WEIGHTS = { writeMeanUs: 100, syncMeanUs: 1_000 };

function machine(): { loop: SimLoop; host: SimHost } {
  const loop = new SimLoop();
  const host = new SimHost("s1", loop, new Prng(1n));
  host.start();
  return { loop, host };
}

test("events run in the order of time, then of planning; promises before the next event", async () => {
  const loop = new SimLoop();
  const seen: string[] = [];
  loop.at(20, () => seen.push("c"));
  loop.at(10, () => {
    seen.push("a");
    void Promise.resolve()
      .then(() => undefined)
      .then(() => seen.push("promise"));
  });
  loop.at(10, () => seen.push("b"));
  loop.at(10, () => seen.push("never")).cancel();
  await loop.run(15, NOTHING);
  assert.equal(seen, ["a", "promise", "b"]);
  assert.is(loop.nowUs, 15);
  await loop.run(100, NOTHING);
  assert.equal(seen, ["a", "promise", "b", "c"]);
});

test("an error of an event ends the run", async () => {
  const loop = new SimLoop();
  loop.at(1, () => {
    throw new Error("broken");
  });
  let message = "";
  await loop.run(10, NOTHING).catch((error: Error) => {
    message = error.message;
  });
  assert.is(message, "broken");
});

test("a crash forgets timers, a pause delays them", async () => {
  const { loop, host } = machine();
  const seen: string[] = [];
  host.after(1, () => seen.push(`timer at ${loop.nowUs}`));
  host.pause(5_000);
  await loop.run(20_000, NOTHING);
  assert.equal(seen, ["timer at 5000"]);
  host.after(1, () => seen.push("lost"));
  host.crash();
  host.start();
  await loop.run(40_000, NOTHING);
  assert.is(seen.length, 1);
});

test("a pause inside a turn moves the clock there and what the host does later", async () => {
  const { loop, host } = machine();
  const reads: number[] = [];
  host.pauseAtRead(1, 3_000_000);
  host.afterUs(0, () => {
    reads.push(host.monotonicMs(), host.monotonicMs());
    host.afterUs(10, () => reads.push(loop.nowUs));
  });
  await loop.run(10_000_000, NOTHING);
  assert.equal(reads, [0, 3_000, 3_000_010]);
});

test("clocks run apart and never back; the wall clock may jump", async () => {
  const { loop, host } = machine();
  host.setRatePpm(20_000);
  await loop.run(1_000_000, NOTHING);
  assert.is(host.monotonicMs(), 1_020);
  host.setRatePpm(-20_000);
  assert.is(host.monotonicMs(), 1_020);
  const before = host.nowMs();
  host.setWallSkewMs(-290_000);
  assert.is(host.nowMs(), before - 290_000);
});

function network(change: Partial<ReturnType<typeof optionsOf>["network"]>): {
  loop: SimLoop;
  net: SimNetwork;
} {
  const loop = new SimLoop();
  const weights = {
    delayMinUs: 1_000,
    delayMeanUs: 2_000,
    lossPerMille: 0,
    duplicatePerMille: 0,
    reorderPerMille: 0,
    ...change,
  };
  return { loop, net: new SimNetwork(loop, new Prng(3n), weights, new SimTrace()) };
}

const envelope = { from: "a", to: "b", kind: "x", bytes: "", atUs: 0 };

test("messages keep their order unless the network reorders", async () => {
  for (const reorderPerMille of [0, 500]) {
    const { loop, net } = network({ reorderPerMille });
    const seen: number[] = [];
    for (let i = 0; i < 100; i++) net.send(envelope, () => seen.push(i));
    await loop.run(1_000_000, NOTHING);
    const sorted = [...seen].sort((a, b) => a - b);
    assert.is(seen.join() === sorted.join(), reorderPerMille === 0);
    assert.is(seen.length, 100);
  }
});

test("a cut loses one direction, also what is on its way; a clog holds", async () => {
  const { loop, net } = network({});
  const seen: string[] = [];
  net.send(envelope, () => seen.push("flying"));
  net.cut("a", "b");
  assert.is(
    net.send(envelope, () => seen.push("cut")),
    false,
  );
  net.send({ ...envelope, from: "b", to: "a" }, () => seen.push("back"));
  await loop.run(100_000, NOTHING);
  assert.equal(seen, ["back"]);
  net.uncut("a", "b");
  net.clog("a", "b", 900_000);
  net.send({ ...envelope, atUs: loop.nowUs }, () => seen.push(`at ${loop.nowUs}`));
  await loop.run(1_000_000, NOTHING);
  assert.equal(seen, ["back", "at 900000"]);
});

test("loss and duplication happen at their rates", async () => {
  const { loop, net } = network({ lossPerMille: 200, duplicatePerMille: 300 });
  let seen = 0;
  for (let i = 0; i < 1_000; i++) net.send(envelope, () => seen++);
  await loop.run(1_000_000, NOTHING);
  const { lost, duplicated } = net.counters;
  assert.ok(lost > 150 && lost < 250 && duplicated > 180 && duplicated < 300);
  assert.is(seen, 1_000 - lost + duplicated);
});

const text = (value: string): Uint8Array => new TextEncoder().encode(value);

function engineOn(
  disk: SimDisk,
  host: SimHost,
  onFatal: (error: Error) => void = NOTHING,
): SimEngine {
  return new SimEngine(disk, { host, prng: new Prng(5n), weights: WEIGHTS, onFatal });
}

function put(engine: SimEngine, key: string, sync: boolean): void {
  const batch = engine.newWriteBatch();
  batch.put("default", text(key), text(key));
  engine.write(batch, { sync }).catch(NOTHING);
}

test("a crash keeps what was synced and a prefix of the rest", async () => {
  const { loop, host } = machine();
  const disk = new SimDisk();
  const engine = engineOn(disk, host);
  put(engine, "a", true);
  await loop.run(1_000_000, NOTHING);
  for (const key of ["b", "c", "d"]) {
    host.afterUs(0, () => put(engine, key, false));
    await loop.run(loop.nowUs + 100_000, NOTHING);
  }
  assert.is(disk.unsyncedCount, 3);
  host.crash();
  disk.crash(2);
  host.start();
  const again = engineOn(disk, host);
  const has = (key: string): boolean => again.get("default", text(key)) !== undefined;
  assert.equal(["a", "b", "c", "d"].map(has), [true, true, true, false]);
});

test("a write under way may survive, but is not seen before it is done", async () => {
  const { loop, host } = machine();
  const disk = new SimDisk();
  const engine = engineOn(disk, host);
  host.afterUs(0, () => put(engine, "a", true));
  await loop.run(0, NOTHING);
  assert.is(engine.get("default", text("a")), undefined);
  assert.is(disk.unsyncedCount, 1);
  host.crash();
  disk.crash(1);
  host.start();
  assert.ok(engineOn(disk, host).get("default", text("a")) !== undefined);
});

test("a failing sync is fatal, and nothing is acknowledged after it", async () => {
  const { loop, host } = machine();
  const disk = new SimDisk();
  const errors: string[] = [];
  const engine = engineOn(disk, host, (error) => errors.push(error.message));
  disk.failNextSync = true;
  let isDone = false;
  const batch = engine.newWriteBatch();
  batch.put("default", text("a"), text("a"));
  host.afterUs(0, () => {
    engine.write(batch, { sync: true }).then(() => {
      isDone = true;
    }, NOTHING);
  });
  await loop.run(1_000_000, NOTHING);
  assert.equal(errors, ["fdatasync: input/output error"]);
  assert.not.ok(isDone);
  disk.isFull = true;
  const full = engineOn(new SimDisk(), host, (error) => errors.push(error.message));
  put(full, "b", true);
  await loop.run(2_000_000, NOTHING);
  assert.is(errors.length, 1, "another disk is not full");
});

test("a seed means the same options every time, seeds differ in kind", () => {
  assert.equal(optionsOf(42n), optionsOf(42n));
  const seeds = [...Array(60).keys()].map((seed) => optionsOf(BigInt(seed)));
  assert.ok(new Set(seeds.map((options) => options.stores)).size > 2);
  assert.ok(seeds.some((options) => options.faults.pause === 0));
  assert.ok(seeds.every((options) => options.faults.crash > 0));
});

test("real time and randomness are traps while a run is under way", () => {
  const remove = setTraps();
  assert.throws(() => Math.random(), /random is used inside/);
  assert.throws(() => Date.now(), /now is used inside/);
  assert.throws(() => setTimeout(NOTHING, 1), /setTimeout is used inside/);
  remove();
  assert.type(Math.random(), "number");
});

test.run();
