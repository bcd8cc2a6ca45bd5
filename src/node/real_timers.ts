/** Timers of a process. They do not keep it alive: servers do. */
import type { Timers } from "../base/index.js";

export const realTimers: Timers = {
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs);
    timer.unref();
    return () => clearTimeout(timer);
  },
};
