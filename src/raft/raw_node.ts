/**
 * The public face of one Raft peer, for a driver:
 *
 *   tick · step · propose · …          inputs, in any order
 *   while (hasReady()) ready()         what to write, send, apply and answer
 *   onPersisted(number)                the writes of that Ready and of all before it are durable
 *   onApplied(index)                   the state machine has applied up to index
 *
 * Readies may be taken while earlier ones are still being written; writes keep their order. The
 * order of effects is written at the fields of Ready.
 */
import { assert, err, ok, type Result } from "../base/index.js";
import { type RaftOptions, validateOptions } from "./options.js";
import { Raft, type RaftDependencies, type StepError } from "./raft.js";
import type { ReadState } from "./read_only.js";
import { debugState, type RaftStatus, statusOf } from "./status.js";
import type { FetchContext } from "./storage.js";
import { NO_TRACE, type Trace } from "./trace.js";
import {
  type ConfChangeV2,
  type ConfState,
  type Entry,
  EntryType,
  type HardState,
  type Message,
  MessageType,
  NONE,
  newMessage,
  newProposal,
  Role,
  type Snapshot,
} from "./types.js";
import { encodeConfChange } from "./wire.js";

/**
 * Effects, to be carried out so:
 * - `messages` go out at once, in parallel with the writes.
 * - `snapshot`, then `entries` and `hardState` are written in one atomic batch, after those of the
 *   Readies before. Synced if `mustSync`.
 * - `messagesAfterPersist` go out when this Ready and all before it are durable; then onPersisted.
 * - `snapshot` is applied, then onApplied(its index); `committed` comes only after that.
 * - `committed` is applied in order, in parallel with the writes: it is durable here already. A
 *   change of members is handed to applyConfChange before onApplied covers it.
 */
export interface Ready {
  /** 1, 2, 3, … */
  readonly number: number;
  /** Set when role or leader changed; not to be stored. */
  readonly softState: { readonly leader: number; readonly role: Role } | null;
  readonly hardState: HardState | null;
  readonly entries: readonly Entry[];
  readonly snapshot: Snapshot | null;
  /** False if only the commit index changed, which may be lost. */
  readonly mustSync: boolean;
  readonly messages: readonly Message[];
  readonly messagesAfterPersist: readonly Message[];
  readonly committed: readonly Entry[];
  readonly readStates: readonly ReadState[];
}

/** Where the entry of a proposal stands, or null if it was passed on to the leader. */
export type Proposed = Result<{ readonly index: number; readonly term: number } | null, StepError>;

/** What a driver injects; without a trace nobody listens. */
export type RawNodeDependencies = Omit<RaftDependencies, "trace"> & { readonly trace?: Trace };

interface HandedState {
  readonly number: number;
  readonly hardState: HardState;
}

const LOCAL_TYPES: ReadonlySet<MessageType> = new Set([
  MessageType.Hup,
  MessageType.Beat,
  MessageType.Unreachable,
  MessageType.SnapStatus,
  MessageType.CheckQuorum,
]);

/** Types that carry no term: passed on, or a refusal by a peer that has seen none. */
const TERMLESS_TYPES: ReadonlySet<MessageType> = new Set([
  MessageType.Propose,
  MessageType.ReadIndex,
  MessageType.TransferLeader,
  MessageType.RequestPreVoteResponse,
]);

export class RawNode {
  private readonly raft: Raft;
  private number = 0;
  private persistedNumber = 0;
  private lastHard: HardState;
  private lastSoft: { leader: number; role: Role };
  private readonly handedStates: HandedState[] = [];

  /** Asserts that the options are valid and the storage is consistent. */
  constructor(options: RaftOptions, dependencies: RawNodeDependencies) {
    const problems = validateOptions(options);
    assert(problems.length === 0, `raft options: ${problems.join("; ")}`);
    this.raft = new Raft(options, { trace: NO_TRACE, ...dependencies });
    this.lastHard = this.raft.durableState;
    this.lastSoft = { leader: this.raft.leader, role: this.raft.role };
  }

  tick(): void {
    this.raft.tick();
  }

  /** Takes a message from another peer. */
  step(message: Message): StepError | null {
    if (LOCAL_TYPES.has(message.type) || !isWellFormed(message)) return "MessageInvalid";
    return this.raft.step(message);
  }

  /** Campaigns now, unless this peer may not. */
  campaign(): void {
    this.raft.step(newMessage(MessageType.Hup, NONE));
  }

  /** Proposes a command; keeps both byte arrays. */
  propose(data: Uint8Array, context?: Uint8Array): Proposed {
    return this.proposeEntry(newProposal(EntryType.Normal, data, context));
  }

  /** Proposes a change of members. */
  proposeConfChange(change: ConfChangeV2, context?: Uint8Array): Proposed {
    const data = encodeConfChange(change);
    return this.proposeEntry(newProposal(EntryType.ConfChangeV2, data, context));
  }

  /** Asks the leader to hand over to peer `to`. */
  transferLeader(to: number): StepError | null {
    const message = newMessage(MessageType.TransferLeader, NONE);
    message.index = to;
    return this.raft.step(message);
  }

  /** Asks for an index to read at; the answer comes as a ReadState with this context, or never. */
  readIndex(context: Uint8Array): StepError | null {
    const message = newMessage(MessageType.ReadIndex, NONE);
    message.context = context;
    return this.raft.step(message);
  }

  /** Says that messages to a peer were lost. */
  reportUnreachable(id: number): void {
    const message = newMessage(MessageType.Unreachable, NONE);
    message.from = id;
    this.raft.step(message);
  }

  /** Says how the sending of a snapshot to a peer ended. */
  reportSnapshot(id: number, failed: boolean): void {
    const message = newMessage(MessageType.SnapStatus, NONE);
    message.from = id;
    message.reject = failed;
    this.raft.step(message);
  }

  hasReady(): boolean {
    const { raft } = this;
    return (
      raft.messages.length > 0 ||
      raft.messagesAfterPersist.length > 0 ||
      raft.readStates.length > 0 ||
      raft.readOnly.roundWanted ||
      raft.log.unstable.hasToPersist() ||
      raft.log.hasToApply() ||
      this.changedSoft() !== null ||
      this.changedHard() !== null
    );
  }

  /** Takes what is to be done; each effect is handed out once. */
  ready(): Ready {
    const { raft } = this;
    raft.flushReads();
    const number = ++this.number;
    const softState = this.changedSoft();
    const hardState = this.changedHard();
    if (softState !== null) this.lastSoft = softState;
    const { entries, snapshot } = raft.log.unstable.take(number);
    const mustSync =
      entries.length > 0 ||
      snapshot !== null ||
      (hardState !== null &&
        (hardState.term !== this.lastHard.term || hardState.vote !== this.lastHard.vote));
    if (hardState !== null) {
      this.lastHard = hardState;
      this.handedStates.push({ number, hardState });
    }
    const committed = raft.log.takeToApply(raft.options.committedSizeMaxBytes);
    raft.onHandedOut(committed);
    const idle = !mustSync && this.persistedNumber === number - 1;
    const messages = idle ? raft.messages.concat(raft.messagesAfterPersist) : raft.messages;
    const messagesAfterPersist = idle ? [] : raft.messagesAfterPersist;
    const { readStates } = raft;
    raft.messages = [];
    raft.messagesAfterPersist = [];
    raft.readStates = [];
    const nothingToWrite = hardState === null && !mustSync;
    if (idle && nothingToWrite) this.persistedNumber = number;
    return {
      number,
      softState,
      hardState,
      entries,
      snapshot,
      mustSync,
      messages,
      messagesAfterPersist,
      committed,
      readStates,
    };
  }

  /**
   * Says that the writes of Readies up to `number` are durable and can be read from the storage.
   * To be called for each Ready in order, or for the last of several; nothing to write is durable
   * as soon as all before it is.
   */
  onPersisted(number: number): void {
    assert(number <= this.number, "only what was handed out becomes durable");
    if (number <= this.persistedNumber) return;
    this.persistedNumber = number;
    let state: HardState | undefined;
    while (this.handedStates.length > 0 && (this.handedStates[0] as HandedState).number <= number)
      state = (this.handedStates.shift() as HandedState).hardState;
    this.raft.onPersisted(number, state);
  }

  /** Says that the state machine has applied up to `index`, snapshots included. */
  onApplied(index: number): void {
    this.raft.onApplied(index);
  }

  /** Carries out a committed change of members; returns the members to store. */
  applyConfChange(change: ConfChangeV2): ConfState {
    return this.raft.applyConfChange(change);
  }

  /** Says that entries which were LogTemporarilyUnavailable can be read now. */
  onEntriesFetched(context: FetchContext): void {
    this.raft.onEntriesFetched(context);
  }

  /** Returns whether this peer leads and no other leader can exist in this tick. */
  leaseValid(): boolean {
    return this.raft.leaseValid();
  }

  get id(): number {
    return this.raft.id;
  }

  get term(): number {
    return this.raft.term;
  }

  get role(): Role {
    return this.raft.role;
  }

  /** The leader of this term as far as known, or 0. */
  get leader(): number {
    return this.raft.leader;
  }

  get committed(): number {
    return this.raft.log.committed;
  }

  get lastIndex(): number {
    return this.raft.log.lastIndex();
  }

  /** Newest heartbeat round that left; see RaftStatus. */
  get round(): number {
    return this.raft.readOnly.round;
  }

  /** Newest round that a quorum answered; see RaftStatus. */
  get confirmedRound(): number {
    return this.raft.readOnly.confirmed;
  }

  /** Whether a TimeoutNow left in this term: see Raft.leaseSuspect. */
  get leaseSuspect(): boolean {
    return this.raft.leaseSuspect;
  }

  /** Whether a received snapshot still is to be stored or applied. */
  get awaitsSnapshot(): boolean {
    return this.raft.log.awaitsSnapshot();
  }

  /** Whether this peer is the only voter: it needs nobody's vote or answer. */
  get isSingleVoter(): boolean {
    const { voters, votersOutgoing } = this.raft.tracker.config;
    return votersOutgoing.length === 0 && voters.length === 1 && voters[0] === this.raft.id;
  }

  /** Returns the lowest index that all members which answered of late have, as their leader knows. */
  slowestActiveMatch(): number {
    let match = this.raft.log.lastIndex();
    for (const progress of this.raft.tracker.progress.values()) {
      if (progress.recentActive) match = Math.min(match, progress.match);
    }
    return match;
  }

  /** Returns the term of an entry, or undefined if it was compacted or is not there yet. */
  termAt(index: number): number | undefined {
    return this.raft.log.term(index);
  }

  status(): RaftStatus {
    return statusOf(this.raft);
  }

  /** Returns the state as one line. */
  debugState(): string {
    return debugState(this.raft);
  }

  private proposeEntry(entry: Entry): Proposed {
    const message = newMessage(MessageType.Propose, NONE);
    message.entries = [entry];
    const problem = this.raft.step(message);
    if (problem !== null) return err(problem);
    if (this.raft.role !== Role.Leader) return ok(null);
    return ok({ index: this.raft.log.lastIndex(), term: this.raft.term });
  }

  private changedSoft(): { leader: number; role: Role } | null {
    const { leader, role } = this.raft;
    return leader === this.lastSoft.leader && role === this.lastSoft.role ? null : { leader, role };
  }

  private changedHard(): HardState | null {
    const state = this.raft.hardState();
    const { term, vote, commit } = this.lastHard;
    return state.term === term && state.vote === vote && state.commit === commit ? null : state;
  }
}

/** Checks what the machine relies on in a message that comes from outside. */
function isWellFormed(message: Message): boolean {
  const { type, entries } = message;
  if (message.term === 0 && !TERMLESS_TYPES.has(type)) return false;
  if (type !== MessageType.Append) return true;
  for (let i = 0; i < entries.length; i++) {
    const entry = entries[i] as Entry;
    if (entry.index !== message.index + 1 + i || entry.term > message.term) return false;
  }
  return true;
}
