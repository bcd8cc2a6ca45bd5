/**
 * The state of one Raft peer, its role changes, and the gate that every message passes: the term.
 * Cases by role are in step_*.ts, sending in replication.ts, campaigns in election.ts. Not here:
 * what a driver sees (raw_node.ts). Source: raft §5, §6. Hot path.
 */
import { assert, type Prng } from "../base/index.js";
import { applyChange } from "./confchange.js";
import { restoreMembers } from "./confchange_restore.js";
import { answerVote, hup, ignoresVotes, randomTimeout } from "./election.js";
import { RaftLog } from "./log.js";
import type { RaftOptions } from "./options.js";
import { answerConfirmed, answerPostponed, ReadOnly, type ReadState } from "./read_only.js";
import { bcastAppend, bcastHeartbeat, sendAppendNonEmpty } from "./replication.js";
import { stepCandidate } from "./step_candidate.js";
import { stepFollower } from "./step_follower.js";
import { appendOwn, maybeAutoLeave, stepLeader } from "./step_leader.js";
import type { FetchContext, Storage } from "./storage.js";
import type { Trace } from "./trace.js";
import { describeConfig, type ProgressFactory, progressFactory, Tracker } from "./tracker.js";
import { abortTransfer } from "./transfer.js";
import {
  type ConfChangeV2,
  type ConfState,
  type Entry,
  EntryType,
  type HardState,
  isMember,
  type Message,
  MessageType,
  NONE,
  newMessage,
  newProposal,
  Role,
  type Snapshot,
} from "./types.js";

/** Why a message or a proposal was not taken; the proposer is told, nothing happened. */
export type StepError =
  | "NotLeader"
  | "NotMember"
  | "LeaderTransferring"
  | "EntryTooLarge"
  | "UncommittedTooLarge"
  | "ConfChangePending"
  | "ConfChangeInvalid"
  | "TooManyReads"
  | "MessageInvalid";

export interface RaftDependencies {
  readonly prng: Prng;
  readonly storage: Storage;
  readonly trace: Trace;
}

/**
 * Invariants: the term never goes back; a peer votes once a term; what is committed stays; while it
 * leads, its own entries are only appended.
 */
export class Raft {
  readonly id: number;
  readonly prng: Prng;
  readonly storage: Storage;
  readonly trace: Trace;
  readonly log: RaftLog;
  readonly readOnly: ReadOnly;
  readonly newProgress: ProgressFactory;
  tracker: Tracker;

  term: number;
  vote: number;
  leader = NONE;
  role: Role = Role.Follower;
  /** The vote of this term that is known to be durable counts for the own campaign. */
  durableState: HardState;

  /** Ticks since the start; the lease is measured in them. */
  ticks = 0;
  heartbeatElapsed = 0;
  electionElapsed = 0;
  randomizedTimeout = 0;
  /**
   * Ticks for which this peer refuses votes, its own included: it heard a leader, whose lease rests
   * on that, or may have before it restarted. Changes of term do not end it. Without that: a late
   * refusal of a pre-vote brings a higher term, the leader is forgotten, a waiting candidate of that
   * term gets the vote, and leads while the lease is valid.
   */
  voteGuard: number;

  leadTransferee = NONE;
  /**
   * A TimeoutNow left in this term. It makes its receiver campaign whenever it arrives, and such a
   * campaign passes the vote lease: no lease reads until the term ends.
   */
  leaseSuspect = false;
  /** No change of members is proposed before this index is applied. */
  pendingConfIndex = 0;
  uncommittedBytes = 0;
  /** This leader is removed by the change that is being applied. */
  private leaves = false;

  messages: Message[] = [];
  messagesAfterPersist: Message[] = [];
  readStates: ReadState[] = [];

  constructor(
    readonly options: RaftOptions,
    dependencies: RaftDependencies,
  ) {
    this.id = options.id;
    this.prng = dependencies.prng;
    this.storage = dependencies.storage;
    this.trace = dependencies.trace;
    const { hardState, confState } = this.storage.initialState();
    this.log = new RaftLog(this.storage, hardState.commit, options.applied);
    this.newProgress = progressFactory(options.inflightMessagesMax, options.inflightBytesMax);
    this.readOnly = new ReadOnly(options.readsPendingMax, options.electionTicks + 1);
    this.tracker = this.trackerOf(confState);
    this.term = hardState.term;
    this.vote = hardState.vote;
    this.durableState = hardState;
    this.voteGuard = options.restarted ? options.electionTicks : 0;
    this.becomeFollower(this.term, NONE);
  }

  hardState(): HardState {
    return { term: this.term, vote: this.vote, commit: this.log.committed };
  }

  /** Returns whether this peer may campaign: it votes, and its log is not being replaced. */
  promotable(): boolean {
    return this.tracker.isVoter(this.id) && !this.log.awaitsSnapshot();
  }

  /** The commit index that others are told. */
  toldCommit(): number {
    const { committed, applied } = this.log;
    return this.options.commitTellsApplied && !this.leaves
      ? Math.min(committed, applied)
      : committed;
  }

  /** Returns whether the leader has committed in its term, and so knows what is committed. */
  committedInTerm(): boolean {
    return this.log.term(this.log.committed) === this.term;
  }

  /**
   * Returns whether no other leader can exist in this tick: a quorum answered a heartbeat that left
   * recently enough, and refuses votes since. One tick of the follower and one of the leader may
   * have been cut short; the margin is for clocks. Source: dissertation §6.4.1.
   */
  leaseValid(): boolean {
    if (this.role !== Role.Leader || !this.options.checkQuorum || this.leaseSuspect) return false;
    const { leaseTick } = this.readOnly;
    if (leaseTick < 0) return false;
    const age = this.ticks - leaseTick;
    return age + 2 + this.options.leaseMarginTicks <= this.options.electionTicks;
  }

  becomeFollower(term: number, leader: number): void {
    this.reset(term);
    this.enterRole(Role.Follower, leader);
  }

  /** Asks who would vote: neither term nor vote change. Source: dissertation §9.6. */
  becomePreCandidate(): void {
    assert(this.role !== Role.Leader, "a leader does not campaign");
    this.tracker.resetVotes();
    this.randomizedTimeout = randomTimeout(this);
    this.enterRole(Role.PreCandidate, NONE);
  }

  becomeCandidate(): void {
    assert(this.role !== Role.Leader, "a leader does not campaign");
    this.reset(this.term + 1);
    this.vote = this.id;
    this.enterRole(Role.Candidate, NONE);
  }

  becomeLeader(): void {
    assert(this.role === Role.Candidate, "only a candidate becomes leader");
    this.reset(this.term);
    this.enterRole(Role.Leader, this.id);
    const own = this.tracker.progress.get(this.id);
    assert(own !== undefined, "a leader is a member");
    own.becomeReplicate();
    const empty = appendOwn(this, [newProposal(EntryType.Normal, new Uint8Array(0))]);
    // A change before the first commit of the term can lose committed entries: the leader does not
    // know yet which members its predecessors agreed on (raft-dev, July 2015).
    this.pendingConfIndex = empty;
    own.maybeUpdate(this.log.persisted);
  }

  tick(): void {
    this.ticks++;
    if (this.voteGuard > 0) this.voteGuard--;
    this.electionElapsed++;
    if (this.role === Role.Leader) this.tickLeader();
    else if (this.electionElapsed >= this.randomizedTimeout && this.promotable()) {
      this.electionElapsed = 0;
      hup(this, false);
    }
  }

  /** Takes a message. Returns why it was refused; a stale or foreign one is ignored without. */
  step(message: Message): StepError | null {
    if (message.term !== 0 && !this.passesTerm(message)) return null;
    const { type } = message;
    if (type === MessageType.Hup) {
      hup(this, false);
      return null;
    }
    if (type === MessageType.RequestVote || type === MessageType.RequestPreVote) {
      answerVote(this, message);
      return null;
    }
    if (this.role === Role.Leader) return stepLeader(this, message);
    if (this.role === Role.Follower) return stepFollower(this, message);
    return stepCandidate(this, message);
  }

  /**
   * Sends a message; fills in who, and the term unless the message sets one or is passed on.
   * What a peer says that does not lead rests on its term, vote and log: it waits until they are
   * durable. A leader's term is durable, for it counted its own durable vote; its appends may run
   * ahead of its disk, because it counts itself only when its entries are durable.
   */
  send(message: Message): void {
    message.from = this.id;
    const { type } = message;
    const passedOn =
      type === MessageType.Propose ||
      type === MessageType.ReadIndex ||
      type === MessageType.TransferLeader;
    if (!passedOn && message.term === 0) message.term = this.term;
    const atOnce = passedOn || type === MessageType.RequestPreVote || this.role === Role.Leader;
    (atOnce ? this.messages : this.messagesAfterPersist).push(message);
  }

  /** Begins the heartbeat round that new reads wait for, if any do. */
  flushReads(): void {
    if (this.role === Role.Leader && this.readOnly.roundWanted) bcastHeartbeat(this);
  }

  /** Notes durability; `state` is the newest hard state among the Readies up to `number`. */
  onPersisted(number: number, state: HardState | undefined): void {
    this.log.onPersisted(number);
    if (state !== undefined) this.durableState = state;
    if (this.role === Role.Candidate) {
      const { term, vote } = this.durableState;
      if (term === this.term && vote === this.id) this.poll(this.id, true);
    } else if (this.role === Role.Leader) {
      const own = this.tracker.progress.get(this.id);
      if (own?.maybeUpdate(this.log.persisted) && this.advanceCommit()) bcastAppend(this);
    }
  }

  /** Notes what the state machine applied. */
  onApplied(index: number): void {
    const told = this.toldCommit();
    this.log.appliedTo(index);
    if (this.role === Role.Leader && this.toldCommit() > told) bcastAppend(this);
    maybeAutoLeave(this);
  }

  /** Entries left for the state machine: a leader may take new proposals for them. */
  onHandedOut(entries: readonly Entry[]): void {
    if (this.uncommittedBytes === 0) return;
    let bytes = 0;
    for (const entry of entries) bytes += entry.data.length + entry.context.length;
    // Entries of earlier leaders were not counted.
    this.uncommittedBytes = Math.max(0, this.uncommittedBytes - bytes);
  }

  onEntriesFetched(context: FetchContext): void {
    if (context.kind === "committed") this.log.fetchingCommitted = false;
    if (context.kind === "append" && this.role === Role.Leader)
      sendAppendNonEmpty(this, context.to);
    if (context.kind === "campaign" && this.leader === NONE) hup(this, false);
  }

  /** Counts a vote and acts on the outcome. */
  poll(from: number, granted: boolean): void {
    this.tracker.recordVote(from, granted);
    const result = this.tracker.voteResult();
    this.trace({ kind: "poll", term: this.term, result });
    if (result === "pending") return;
    if (result === "lost") {
      this.becomeFollower(this.term, NONE);
    } else if (this.role === Role.PreCandidate) {
      hup(this, false, true);
    } else {
      this.becomeLeader();
      bcastAppend(this);
    }
  }

  /**
   * Leader: commits what the quorum has; returns whether the others are to be told at once.
   * Source: raft §5.3, §5.4.2.
   */
  advanceCommit(): boolean {
    const first = !this.committedInTerm();
    if (!this.log.maybeCommit(this.tracker.committedIndex(), this.term)) return false;
    this.trace({ kind: "commit", index: this.log.committed });
    if (first) answerPostponed(this);
    return !this.options.commitTellsApplied;
  }

  /**
   * Follower: takes over a snapshot. Returns false if its log has all of it already, or another one
   * is still to be stored or applied.
   */
  restore(snapshot: Snapshot): boolean {
    const { index, term, confState } = snapshot.metadata;
    if (index <= this.log.committed || this.log.awaitsSnapshot()) return false;
    if (this.log.matchTerm(index, term)) {
      this.log.commitTo(index);
      return false;
    }
    if (!isMember(confState, this.id)) return false;
    this.log.restore(snapshot);
    this.tracker = this.trackerOf(confState);
    this.trace({ kind: "snapshot", index, term });
    return true;
  }

  /** Carries out a committed change; asserts that it fits, which was checked when proposed. */
  applyConfChange(change: ConfChangeV2): ConfState {
    const context = { newProgress: this.newProgress, lastIndex: this.log.lastIndex() };
    const result = applyChange(this.tracker, change, context);
    assert(result.ok, "a committed change of members fits the members");
    this.tracker.config = result.value.config;
    this.tracker.progress = result.value.progress;
    this.trace({ kind: "members", config: describeConfig(this.tracker.config) });
    if (this.role === Role.Leader) this.afterChange();
    return this.tracker.config;
  }

  private afterChange(): void {
    // A smaller quorum may have committed more.
    this.advanceCommit();
    if (!this.tracker.isVoter(this.id)) {
      // The others learn of the commit first: else {1,2} minus leader 1 leaves 2 waiting for 1.
      this.leaves = true;
      bcastAppend(this);
      this.leaves = false;
      this.becomeFollower(this.term, NONE);
      return;
    }
    bcastAppend(this);
    if (this.leadTransferee !== NONE && !this.tracker.isVoter(this.leadTransferee))
      abortTransfer(this);
    answerConfirmed(this);
  }

  private tickLeader(): void {
    this.heartbeatElapsed++;
    if (this.electionElapsed >= this.options.electionTicks) {
      this.electionElapsed = 0;
      if (this.options.checkQuorum && !this.tracker.takeQuorumActive(this.id)) {
        this.becomeFollower(this.term, NONE);
        return;
      }
      if (this.leadTransferee !== NONE) abortTransfer(this);
    }
    maybeAutoLeave(this);
    if (this.heartbeatElapsed >= this.options.heartbeatTicks) {
      this.heartbeatElapsed = 0;
      bcastHeartbeat(this);
    }
  }

  /** Returns whether the message is for the current term, which a higher one becomes. */
  private passesTerm(message: Message): boolean {
    const { type, term } = message;
    const asksVote = type === MessageType.RequestVote || type === MessageType.RequestPreVote;
    if (asksVote && term >= this.term && ignoresVotes(this, message)) return false;
    if (term > this.term) {
      // A term that is asked for or promised in a pre-vote does not exist yet.
      if (type === MessageType.RequestPreVote) return true;
      if (type === MessageType.RequestPreVoteResponse && !message.reject) return true;
      const fromLeader =
        type === MessageType.Append ||
        type === MessageType.Heartbeat ||
        type === MessageType.Snapshot;
      this.becomeFollower(term, fromLeader ? message.from : NONE);
      return true;
    }
    if (term === this.term) return true;
    this.answerStale(message);
    return false;
  }

  /**
   * A message of an old term. With pre-vote or check-quorum a peer with a higher term is ignored
   * when it asks for votes; unless it tells a leader of an older term about its own, it stays out
   * of the group for ever.
   */
  private answerStale(message: Message): void {
    const { type } = message;
    const { checkQuorum, preVote } = this.options;
    if (type === MessageType.RequestPreVote) {
      const answer = newMessage(MessageType.RequestPreVoteResponse, message.from);
      answer.reject = true;
      this.send(answer);
    } else if (
      (checkQuorum || preVote) &&
      (type === MessageType.Append || type === MessageType.Heartbeat)
    ) {
      this.send(newMessage(MessageType.AppendResponse, message.from));
    }
  }

  private reset(term: number): void {
    assert(term >= this.term, "the term never goes back");
    if (term !== this.term) {
      this.term = term;
      this.vote = NONE;
    }
    this.leader = NONE;
    this.electionElapsed = 0;
    this.heartbeatElapsed = 0;
    this.randomizedTimeout = randomTimeout(this);
    this.leadTransferee = NONE;
    this.leaseSuspect = false;
    this.pendingConfIndex = 0;
    this.uncommittedBytes = 0;
    this.tracker.resetVotes();
    this.readOnly.reset();
    const next = this.log.lastIndex() + 1;
    for (const progress of this.tracker.progress.values()) progress.reset(next);
  }

  private enterRole(role: Role, leader: number): void {
    this.role = role;
    this.leader = leader;
    this.trace({ kind: "role", role, term: this.term, leader });
  }

  private trackerOf(confState: ConfState): Tracker {
    const context = { newProgress: this.newProgress, lastIndex: this.log.lastIndex() };
    const { config, progress } = restoreMembers(confState, context);
    return new Tracker(config, progress);
  }
}
