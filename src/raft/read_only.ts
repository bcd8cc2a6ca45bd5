/**
 * Linearizable reads without log entries. Heartbeats carry a round number that followers echo; a
 * read waits until a quorum has answered a round that began after it came in. Safe. The tick in
 * which the newest confirmed round began also gives the leader's lease, in ticks.
 * Source: raft §8, dissertation §6.4. Reads of one poll round share one heartbeat round.
 */

import type { Raft } from "./raft.js";
import { MessageType, newMessage } from "./types.js";

/** A read that is answered: everything up to `index` must be applied before it is carried out. */
export interface ReadState {
  readonly index: number;
  /** The asker's token. */
  readonly context: Uint8Array;
}

export interface PendingRead {
  /** The follower that passed the read on, or this peer. */
  readonly from: number;
  readonly context: Uint8Array;
  /** Commit index when the read came in. */
  readonly index: number;
  /** Round that confirms it. */
  readonly round: number;
}

interface RoundStart {
  readonly round: number;
  readonly tick: number;
}

/** State of a leader's term. Invariants: pending and starts are ascending by round. */
export class ReadOnly {
  /** Newest round that was sent; 0 before the first. */
  round = 0;
  /** Newest round that a quorum answered. */
  confirmed = 0;
  /** Tick in which a confirmed round began; -1 before the first. */
  leaseTick = -1;
  /** A read waits for a round that has not begun. */
  roundWanted = false;
  private pending: PendingRead[] = [];
  /** Reads that came before the first commit of the term. */
  private postponed: { from: number; context: Uint8Array }[] = [];
  /** First round of each tick; older than a lease can be are forgotten. */
  private starts: RoundStart[] = [];

  constructor(
    private readonly readsMax: number,
    private readonly startsMax: number,
  ) {}

  get waiting(): number {
    return this.pending.length + this.postponed.length;
  }

  /** Forgets all; the askers retry. */
  reset(): void {
    this.round = 0;
    this.confirmed = 0;
    this.leaseTick = -1;
    this.roundWanted = false;
    this.pending = [];
    this.postponed = [];
    this.starts = [];
  }

  /** Returns false, and drops the read, if too many wait. */
  postpone(from: number, context: Uint8Array): boolean {
    if (this.waiting >= this.readsMax) return false;
    this.postponed.push({ from, context });
    return true;
  }

  /** Takes out the reads that waited for the first commit of the term. */
  takePostponed(): { from: number; context: Uint8Array }[] {
    const reads = this.postponed;
    this.postponed = [];
    return reads;
  }

  /** Queues a read for the next round. Returns false, and drops it, if too many wait. */
  add(from: number, context: Uint8Array, index: number): boolean {
    if (this.waiting >= this.readsMax) return false;
    this.pending.push({ from, context, index, round: this.round + 1 });
    this.roundWanted = true;
    return true;
  }

  /** Begins a round at `tick` and returns its number. */
  begin(tick: number): number {
    this.round++;
    this.roundWanted = false;
    if (this.starts.at(-1)?.tick !== tick) this.starts.push({ round: this.round, tick });
    if (this.starts.length > this.startsMax) this.starts.shift();
    return this.round;
  }

  /** Notes the newest round that a quorum answered; returns the reads that it confirms, in order. */
  confirm(round: number): PendingRead[] {
    if (round <= this.confirmed) return [];
    this.confirmed = round;
    while (this.starts.length > 0 && (this.starts[0] as RoundStart).round <= round)
      this.leaseTick = (this.starts.shift() as RoundStart).tick;
    let count = 0;
    while (count < this.pending.length && (this.pending[count] as PendingRead).round <= round)
      count++;
    return this.pending.splice(0, count);
  }
}

/** Leader: answers a read under a valid lease, else queues it; false if too many wait. */
export function addRead(raft: Raft, from: number, context: Uint8Array): boolean {
  const index = raft.log.committed;
  if (raft.options.readOnly === "lease" && raft.leaseValid()) {
    answerRead(raft, from, context, index);
    return true;
  }
  return raft.readOnly.add(from, context, index);
}

/** Leader: answers the reads that acknowledgements of heartbeats have confirmed. */
export function answerConfirmed(raft: Raft): void {
  for (const read of raft.readOnly.confirm(raft.tracker.confirmedRound()))
    answerRead(raft, read.from, read.context, read.index);
}

/** Leader: takes up the reads that waited for the first commit of the term. */
export function answerPostponed(raft: Raft): void {
  for (const read of raft.readOnly.takePostponed()) addRead(raft, read.from, read.context);
}

function answerRead(raft: Raft, from: number, context: Uint8Array, index: number): void {
  if (from === raft.id) {
    raft.readStates.push({ index, context });
    return;
  }
  const answer = newMessage(MessageType.ReadIndexResp, from);
  answer.index = index;
  answer.context = context;
  raft.send(answer);
}

/** Returns a heartbeat's context for a round: eight bytes, big-endian. */
export function encodeRound(round: number): Uint8Array {
  const bytes = new Uint8Array(8);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, Math.floor(round / 0x1_0000_0000));
  view.setUint32(4, round >>> 0);
  return bytes;
}

/** Returns the round in a heartbeat answer's context; 0 for anything that is not one. */
export function decodeRound(context: Uint8Array): number {
  if (context.length !== 8) return 0;
  const view = new DataView(context.buffer, context.byteOffset, 8);
  const round = view.getUint32(0) * 0x1_0000_0000 + view.getUint32(4);
  return Number.isSafeInteger(round) ? round : 0;
}
