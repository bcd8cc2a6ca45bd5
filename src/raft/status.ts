/** A snapshot of the machine for metrics, drivers and golden files. */
import type { Raft } from "./raft.js";
import { describeConfig, type TrackerConfig } from "./tracker.js";
import { NONE, ROLE_NAMES, Role } from "./types.js";

export interface ProgressStatus {
  readonly id: number;
  readonly match: number;
  readonly next: number;
  readonly state: number;
  readonly isLearner: boolean;
  readonly recentActive: boolean;
  readonly pendingSnapshot: number;
  readonly inflightCount: number;
}

export interface RaftStatus {
  readonly id: number;
  readonly term: number;
  readonly vote: number;
  readonly leader: number;
  readonly role: Role;
  readonly committed: number;
  readonly applied: number;
  readonly persisted: number;
  readonly firstIndex: number;
  readonly lastIndex: number;
  readonly config: TrackerConfig;
  /** Peer that the leader hands over to, or 0. */
  readonly leadTransferee: number;
  /** A lease may not be renewed in this term: see Raft.leaseSuspect. */
  readonly leaseSuspect: boolean;
  /** Newest heartbeat round that left, and newest that a quorum answered; both of this term. */
  readonly round: number;
  readonly confirmedRound: number;
  readonly committedInTerm: boolean;
  readonly pendingConfIndex: number;
  readonly readsWaiting: number;
  /** Of the leader: its peers, ascending by id. Else empty. */
  readonly progress: readonly ProgressStatus[];
}

/** Returns the state as data; nothing in it changes later. */
export function statusOf(raft: Raft): RaftStatus {
  const { log, readOnly, tracker } = raft;
  const progress: ProgressStatus[] = [];
  if (raft.role === Role.Leader) {
    for (const [id, peer] of tracker.progress) {
      const { match, next, state, isLearner, recentActive, pendingSnapshot } = peer;
      const inflightCount = peer.inflights.count;
      progress.push({
        id,
        match,
        next,
        state,
        isLearner,
        recentActive,
        pendingSnapshot,
        inflightCount,
      });
    }
  }
  return {
    id: raft.id,
    term: raft.term,
    vote: raft.vote,
    leader: raft.leader,
    role: raft.role,
    committed: log.committed,
    applied: log.applied,
    persisted: log.persisted,
    firstIndex: log.firstIndex(),
    lastIndex: log.lastIndex(),
    config: tracker.config,
    leadTransferee: raft.leadTransferee,
    leaseSuspect: raft.leaseSuspect,
    round: readOnly.round,
    confirmedRound: readOnly.confirmed,
    committedInTerm: raft.committedInTerm(),
    pendingConfIndex: raft.pendingConfIndex,
    readsWaiting: readOnly.waiting,
    progress,
  };
}

/** Returns the state as one aligned line, the leader's peers behind it. */
export function debugState(raft: Raft): string {
  const { log, tracker } = raft;
  const fields = [
    `${raft.id}`,
    (ROLE_NAMES[raft.role] as string).padEnd(12),
    `term=${raft.term}`,
    `vote=${raft.vote}`,
    `leader=${raft.leader}`,
    `first=${log.firstIndex()}`,
    `applied=${log.applied}`,
    `commit=${log.committed}`,
    `persisted=${log.persisted}`,
    `last=${log.lastIndex()}`,
    describeConfig(tracker.config),
  ];
  if (raft.leadTransferee !== NONE) fields.push(`transferee=${raft.leadTransferee}`);
  if (raft.readOnly.waiting > 0) fields.push(`reads=${raft.readOnly.waiting}`);
  if (raft.role === Role.Leader) {
    for (const [id, progress] of tracker.progress) {
      if (id !== raft.id) fields.push(`[${id}: ${progress.describe()}]`);
    }
  }
  return fields.join(" ");
}
