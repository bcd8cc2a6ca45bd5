/** Timers that fire when a test says so, in order of their time. */
import type { Timers } from "../../src/base/index.js";
import type { FakeClock } from "./fake_clock.js";

interface Waiting {
  readonly at: number;
  readonly callback: () => void;
}

export class FakeTimers implements Timers {
  /** Callbacks made so far. */
  fired = 0;
  private now = 0;
  private waiting: Waiting[] = [];

  /** `clock` is moved along. */
  constructor(private readonly clock?: FakeClock) {}

  after(delayMs: number, callback: () => void): () => void {
    const waiting = { at: this.now + delayMs, callback };
    this.waiting.push(waiting);
    return () => {
      this.waiting = this.waiting.filter((one) => one !== waiting);
    };
  }

  /** Lets `ms` pass and fires what falls due, what is set meanwhile included. */
  advance(ms: number): void {
    const until = this.now + ms;
    for (let next = this.next(until); next !== undefined; next = this.next(until)) {
      this.move(next.at);
      this.waiting = this.waiting.filter((one) => one !== next);
      this.fired++;
      next.callback();
    }
    this.move(until);
  }

  /** Fires everything that waits with no delay, until nothing does. */
  runAll(): void {
    this.advance(0);
  }

  private next(until: number): Waiting | undefined {
    let first: Waiting | undefined;
    for (const one of this.waiting) {
      if (one.at <= until && (first === undefined || one.at < first.at)) first = one;
    }
    return first;
  }

  private move(to: number): void {
    this.clock?.advance(to - this.now);
    this.now = to;
  }
}
