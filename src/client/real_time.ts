/** The machine's clock, timers and chance. */
import type { ClientTime } from "./ports.js";

export const REAL_TIME: ClientTime = {
  nowMs: () => performance.now(),
  random: Math.random,
  after: (delayMs, callback) => {
    const timer = setTimeout(callback, delayMs);
    return () => clearTimeout(timer);
  },
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
