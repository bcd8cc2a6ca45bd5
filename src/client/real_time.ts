/** The machine's clock, timers and chance for Backoffer. */
import type { BackoffDeps } from "./backoff.js";

export const REAL_TIME: BackoffDeps = {
  nowMs: () => performance.now(),
  random: Math.random,
  sleep: (ms, signals) =>
    new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        for (const signal of signals) signal.removeEventListener("abort", done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      for (const signal of signals) signal.addEventListener("abort", done, { once: true });
      if (signals.some((signal) => signal.aborted)) done();
    }),
};
