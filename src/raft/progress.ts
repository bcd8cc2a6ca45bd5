/**
 * What the leader knows about one peer's log, and how fast it may send. All transitions are here.
 *
 *   Probe      where the logs agree is a guess: one append at a time, the next after an answer
 *   Replicate  they agree up to match: appends are pipelined up to the inflight limits
 *   Snapshot   the peer needs a snapshot, one is under way: no appends
 *
 * Invariant: match < next. Hot: touched for each append and each acknowledgement.
 */
import { assert } from "../base/index.js";
import type { Inflights } from "./inflights.js";

export const ProgressState = { Probe: 0, Replicate: 1, Snapshot: 2 } as const;
export type ProgressState = (typeof ProgressState)[keyof typeof ProgressState];

const STATE_NAMES = ["StateProbe", "StateReplicate", "StateSnapshot"] as const;

export class Progress {
  state: ProgressState = ProgressState.Probe;
  /** Highest index known to be durable there. */
  match = 0;
  /** Index of the first entry to send next. */
  next: number;
  isLearner: boolean;
  /** Probe: an append is under way, wait for an answer or a heartbeat's. */
  probeSent = false;
  /** Snapshot: index of the snapshot under way. */
  pendingSnapshot = 0;
  /** It answered since the last check of the quorum. */
  recentActive = false;
  /** Newest heartbeat round that it answered in this term. */
  ackedRound = 0;
  readonly inflights: Inflights;

  constructor(next: number, isLearner: boolean, inflights: Inflights) {
    this.next = next;
    this.isLearner = isLearner;
    this.inflights = inflights;
  }

  /** Returns a copy that shares the inflights: one of the two is to be dropped. */
  copy(): Progress {
    const copy = new Progress(this.next, this.isLearner, this.inflights);
    copy.state = this.state;
    copy.match = this.match;
    copy.probeSent = this.probeSent;
    copy.pendingSnapshot = this.pendingSnapshot;
    copy.recentActive = this.recentActive;
    copy.ackedRound = this.ackedRound;
    return copy;
  }

  /** Starts over for a new term. */
  reset(next: number): void {
    this.enter(ProgressState.Probe);
    this.match = 0;
    this.next = next;
    this.recentActive = false;
    this.ackedRound = 0;
  }

  /** Next is searched again, after a finished snapshot from behind it. */
  becomeProbe(): void {
    const snapshot = this.state === ProgressState.Snapshot ? this.pendingSnapshot : 0;
    this.enter(ProgressState.Probe);
    this.next = Math.max(this.match, snapshot) + 1;
  }

  becomeReplicate(): void {
    this.enter(ProgressState.Replicate);
    this.next = this.match + 1;
  }

  becomeSnapshot(index: number): void {
    this.enter(ProgressState.Snapshot);
    this.pendingSnapshot = index;
  }

  /** The snapshot under way did not arrive. */
  snapshotFailed(): void {
    this.pendingSnapshot = 0;
  }

  /** Notes an acknowledgement up to `index`; returns whether it is news. */
  maybeUpdate(index: number): boolean {
    const news = index > this.match;
    if (news) {
      this.match = index;
      this.probeSent = false;
    }
    this.next = Math.max(this.next, index + 1);
    return news;
  }

  /**
   * Handles a rejected append whose previous index was `rejected`, with a guess at where the logs
   * agree. Returns false for a stale rejection, of a message before the current ones.
   */
  maybeDecreaseTo(rejected: number, hint: number): boolean {
    if (this.state === ProgressState.Snapshot) return false;
    if (this.state === ProgressState.Replicate) {
      if (rejected <= this.match) return false;
      this.next = this.match + 1;
      return true;
    }
    if (this.next - 1 !== rejected) return false;
    this.next = Math.max(Math.min(rejected, hint + 1), this.match + 1);
    this.probeSent = false;
    return true;
  }

  /** Notes an append message of `count` entries that ends before the new next. */
  onSent(count: number, bytes: number): void {
    assert(this.state !== ProgressState.Snapshot, "no appends during a snapshot");
    if (this.state === ProgressState.Probe) {
      this.probeSent = true;
      return;
    }
    if (count === 0) return;
    this.next += count;
    this.inflights.add(this.next - 1, bytes);
  }

  /** Returns whether no append may be sent now. */
  isPaused(): boolean {
    if (this.state === ProgressState.Probe) return this.probeSent;
    if (this.state === ProgressState.Replicate) return this.inflights.full();
    return true;
  }

  /** Returns one line for state dumps. */
  describe(): string {
    let line = `${STATE_NAMES[this.state]} match=${this.match} next=${this.next}`;
    if (this.isLearner) line += " learner";
    if (this.isPaused()) line += " paused";
    if (this.pendingSnapshot > 0) line += ` pendingSnap=${this.pendingSnapshot}`;
    if (this.inflights.count > 0) line += ` inflight=${this.inflights.count}`;
    return line;
  }

  private enter(state: ProgressState): void {
    this.state = state;
    this.probeSent = false;
    this.pendingSnapshot = 0;
    this.inflights.reset();
  }
}
