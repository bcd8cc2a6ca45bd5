/**
 * The beat of a store: calls back every interval of monotonic time, never sooner. A callback that
 * comes late delays the next ones: what was missed is not made up.
 */
import type { Clock, Timers } from "../base/index.js";

export class Ticker {
  readonly #intervalMs: number;
  readonly #deps: { readonly clock: Clock; readonly timers: Timers };
  readonly #onTick: () => void;
  #cancel: (() => void) | undefined;
  #lastMs = 0;

  constructor(
    intervalMs: number,
    deps: { readonly clock: Clock; readonly timers: Timers },
    onTick: () => void,
  ) {
    this.#intervalMs = intervalMs;
    this.#deps = deps;
    this.#onTick = onTick;
  }

  start(): void {
    this.#lastMs = this.#deps.clock.monotonicMs();
    this.#arm(this.#intervalMs);
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  #arm(delayMs: number): void {
    this.#cancel = this.#deps.timers.after(delayMs, () => this.#fire());
  }

  #fire(): void {
    const nowMs = this.#deps.clock.monotonicMs();
    const restMs = this.#lastMs + this.#intervalMs - nowMs;
    // Timers of the event loop may be early by a fraction of a millisecond; leases may not.
    if (restMs > 0) {
      this.#arm(Math.max(1, restMs));
      return;
    }
    this.#lastMs = nowMs;
    this.#arm(this.#intervalMs);
    this.#onTick();
  }
}
