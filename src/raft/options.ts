/** Options of one Raft peer: types, defaults, validation. Times are ticks, sizes are bytes. */
import { LIMITS } from "../base/index.js";

export interface RaftOptions {
  /** This peer, ≥ 1. */
  readonly id: number;
  /** What the state machine has applied, from its own durable state. */
  readonly applied: number;
  /** A follower that hears no leader for this long may campaign; also the vote lease. */
  readonly electionTicks: number;
  /** Time between the leader's heartbeats. */
  readonly heartbeatTicks: number;
  /** A candidate asks for votes only after a majority said that it would get them. */
  readonly preVote: boolean;
  /** A leader that does not hear a majority steps down; followers with a leader refuse votes. */
  readonly checkQuorum: boolean;
  /**
   * The peer ran before and may have promised its vote to a leader's lease: it refuses votes for
   * one election timeout. False for bootstrapped, split and new peers.
   */
  readonly restarted: boolean;
  /** Lease: a leader whose heartbeats a majority confirmed of late answers reads at once. */
  readonly readOnly: "safe" | "lease";
  /** Ticks subtracted from the lease for clocks that run apart. */
  readonly leaseMarginTicks: number;
  /** Entries of one append message (raft-max-size-per-msg); one entry always fits. */
  readonly messageSizeMaxBytes: number;
  /** Entries of one Ready that are to be applied; one entry always fits. */
  readonly committedSizeMaxBytes: number;
  /** A larger proposal is refused (raft-entry-max-size). */
  readonly entrySizeMaxBytes: number;
  /** Uncommitted proposals of a leader; further ones are refused. One always fits. */
  readonly uncommittedSizeMaxBytes: number;
  /** Append messages on their way to one follower (raft-max-inflight-msgs). */
  readonly inflightMessagesMax: number;
  /** Entry bytes on their way to one follower; 0 is no limit. */
  readonly inflightBytesMax: number;
  /** Reads that wait for a confirmation; further ones are dropped, their callers retry. */
  readonly readsPendingMax: number;
  /**
   * A leader tells others the commit index only as far as it has applied itself. Without that: the
   * leader's disk is slow, the others commit and apply entry 7 without it, a read on a follower shows
   * entry 7, and a later read at the leader, under its lease, does not. Costs nothing: a write is
   * acknowledged when the leader has applied it.
   */
  readonly commitTellsApplied: boolean;
  /** A follower refuses proposals instead of passing them on. */
  readonly disableProposalForwarding: boolean;
}

const MIB = 1024 * 1024;

/** TiKV v8.5's defaults; id and applied have none. */
export const RAFT_DEFAULTS: Omit<RaftOptions, "id" | "applied"> = {
  electionTicks: 10,
  heartbeatTicks: 2,
  preVote: true,
  checkQuorum: true,
  restarted: false,
  readOnly: "safe",
  leaseMarginTicks: 1,
  messageSizeMaxBytes: MIB,
  committedSizeMaxBytes: 16 * MIB,
  entrySizeMaxBytes: LIMITS.raftEntrySizeMaxBytes,
  uncommittedSizeMaxBytes: 256 * MIB,
  inflightMessagesMax: 256,
  inflightBytesMax: 0,
  readsPendingMax: 4096,
  commitTellsApplied: false,
  disableProposalForwarding: false,
};

/** Returns every problem with the options; none means that a peer can start with them. */
export function validateOptions(options: RaftOptions): string[] {
  const problems: string[] = [];
  const whole = (name: keyof RaftOptions, min: number): void => {
    const value = options[name];
    if (!Number.isSafeInteger(value) || (value as number) < min)
      problems.push(`${name} must be a whole number of at least ${min}`);
  };
  whole("id", 1);
  whole("applied", 0);
  whole("heartbeatTicks", 1);
  whole("electionTicks", 2);
  whole("leaseMarginTicks", 0);
  whole("messageSizeMaxBytes", 0);
  whole("committedSizeMaxBytes", 0);
  whole("entrySizeMaxBytes", 1);
  whole("uncommittedSizeMaxBytes", 1);
  whole("inflightMessagesMax", 1);
  whole("inflightBytesMax", 0);
  whole("readsPendingMax", 1);
  if (options.electionTicks <= options.heartbeatTicks)
    problems.push("electionTicks must exceed heartbeatTicks");
  if (options.readOnly === "lease" && !options.checkQuorum)
    problems.push("readOnly lease needs checkQuorum: without it followers vote at any time");
  return problems;
}
