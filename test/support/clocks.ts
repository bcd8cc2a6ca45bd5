/** Clocks for tests: the machine's, and one whose wall time the test moves. */
import type { Clock } from "../../src/base/index.js";

export const REAL_CLOCK: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
};

/** Real time plus an offset that the test changes, to make the wall clock jump. */
export class JumpingClock implements Clock {
  offsetMs = 0;

  nowMs(): number {
    return Date.now() + this.offsetMs;
  }

  monotonicMs(): number {
    return performance.now();
  }
}
