/**
 * The members of a group, their progress and their votes. Knows quorums, not the log.
 * Invariant: `progress` holds exactly the members of `config`, ascending by id, so that everything
 * that walks it is deterministic.
 */
import { Inflights } from "./inflights.js";
import { Progress } from "./progress.js";
import { jointCommitted, jointVote, type VoteResult } from "./quorum.js";
import type { ConfState } from "./types.js";

/** Members by role, each list sorted. Same shape as the stored ConfState. */
export type TrackerConfig = ConfState;

export class Tracker {
  config: TrackerConfig;
  progress: Map<number, Progress>;
  readonly votes = new Map<number, boolean>();

  constructor(config: TrackerConfig, progress: Map<number, Progress>) {
    this.config = config;
    this.progress = progress;
  }

  isJoint(): boolean {
    return this.config.votersOutgoing.length > 0;
  }

  /** Returns whether the peer votes, in either half. */
  isVoter(id: number): boolean {
    return this.config.voters.includes(id) || this.config.votersOutgoing.includes(id);
  }

  /** Returns everybody who votes, in either half, ascending. */
  voters(): number[] {
    return [...this.progress.keys()].filter((id) => this.isVoter(id));
  }

  /** Returns the highest index that the quorum has made durable. */
  committedIndex(): number {
    return this.quorumOf((progress) => progress.match);
  }

  /** Returns the newest heartbeat round that the quorum has answered. */
  confirmedRound(): number {
    return this.quorumOf((progress) => progress.ackedRound);
  }

  /** Returns whether a quorum answered since the last call, `self` counting as present. */
  takeQuorumActive(self: number): boolean {
    const active = jointVote(
      this.config.voters,
      this.config.votersOutgoing,
      (id) => id === self || this.progress.get(id)?.recentActive === true,
    );
    for (const progress of this.progress.values()) progress.recentActive = false;
    return active === "won";
  }

  resetVotes(): void {
    this.votes.clear();
  }

  /** Notes a vote; the first one of a peer counts. */
  recordVote(id: number, granted: boolean): void {
    if (!this.votes.has(id)) this.votes.set(id, granted);
  }

  voteResult(): VoteResult {
    return jointVote(this.config.voters, this.config.votersOutgoing, (id) => this.votes.get(id));
  }

  private quorumOf(numberOf: (progress: Progress) => number): number {
    const { voters, votersOutgoing } = this.config;
    return jointCommitted(voters, votersOutgoing, (id) => {
      const progress = this.progress.get(id);
      return progress === undefined ? 0 : numberOf(progress);
    });
  }
}

/** Makes progress objects with one set of inflight limits. */
export type ProgressFactory = (next: number, isLearner: boolean) => Progress;

/** Returns a factory of progress objects; see RaftOptions for the limits. */
export function progressFactory(messagesMax: number, bytesMax: number): ProgressFactory {
  return (next, isLearner) => new Progress(next, isLearner, new Inflights(messagesMax, bytesMax));
}

/** Returns one line: `voters=(1 2)&&(1) learners=(3) learners_next=(1) autoleave`. */
export function describeConfig(config: TrackerConfig): string {
  const list = (ids: readonly number[]): string => `(${ids.join(" ")})`;
  let line = `voters=${list(config.voters)}`;
  if (config.votersOutgoing.length > 0) line += `&&${list(config.votersOutgoing)}`;
  if (config.learners.length > 0) line += ` learners=${list(config.learners)}`;
  if (config.learnersNext.length > 0) line += ` learners_next=${list(config.learnersNext)}`;
  return config.autoLeave ? `${line} autoleave` : line;
}
