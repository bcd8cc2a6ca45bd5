/**
 * Waiting as an injected dependency, beside Clock. The real one is node/real_timers.ts; the
 * simulator brings its own, on virtual time.
 */
export interface Timers {
  /**
   * Calls back once, after at least `delayMs` of monotonic time, never from inside `after`.
   * Returns what cancels it; cancelling twice or too late has no effect.
   */
  after(delayMs: number, callback: () => void): () => void;
}
