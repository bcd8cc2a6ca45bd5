/** A clock that moves when a test says so. */
import type { Clock } from "../../src/base/index.js";

export class FakeClock implements Clock {
  private ms = 0;

  /** `startMs`: wall-clock milliseconds at the start. */
  constructor(private readonly startMs = 1_700_000_000_000) {}

  advance(ms: number): void {
    this.ms += ms;
  }

  nowMs(): number {
    return this.startMs + this.ms;
  }

  monotonicMs(): number {
    return this.ms;
  }
}
