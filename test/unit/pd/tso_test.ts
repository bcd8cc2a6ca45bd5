/** Timestamps under clock jumps, crashes, slow saves and overload: all unique, all larger. */
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  composeTs,
  TSO_SAVE_INTERVAL_MS,
  TsoAllocator,
  type TsoEffects,
} from "../../../src/pd/tso/index.js";

const HOUR_MS = 3_600_000;
const START_MS = 1_700_000_000_000;

/** Drives an allocator: persists windows when told to, and checks every timestamp given. */
class Driver {
  persistedMs = 0;
  nowMs = START_MS;
  largest = 0n;
  given = 0;
  readonly refused: string[] = [];
  private pendingSave: number | undefined;
  private allocator: TsoAllocator<number>;
  private tokenNext = 0;
  private tokenAnswered = -1;
  private readonly pendingMax: number;
  private readonly counts = new Map<number, number>();

  constructor(pendingMax = 100) {
    this.pendingMax = pendingMax;
    this.allocator = this.make();
    this.absorb(this.allocator.start(this.nowMs));
  }

  request(count: number): void {
    const token = this.tokenNext++;
    this.counts.set(token, count);
    this.absorb(this.allocator.request(token, count, this.nowMs));
  }

  tick(): void {
    this.absorb(this.allocator.tick(this.nowMs));
  }

  save(): void {
    if (this.pendingSave === undefined) return;
    this.persistedMs = this.pendingSave;
    this.pendingSave = undefined;
    this.absorb(this.allocator.saved(this.persistedMs, this.nowMs));
  }

  /** A save in flight may or may not have reached the disk. */
  crash(saveReachedDisk: boolean): void {
    if (saveReachedDisk && this.pendingSave !== undefined) this.persistedMs = this.pendingSave;
    this.pendingSave = undefined;
    this.tokenAnswered = this.tokenNext - 1;
    this.allocator = this.make();
    this.absorb(this.allocator.start(this.nowMs));
  }

  private make(): TsoAllocator<number> {
    const options = { pendingMax: this.pendingMax, saveIntervalMs: TSO_SAVE_INTERVAL_MS };
    return new TsoAllocator(this.persistedMs, options);
  }

  private absorb(effects: TsoEffects<number>): void {
    for (const { token, answer } of effects.answers) {
      if (answer.kind === "refused") {
        this.refused.push(answer.message);
        continue;
      }
      assert.ok(token > this.tokenAnswered, "answers come in order");
      this.tokenAnswered = token;
      const { physical, logical } = answer.timestamp;
      const count = this.counts.get(token) as number;
      assert.ok(logical < 1 << 18, "logical fits 18 bits");
      assert.ok(logical - count >= 0, "the block lies in one millisecond");
      assert.ok(physical < this.persistedMs, "given only below the persisted window");
      const last = composeTs(answer.timestamp);
      const first = last - BigInt(count - 1);
      assert.ok(first > this.largest, `block ${first}..${last} is above ${this.largest}`);
      this.largest = last;
      this.given += count;
    }
    if (effects.save !== undefined) {
      assert.is(this.pendingSave, undefined, "one save at a time");
      this.pendingSave = effects.save;
    }
  }
}

type StepKind = "request" | "tick" | "save" | "jump" | "crash";
function step(weight: number, kind: StepKind, min: number, max: number) {
  return { weight, arbitrary: fc.record({ kind: fc.constant(kind), n: fc.integer({ min, max }) }) };
}
const arbitraryStep = fc.oneof(
  step(8, "request", 1, 262_143),
  step(8, "request", 1, 200),
  step(6, "tick", 0, 60),
  step(4, "save", 0, 0),
  step(1, "jump", -HOUR_MS, HOUR_MS),
  step(1, "crash", 0, 1),
);

test("property: unique and increasing over crashes, clock jumps and slow saves", () => {
  let given = 0;
  fc.assert(
    fc.property(fc.array(arbitraryStep, { maxLength: 200 }), (steps) => {
      const driver = new Driver();
      for (const { kind, n } of steps) {
        if (kind === "request") driver.request(n);
        if (kind === "tick" || kind === "jump") driver.nowMs += n;
        if (kind === "tick") driver.tick();
        if (kind === "save") driver.save();
        if (kind === "crash") driver.crash(n === 1);
      }
      given += driver.given;
    }),
    { numRuns: 300 },
  );
  assert.ok(given > 1_000_000, `the property saw ${given} timestamps`);
});

test("nothing is given before the first window is saved", () => {
  const driver = new Driver();
  driver.request(1);
  assert.is(driver.given, 0);
  driver.save();
  assert.is(driver.given, 1);
  assert.is(driver.persistedMs, START_MS + TSO_SAVE_INTERVAL_MS);
});

test("262,143 in one millisecond of the clock, then waiting until it moves", () => {
  const driver = new Driver();
  driver.save();
  driver.request(262_143);
  assert.is(driver.given, 262_143);
  driver.request(1);
  assert.is(driver.given, 262_143, "the millisecond is used up");
  driver.nowMs += 1;
  driver.request(1);
  assert.is(driver.given, 262_145, "the next millisecond serves both, in order");
});

test("physical time does not run ahead of the clock under overload, but for one step a tick", () => {
  const driver = new Driver(10_000);
  driver.save();
  for (let i = 0; i < 1000; i++) driver.request(200_000);
  assert.is(driver.given, 200_000, "the clock stands still");
  driver.tick();
  assert.is(driver.given, 400_000, "half used: a tick may step once");
});

test("a request that finds no room for 10 ticks is refused, later ones are served", () => {
  const driver = new Driver(1);
  driver.request(1);
  for (let i = 0; i < 11; i++) driver.tick();
  assert.equal(driver.refused, ["generate timestamp failed, maximum number of retries exceeded"]);
  driver.save();
  driver.request(1);
  assert.is(driver.given, 1);
});

test("bad counts and a full queue are refused", () => {
  const driver = new Driver(2);
  driver.request(0);
  driver.request(262_144);
  driver.request(4_294_967_295);
  assert.equal(driver.refused, [
    "generate timestamp failed, tso count should be positive",
    "generate timestamp failed, tso count 262144 exceeds 262143",
    "generate timestamp failed, tso count 4294967295 exceeds 262143",
  ]);
  for (let i = 0; i < 3; i++) driver.request(1);
  assert.is(driver.refused.at(-1), "generate timestamp failed, too many timestamp requests wait");
});

test("composeTs is physical << 18 | logical beyond 2^53", () => {
  const expected = 1_700_000_000_000n * 262_144n + 262_143n;
  assert.is(composeTs({ physical: START_MS, logical: 262_143 }), expected);
});

test.run();
