/** Long reads: slices, fairness, bounds, and what is released. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { ok } from "../../../src/base/index.js";
import { ReadPool, type ReadPoolOptions, type SlicedRead } from "../../../src/storage/read_pool.js";
import { FakeClock } from "../../support/fake_clock.js";

const OPTIONS: ReadPoolOptions = {
  activeMax: 2,
  tasksMax: 3,
  sliceMs: 2,
  responseMaxBytes: 1000,
  memoryMaxBytes: 1200,
};

/** A read of `steps` steps that costs `stepMs` each and notes what happens. */
class Fake implements SlicedRead<string> {
  bytes = 0;
  opened = false;
  closed = 0;
  private done = 0;

  constructor(
    private readonly name: string,
    private readonly steps: number,
    private readonly log: string[],
    private readonly cost: { readonly clock?: FakeClock; readonly stepBytes?: number } = {},
  ) {}

  open = (): { readonly ok: true; readonly value: Fake } => {
    this.opened = true;
    return ok(this);
  };

  step(): boolean {
    this.log.push(this.name);
    this.cost.clock?.advance(1);
    this.bytes += this.cost.stepBytes ?? 0;
    this.done++;
    return this.done >= this.steps;
  }

  result(): string {
    return this.name;
  }

  close(): void {
    this.closed++;
  }
}

const reason = (reply: unknown): string | undefined =>
  (reply as { error?: { error?: { reason?: string }; message?: string } }).error?.error?.reason;

test("a short read finishes in the turn of its request", () => {
  const pool = new ReadPool(OPTIONS, new FakeClock());
  const read = new Fake("a", 1, []);
  void pool.run(read.open);
  assert.is(read.closed, 1);
  assert.is(pool.running, 0);
});

test("a long read gives the event loop its turn after the slice's milliseconds", async () => {
  const clock = new FakeClock();
  const pool = new ReadPool(OPTIONS, clock);
  const log: string[] = [];
  const done = pool.run(new Fake("a", 9, log, { clock }).open);
  // Two steps of a millisecond fill the slice; the rest needs four more turns.
  assert.is(log.length, 2);
  let turns = 0;
  while (log.length < 9) {
    await new Promise((resolve) => setImmediate(resolve));
    turns++;
  }
  assert.is(turns, 4);
  assert.equal(await done, { ok: true, value: "a" });
});

test("reads take turns; those beyond the active ones open later", async () => {
  const clock = new FakeClock();
  const pool = new ReadPool(OPTIONS, clock);
  const log: string[] = [];
  const reads = ["a", "b", "c"].map((name) => new Fake(name, 4, log, { clock }));
  const all = reads.map((read) => pool.run(read.open));
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(
    reads.map((read) => read.opened),
    [true, true, false],
  );
  await Promise.all(all);
  // a had its first turn alone; then a and b alternate; c takes the place of a when that is done.
  assert.is(log.join(""), "aaababcbcbcc");
  assert.ok(reads.every((read) => read.closed === 1));
});

test("more than may wait are refused as busy", async () => {
  const clock = new FakeClock();
  const pool = new ReadPool(OPTIONS, clock);
  const replies = Array.from({ length: 7 }, (_, i) =>
    pool.run(new Fake(String(i), 4, [], { clock }).open),
  );
  const settled = await Promise.all(replies);
  const busy = settled.filter((reply) => !reply.ok);
  assert.ok(busy.length >= 1, "some are refused");
  assert.ok(settled.filter((reply) => reply.ok).length >= 4, "the others finish");
  for (const reply of busy) assert.is(reason(reply), "scheduler is busy");
  assert.is(pool.running, 0);
});

test("a result over the limit is refused, and so is one that exceeds the common memory", async () => {
  const clock = new FakeClock();
  const pool = new ReadPool(OPTIONS, clock);
  const single = await pool.run(new Fake("a", 9, [], { clock, stepBytes: 400 }).open);
  assert.is(
    !single.ok && single.error.type === "key" && single.error.message,
    "scan result exceeds 1000 bytes, use a smaller limit",
  );
  const two = await Promise.all(
    ["b", "c"].map((name) => pool.run(new Fake(name, 4, [], { clock, stepBytes: 240 }).open)),
  );
  assert.is(two.filter((reply) => reply.ok).length, 1);
  assert.is(reason(two.find((reply) => !reply.ok)), "memory quota exceeded");
  // What was held is given back: the same pair, one after the other, fits.
  for (const name of ["d", "e"]) {
    const reply = await pool.run(new Fake(name, 4, [], { clock, stepBytes: 240 }).open);
    assert.ok(reply.ok);
  }
});

test("a read that throws is closed, and the next ones go on", async () => {
  const pool = new ReadPool(OPTIONS, new FakeClock());
  const bad = new Fake("a", 9, []);
  bad.step = () => {
    throw new Error("damaged block");
  };
  const error = await pool.run(bad.open).catch((thrown: unknown) => thrown);
  assert.is((error as Error).message, "damaged block");
  assert.is(bad.closed, 1);
  assert.equal(await pool.run(new Fake("b", 2, []).open), { ok: true, value: "b" });
});

test("a stopped pool lets reads finish and refuses what waits", async () => {
  const clock = new FakeClock();
  const pool = new ReadPool(OPTIONS, clock);
  const replies = ["a", "b", "c"].map((name) => pool.run(new Fake(name, 20, [], { clock }).open));
  await new Promise((resolve) => setImmediate(resolve));
  await pool.stop();
  const settled = await Promise.all(replies);
  assert.equal(
    settled.map((reply) => reply.ok),
    [true, true, false],
  );
  assert.not.ok((await pool.run(new Fake("d", 1, []).open)).ok);
});

test("whatever steps cost, a turn spends its slice and at most one step more", async () => {
  const clock = new FakeClock();
  const stepMs = 0.3;
  const pool = new ReadPool({ ...OPTIONS, tasksMax: 100 }, clock);
  const reads = Array.from({ length: 8 }, () => {
    const read = new Fake("x", 25, []);
    const step = read.step.bind(read);
    read.step = () => {
      clock.advance(stepMs);
      return step();
    };
    return pool.run(read.open);
  });
  const turns: number[] = [];
  // A read that has just come spends of the turn in which it came.
  for (let last = 0; pool.running > 0; last = clock.monotonicMs()) {
    turns.push(clock.monotonicMs() - last);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await Promise.all(reads);
  assert.ok(turns.length > 10, `${turns.length} turns`);
  const longest = Math.max(...turns);
  assert.ok(longest < OPTIONS.sliceMs + stepMs, `longest turn ${longest} ms`);
});

test.run();
