/**
 * Time as an injected dependency. Pure code takes ticks or a `now` argument; drivers take a Clock.
 * The real one is node/real_clock.ts; tests and the simulator bring their own.
 */
export interface Clock {
  /** Wall-clock milliseconds since the Unix epoch. May jump. */
  nowMs(): number;
  /** Monotonic milliseconds from an arbitrary origin, with a fraction. Never goes back. */
  monotonicMs(): number;
}
