/** The machine's clocks behind the Clock interface. The one place outside tests that reads them. */
import type { Clock } from "../base/index.js";

export const REAL_CLOCK: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
};
