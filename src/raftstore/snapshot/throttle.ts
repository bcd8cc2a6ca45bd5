/**
 * A token bucket that several streams share: who waited longest goes next. Calls back only from
 * timers, so that a stream moves one chunk a turn and poll rounds run in between.
 */
import { assert, type Clock, type Timers } from "../../base/index.js";

/** The bucket holds what this time brings: bursts after a pause stay short. */
const BURST_MS = 100;

export class Throttle {
  /** Bytes that may go now; negative after a chunk that was larger than the rest. */
  private budget: number;
  private filledAtMs: number;
  private readonly waiting: (() => void)[] = [];
  private timing = false;

  /** `bytesPerSecond` 0: no limit, but still one chunk a turn. */
  constructor(
    private readonly bytesPerSecond: number,
    private readonly clock: Clock,
    private readonly timers: Timers,
  ) {
    assert(bytesPerSecond >= 0, "a rate is not negative");
    this.budget = this.capacity();
    this.filledAtMs = clock.monotonicMs();
  }

  /**
   * Calls `go` once, in a later turn, when bytes may flow; it should `spend` in that call.
   * Bound: the callers' streams, one call each.
   */
  ready(go: () => void): void {
    this.waiting.push(go);
    this.schedule();
  }

  /** Takes bytes that have flowed out of the bucket. */
  spend(bytes: number): void {
    if (this.bytesPerSecond > 0) this.budget -= bytes;
  }

  private schedule(): void {
    if (this.timing || this.waiting.length === 0) return;
    this.timing = true;
    this.refill();
    const rate = this.bytesPerSecond;
    const delayMs = rate === 0 || this.budget > 0 ? 0 : Math.ceil((1 - this.budget) / (rate / 1e3));
    this.timers.after(delayMs, () => this.wake());
  }

  /** Lets everybody go that waited when the turn began, as far as the budget reaches. */
  private wake(): void {
    this.timing = false;
    this.refill();
    for (let left = this.waiting.length; left > 0; left--) {
      if (this.bytesPerSecond > 0 && this.budget <= 0) break;
      this.waiting.shift()?.();
    }
    this.schedule();
  }

  private refill(): void {
    if (this.bytesPerSecond === 0) return;
    const now = this.clock.monotonicMs();
    const gained = ((now - this.filledAtMs) / 1e3) * this.bytesPerSecond;
    this.filledAtMs = now;
    this.budget = Math.min(this.capacity(), this.budget + gained);
  }

  private capacity(): number {
    return Math.max(1, (this.bytesPerSecond / 1e3) * BURST_MS);
  }
}
