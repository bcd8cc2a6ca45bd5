/** The token bucket that streams share, and the order of work on ranges. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Prng, toHex, utf8 } from "../../../../src/base/index.js";
import {
  gapsBetween,
  type KeySpan,
  mergeSpans,
  RangeJobs,
  spansOverlap,
} from "../../../../src/raftstore/snapshot/range_jobs.js";
import { Throttle } from "../../../../src/raftstore/snapshot/throttle.js";
import { SimLoop } from "../../../sim/loop.js";

function throttle(bytesPerSecond: number): { readonly loop: SimLoop; readonly limit: Throttle } {
  const loop = new SimLoop();
  const clock = { nowMs: () => 0, monotonicMs: () => loop.nowUs / 1000 };
  const timers = {
    after: (delayMs: number, callback: () => void) => {
      const event = loop.after(delayMs * 1000, callback);
      return () => event.cancel();
    },
  };
  return { loop, limit: new Throttle(bytesPerSecond, clock, timers) };
}

/** Sends `chunks` chunks of `bytes`; counts the turns in `log`. */
function stream(limit: Throttle, name: string, chunks: number, bytes: number, log: string[]): void {
  if (chunks === 0) return;
  limit.ready(() => {
    limit.spend(bytes);
    log.push(name);
    stream(limit, name, chunks - 1, bytes, log);
  });
}

test("streams share the rate and take turns", async () => {
  const { loop, limit } = throttle(1_000_000);
  const log: string[] = [];
  for (const name of ["a", "b", "c"]) stream(limit, name, 100, 10_000, log);
  await loop.run(60_000_000, () => {
    if (log.length === 300) loop.stop();
  });
  assert.is(log.length, 300);
  const seconds = loop.nowUs / 1e6;
  assert.ok(seconds > 2.7 && seconds < 3.1, `3 MB at 1 MB/s took ${seconds} s`);
  assert.is(log.slice(0, 9).join(""), "abcabcabc");
  assert.is(log.slice(-9).join(""), "abcabcabc");
});

test("no limit is still one chunk of each stream a turn", async () => {
  const { loop, limit } = throttle(0);
  const log: string[] = [];
  for (const name of ["a", "b"]) stream(limit, name, 50, 1_000_000, log);
  let turns = 0;
  await loop.run(1_000_000, () => turns++);
  assert.is(log.join(""), "ab".repeat(50));
  assert.is(turns, 50);
});

test("a pause does not save up for a burst", async () => {
  const { loop, limit } = throttle(1_000_000);
  await loop.run(60_000_000, () => {});
  const log: string[] = [];
  stream(limit, "a", 100, 10_000, log);
  await loop.run(60_050_000, () => {});
  assert.ok(log.length >= 10 && log.length <= 17, `${log.length} chunks in 50 ms`);
});

test("a chunk above the whole rate goes, and is paid for", async () => {
  const { loop, limit } = throttle(1000);
  const log: string[] = [];
  stream(limit, "a", 3, 5000, log);
  await loop.run(4_000_000, () => {});
  assert.is(log.length, 1);
  await loop.run(11_000_000, () => {});
  assert.is(log.length, 3);
});

function span(startKey: string, endKey: string): KeySpan {
  return { startKey: utf8(startKey), endKey: utf8(endKey) };
}

function text(spans: readonly KeySpan[]): string {
  return spans.map((one) => `${utf8Text(one.startKey)}-${utf8Text(one.endKey)}`).join(" ");
}

function utf8Text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString();
}

test("spans merge where they overlap or touch; gaps are the rest", () => {
  const spans = [span("m", "p"), span("a", "c"), span("b", "d"), span("d", "e"), span("x", "")];
  assert.is(text(mergeSpans(spans)), "a-e m-p x-");
  assert.is(text(gapsBetween(spans)), "-a e-m p-x");
  assert.is(text(gapsBetween([])), "-");
  assert.is(text(gapsBetween([span("", "")])), "");
  assert.is(text(mergeSpans([span("c", ""), span("d", "e")])), "c-");
  assert.not(spansOverlap(span("a", "b"), span("b", "c")));
  assert.ok(spansOverlap(span("a", ""), span("x", "y")));
});

test("jobs never run beside or before an earlier one that overlaps", () => {
  const prng = new Prng(3n);
  for (let round = 0; round < 200; round++) {
    const jobs = new RangeJobs(prng.range(1, 4));
    const started: number[] = [];
    const ended = new Set<number>();
    const finish = new Map<number, () => void>();
    const spans: KeySpan[] = [];
    for (let i = 0; i < 20; i++) {
      const start = prng.below(200);
      const one = {
        startKey: Uint8Array.of(start),
        endKey: prng.ratio(1, 10)
          ? new Uint8Array(0)
          : Uint8Array.of(Math.min(255, start + prng.range(1, 60))),
      };
      spans.push(one);
      jobs.add([one], (done) => {
        for (let before = 0; before < i; before++) {
          const earlier = spans[before] as KeySpan;
          const blocks = !ended.has(before) && spansOverlap(earlier, one);
          assert.not(blocks, `round ${round}: ${i} runs before ${before} ended`);
        }
        started.push(i);
        finish.set(i, done);
      });
      if (prng.ratio(1, 2)) endOne();
    }
    while (jobs.size > 0) endOne();
    assert.is(started.length, 20, `round ${round}: all ran`);

    function endOne(): void {
      const running = [...finish.keys()];
      const one = running[prng.below(Math.max(1, running.length))];
      if (one === undefined) return;
      const done = finish.get(one);
      finish.delete(one);
      ended.add(one);
      done?.();
    }
  }
});

test("jobs that touch nothing in common run side by side, up to the bound", () => {
  const jobs = new RangeJobs(2);
  const running: string[] = [];
  const ends: (() => void)[] = [];
  for (const one of [span("a", "b"), span("c", "d"), span("e", "f")]) {
    jobs.add([one], (done) => {
      running.push(toHex(one.startKey));
      ends.push(done);
    });
  }
  assert.is(running.length, 2);
  ends[0]?.();
  assert.is(running.length, 3);
  assert.throws(() => ends[0]?.(), /a job ends once/);
});

test.run();
