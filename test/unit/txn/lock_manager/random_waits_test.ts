/**
 * Random waits, releases, cancels and pauses against a model that keeps a plain list of waits and
 * looks through all of it at every step. Edges told to the detector are counted.
 */
import * as fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  type DeadlockDetector,
  LOCK_MANAGER_DEFAULTS,
  LockManager,
  type LockWaitEffect,
  type WaitForEntry,
} from "../../../../src/txn/index.js";
import { released, told, waitFor } from "../../../support/lock_waits.js";

const DELAY = LOCK_MANAGER_DEFAULTS.wakeUpDelayMs;

interface ModelWait {
  readonly token: number;
  readonly key: string;
  readonly startTs: number;
  readonly force: boolean;
  readonly deadlineMs: number;
  /** Legacy wake-ups of its key before it came. */
  readonly generation: number;
}

class Model {
  waits: ModelWait[] = [];
  /** Per key, while somebody waits there. */
  private readonly generations = new Map<string, number>();
  private readonly delayed = new Map<string, number>();

  add(wait: Omit<ModelWait, "generation">): void {
    this.waits.push({ ...wait, generation: this.generations.get(wait.key) ?? 0 });
  }

  remove(token: number): ModelWait | undefined {
    const found = this.waits.find((wait) => wait.token === token);
    this.waits = this.waits.filter((wait) => wait !== found);
    if (found !== undefined) this.forgetIfIdle(found.key);
    return found;
  }

  /** Returns the effects as text. */
  release(now: number, key: string): string[] {
    const [head] = this.queueOf(key);
    if (head === undefined) return [];
    if (!head.force) {
      this.generations.set(key, (this.generations.get(key) ?? 0) + 1);
      this.delayed.set(key, now + DELAY);
    }
    return [this.wake(head)];
  }

  /** Everything that falls due until `now`, as a set: equal deadlines come in any order. */
  tick(now: number): Set<string> {
    const effects = new Set<string>();
    for (;;) {
      const ends = this.waits.map(({ deadlineMs }) => deadlineMs);
      const next = Math.min(...ends, ...this.delayed.values());
      if (next > now) return effects;
      for (const [key, at] of [...this.delayed]) {
        if (at !== next) continue;
        this.delayed.delete(key);
        this.wakeRest(key, effects);
      }
      for (const wait of this.waits.filter(({ deadlineMs }) => deadlineMs === next)) {
        this.remove(wait.token);
        effects.add(`${wait.token} keyIsLocked`);
      }
    }
  }

  private wakeRest(key: string, effects: Set<string>): void {
    const generation = this.generations.get(key) ?? 0;
    for (const wait of this.queueOf(key)) {
      if (wait.generation >= generation) return;
      effects.add(this.wake(wait));
      if (wait.force) return;
    }
  }

  private wake({ token, force }: ModelWait): string {
    this.remove(token);
    return `${token} ${force ? "resume" : "writeConflict"}`;
  }

  private queueOf(key: string): ModelWait[] {
    const order = (a: ModelWait, b: ModelWait) => a.startTs - b.startTs || a.token - b.token;
    return this.waits.filter((wait) => wait.key === key).sort(order);
  }

  private forgetIfIdle(key: string): void {
    if (this.waits.some((wait) => wait.key === key)) return;
    this.generations.delete(key);
    this.delayed.delete(key);
  }
}

/** Counts the edges that were told and not taken back. */
class CountingDetector implements DeadlockDetector {
  open = 0;

  detect(): undefined {
    this.open++;
  }

  cleanUpWaitFor(_: number, edge: WaitForEntry): void {
    assert.ok(edge.txn > 0n);
    this.open--;
    assert.ok(this.open >= 0, "an edge is taken back once");
  }
}

const PAUSES = [0, 0, 0, 1, 5, 19, 21, 400, 1100] as const;

const step = fc.oneof(
  fc.record({
    kind: fc.constant("wait" as const),
    key: fc.constantFrom("a", "b", "c"),
    startTs: fc.integer({ min: 10, max: 20 }),
    force: fc.boolean(),
    timeoutMs: fc.constantFrom(0, 0, 30, 700, 2000),
  }),
  fc.record({ kind: fc.constant("release" as const), key: fc.constantFrom("a", "b", "c") }),
  fc.record({ kind: fc.constant("cancel" as const), index: fc.nat(20) }),
  fc.record({ kind: fc.constant("pause" as const), ms: fc.constantFrom(...PAUSES) }),
);

test("every wait ends once, when and how the model says, and takes its edge back", () => {
  const seen = new Map<string, number>();
  fc.assert(
    fc.property(fc.array(step, { minLength: 10, maxLength: 80 }), (steps) => {
      const detector = new CountingDetector();
      const manager = new LockManager(LOCK_MANAGER_DEFAULTS, detector);
      const model = new Model();
      const ended = new Set<number>();
      let now = 0;
      const end = (effects: readonly LockWaitEffect[]): string[] => {
        const texts = told(effects);
        for (const [index, { token }] of effects.entries()) {
          assert.not.ok(ended.has(token), `wait ${token} ends once`);
          ended.add(token);
          const what = (texts[index] as string).split(" ")[1] as string;
          seen.set(what, (seen.get(what) ?? 0) + 1);
        }
        return texts;
      };
      for (const one of steps) {
        if (one.kind === "wait") {
          const { key, startTs, force, timeoutMs } = one;
          const fields = { allowLockWithConflict: force, waitTimeoutMs: timeoutMs };
          const { token, effects } = manager.wait(now, waitFor(key, startTs, 5, fields));
          assert.equal(effects, []);
          const deadlineMs = now + (timeoutMs === 0 ? 1000 : Math.min(timeoutMs, 1000));
          model.add({ token, key, startTs, force, deadlineMs });
        } else if (one.kind === "release") {
          const effects = manager.release(now, [released(one.key, 5, 30)]);
          assert.equal(end(effects), model.release(now, one.key));
        } else if (one.kind === "cancel") {
          const wait = model.waits[one.index];
          if (wait === undefined) continue;
          manager.cancel(now, wait.token);
          model.remove(wait.token);
        } else {
          // Each millisecond by itself: so nothing is late, and order within one is all that is free.
          for (const until = now + one.ms; now < until; ) {
            now++;
            const due = manager.nextDeadlineMs;
            const effects = due !== undefined && due <= now ? manager.tick(now) : [];
            assert.equal(new Set(end(effects)), model.tick(now), `at ${now} ms`);
          }
        }
        assert.is(manager.size, model.waits.length);
        assert.is(detector.open, model.waits.length, "one edge for each wait");
        assert.is(manager.keys, new Set(model.waits.map(({ key }) => key)).size);
      }
    }),
    { seed: 2, numRuns: 250 },
  );
  for (const what of ["resume", "writeConflict", "keyIsLocked"]) {
    assert.ok((seen.get(what) ?? 0) > 100, `${what} was met ${seen.get(what)} times`);
  }
});

test.run();
