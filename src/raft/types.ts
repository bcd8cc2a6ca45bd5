/**
 * The data of Raft: entries, messages, states. Plain objects with Number for terms, indexes and ids
 * (below 2^53, checked where they enter); wire.ts maps them to eraftpb.
 */

/** No peer: nobody voted for, no leader known. Peer ids start at 1. */
export const NONE = 0;

const EMPTY_BYTES: Uint8Array = new Uint8Array(0);
const NO_ENTRIES: readonly Entry[] = Object.freeze([]);

// PERSISTED: do not renumber.
export const EntryType = { Normal: 0, ConfChange: 1, ConfChangeV2: 2 } as const;
export type EntryType = (typeof EntryType)[keyof typeof EntryType];

/** The numbers are on the wire. Hup, Beat, Unreachable, SnapStatus and CheckQuorum stay local. */
export const MessageType = {
  Hup: 0,
  Beat: 1,
  Propose: 2,
  Append: 3,
  AppendResponse: 4,
  RequestVote: 5,
  RequestVoteResponse: 6,
  Snapshot: 7,
  Heartbeat: 8,
  HeartbeatResponse: 9,
  Unreachable: 10,
  SnapStatus: 11,
  CheckQuorum: 12,
  TransferLeader: 13,
  TimeoutNow: 14,
  ReadIndex: 15,
  ReadIndexResp: 16,
  RequestPreVote: 17,
  RequestPreVoteResponse: 18,
} as const;
export type MessageType = (typeof MessageType)[keyof typeof MessageType];

/** One entry of the log. Shared between log, messages and Readies: nobody changes one. */
export interface Entry {
  readonly type: EntryType;
  readonly term: number;
  readonly index: number;
  /** The state machine's; for membership entries an encoded ConfChange or ConfChangeV2. */
  readonly data: Uint8Array;
  /** The proposer's. */
  readonly context: Uint8Array;
}

/** What must be durable before a peer may answer. */
export interface HardState {
  readonly term: number;
  readonly vote: number;
  readonly commit: number;
}

/** The members as they are stored. Lists are sorted. Joint while votersOutgoing is not empty. */
export interface ConfState {
  readonly voters: readonly number[];
  readonly learners: readonly number[];
  readonly votersOutgoing: readonly number[];
  /** Voters of the outgoing half that become learners when the joint state is left. */
  readonly learnersNext: readonly number[];
  readonly autoLeave: boolean;
}

export interface SnapshotMetadata {
  readonly confState: ConfState;
  readonly index: number;
  readonly term: number;
}

export interface Snapshot {
  readonly data: Uint8Array;
  readonly metadata: SnapshotMetadata;
}

/**
 * All that peers say to each other, told apart by `type`. A message that left the machine belongs
 * to the driver.
 */
export interface Message {
  type: MessageType;
  to: number;
  from: number;
  /** 0 for local messages and for those that a follower passes on to its leader. */
  term: number;
  /** Append, votes: term of the entry at `index`; a rejection: term of the entry at rejectHint. */
  logTerm: number;
  index: number;
  entries: readonly Entry[];
  commit: number;
  snapshot: Snapshot | null;
  reject: boolean;
  /** In a rejected append: where the logs may still agree. */
  rejectHint: number;
  context: Uint8Array;
}

// PERSISTED: do not renumber.
export const ConfChangeType = { AddNode: 0, RemoveNode: 1, AddLearnerNode: 2 } as const;
export type ConfChangeType = (typeof ConfChangeType)[keyof typeof ConfChangeType];

/**
 * How a change is carried out. Auto: one change is simple, more go through a joint state that is
 * left by itself. Implicit and Explicit: always joint; left by itself, or on request.
 * PERSISTED: do not renumber.
 */
export const ConfChangeTransition = { Auto: 0, Implicit: 1, Explicit: 2 } as const;
export type ConfChangeTransition = (typeof ConfChangeTransition)[keyof typeof ConfChangeTransition];

export interface ConfChangeSingle {
  readonly type: ConfChangeType;
  readonly id: number;
}

/** A change of members; with no changes and Auto it leaves the joint state. */
export interface ConfChangeV2 {
  readonly transition: ConfChangeTransition;
  readonly changes: readonly ConfChangeSingle[];
  readonly context: Uint8Array;
}

export const Role = { Follower: 0, PreCandidate: 1, Candidate: 2, Leader: 3 } as const;
export type Role = (typeof Role)[keyof typeof Role];

/** Names by number, for state lines. */
export const ROLE_NAMES = ["Follower", "PreCandidate", "Candidate", "Leader"] as const;

/** A member list without anybody: what a peer has that was created by a message. */
export const EMPTY_CONF_STATE: ConfState = {
  voters: [],
  learners: [],
  votersOutgoing: [],
  learnersNext: [],
  autoLeave: false,
};

/** Returns whether the peer is a member in any role. */
export function isMember(state: ConfState, id: number): boolean {
  // Who becomes a learner next is still a voter of the outgoing half.
  return (
    state.voters.includes(id) || state.learners.includes(id) || state.votersOutgoing.includes(id)
  );
}

/** Returns a message with every other field at its default. */
export function newMessage(type: MessageType, to: number): Message {
  return {
    type,
    to,
    from: NONE,
    term: 0,
    logTerm: 0,
    index: 0,
    entries: NO_ENTRIES,
    commit: 0,
    snapshot: null,
    reject: false,
    rejectHint: 0,
    context: EMPTY_BYTES,
  };
}

/** Returns an entry as a proposer hands it in: the leader gives it term and index. */
export function newProposal(type: EntryType, data: Uint8Array, context = EMPTY_BYTES): Entry {
  return { type, term: 0, index: 0, data, context };
}

/** Bytes that an entry takes besides its payload: what limits count for it. */
const ENTRY_OVERHEAD_BYTES = 24;

/** Returns the size of an entry for the limits of messages, Readies and inflights, in bytes. */
export function entryBytes(entry: Entry): number {
  return ENTRY_OVERHEAD_BYTES + entry.data.length + entry.context.length;
}

/** Returns the size of all entries, in bytes. */
export function entriesBytes(entries: readonly Entry[]): number {
  let total = 0;
  for (let i = 0; i < entries.length; i++) total += entryBytes(entries[i] as Entry);
  return total;
}

/** Returns the longest prefix of at most `bytesMax` bytes, and at least one entry if there is one. */
export function limitEntries(entries: readonly Entry[], bytesMax: number): readonly Entry[] {
  let total = 0;
  for (let i = 0; i < entries.length; i++) {
    total += entryBytes(entries[i] as Entry);
    if (total > bytesMax && i > 0) return entries.slice(0, i);
  }
  return entries;
}
