/**
 * The lease of a leader: until when, by its own monotonic clock, no other leader can exist. A quorum
 * that answers a heartbeat refuses votes for an election timeout since; the lease is shorter, and is
 * counted from before the heartbeat left. Pure: time comes as an argument.
 * Source: tikv raftstore/store/util.rs Lease; raft dissertation §6.4.1.
 *
 * Not here: when a leader may not use it (peer.ts): a TimeoutNow left in this term, a split is
 * committed and not yet applied.
 */

/** Rounds whose start is remembered. Beyond it new ones count from the newest that is. */
const STARTS_MAX = 64;

interface Start {
  readonly round: number;
  readonly ms: number;
}

/** Invariant: `#starts` ascends by round and by time. */
export class LeaderLease {
  readonly #maxMs: number;
  #starts: Start[] = [];
  #newestRound = 0;
  #confirmed = 0;
  #untilMs = Number.NEGATIVE_INFINITY;

  /** `maxMs`: raft-store-max-leader-lease, below the election timeout by a tick or more. */
  constructor(maxMs: number) {
    this.#maxMs = maxMs;
  }

  /** Notes that heartbeat rounds up to `round` left, none before `beforeMs`. */
  onRound(round: number, beforeMs: number): void {
    if (round <= this.#newestRound) return;
    this.#newestRound = round;
    if (this.#starts.length < STARTS_MAX) this.#starts.push({ round, ms: beforeMs });
  }

  /** Notes the newest round that a quorum answered; with `renews` the lease counts from it. */
  onConfirmed(round: number, renews: boolean): void {
    if (round <= this.#confirmed) return;
    this.#confirmed = round;
    let startMs: number | undefined;
    while (this.#starts.length > 0 && (this.#starts[0] as Start).round <= round) {
      startMs = (this.#starts.shift() as Start).ms;
    }
    if (startMs === undefined || !renews) return;
    this.#untilMs = Math.max(this.#untilMs, startMs + this.#maxMs);
  }

  /** Ends the lease at once, and forgets rounds: a new term counts its own. */
  expire(): void {
    this.#starts = [];
    this.#newestRound = 0;
    this.#confirmed = 0;
    this.#untilMs = Number.NEGATIVE_INFINITY;
  }

  /** Returns whether the lease holds at `nowMs`. */
  isValid(nowMs: number): boolean {
    return nowMs < this.#untilMs;
  }
}
