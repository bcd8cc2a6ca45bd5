/**
 * Timestamp arithmetic: (physical ms, logical) pairs that only grow, and the window that is
 * persisted before any timestamp of it is given. PURE; time comes in as `nowMs`.
 * Source: pd pkg/tso/tso.go.
 *
 * Why the window: PD loses its memory. After a crash the next process starts above the persisted
 * end, so it can never give a timestamp twice, even if the clock went back meanwhile.
 */
import { assert, LIMITS } from "../../base/index.js";

/** Default milliseconds of physical time that one save makes available (tso-save-interval). */
export const TSO_SAVE_INTERVAL_MS = 5000;
/** Differences up to this are not worth an update (updateTimestampGuard). */
const GUARD_MS = 1;

/** The largest timestamp of a block; the block is `logical - count + 1 .. logical`. */
export interface Timestamp {
  readonly physical: number;
  readonly logical: number;
}

/** Returns the 64-bit timestamp: physical << 18 | logical. */
export function composeTs(timestamp: Timestamp): bigint {
  return (BigInt(timestamp.physical) << 18n) | BigInt(timestamp.logical);
}

/** What moves the clock needs: nothing, or a persisted window first. */
export type OracleStep =
  | { readonly kind: "done" }
  | { readonly kind: "save"; readonly untilMs: number };

export class TimestampOracle {
  /** Invariant: once synced, physical < savedMs: no timestamp at or above the persisted end. */
  private physical = 0;
  private logical = 0;
  private savedMs: number;
  private readonly saveIntervalMs: number;
  private nextPhysical = 0;
  private synced = false;

  /** `savedMs` is the end of the window persisted last, 0 if none. */
  constructor(savedMs: number, saveIntervalMs: number) {
    this.savedMs = savedMs;
    this.saveIntervalMs = saveIntervalMs;
  }

  /** Whether timestamps can be given. */
  get ready(): boolean {
    return this.synced;
  }

  /** Starts above everything that earlier processes can have given. */
  sync(nowMs: number): OracleStep {
    this.nextPhysical = Math.max(Math.floor(nowMs), this.savedMs + GUARD_MS);
    return { kind: "save", untilMs: this.nextPhysical + this.saveIntervalMs };
  }

  /** Follows the clock: forward to now, or one step when the logical part is half used. */
  update(nowMs: number): OracleStep {
    const now = Math.floor(nowMs);
    if (now - this.physical > GUARD_MS) return this.moveTo(now);
    const halfUsed = this.logical > LIMITS.tsoLogicalMax / 2;
    return halfUsed ? this.moveTo(this.physical + 1) : { kind: "done" };
  }

  /**
   * Moves to the clock's millisecond if that is a later one. Unlike `update` it never runs ahead
   * of the clock, so it may be called as often as requests find no room.
   */
  catchUp(nowMs: number): OracleStep {
    const now = Math.floor(nowMs);
    return now > this.physical ? this.moveTo(now) : { kind: "done" };
  }

  private moveTo(physical: number): OracleStep {
    assert(this.synced, "an oracle is synced before it follows the clock");
    this.nextPhysical = physical;
    if (this.savedMs - this.nextPhysical <= GUARD_MS) {
      return { kind: "save", untilMs: this.nextPhysical + this.saveIntervalMs };
    }
    this.publish();
    return { kind: "done" };
  }

  /** Notes that the window up to `untilMs` is persisted; the move that asked for it takes place. */
  saved(untilMs: number): void {
    assert(untilMs > this.savedMs, "the timestamp window only grows");
    this.savedMs = untilMs;
    this.publish();
    this.synced = true;
  }

  /** Takes a block of `count` (1 .. 262,143); undefined when this millisecond has too few left. */
  generate(count: number): Timestamp | undefined {
    assert(this.synced, "no timestamp before the window is saved");
    if (this.logical + count >= LIMITS.tsoLogicalMax) return undefined;
    this.logical += count;
    return { physical: this.physical, logical: this.logical };
  }

  private publish(): void {
    assert(this.nextPhysical > this.physical, "physical time never goes back");
    assert(this.nextPhysical < this.savedMs, "the window is saved before it is used");
    this.physical = this.nextPhysical;
    this.logical = 0;
  }
}
