/**
 * Proposals between the log and the apply delegate, and writes between their arrival and the log.
 * Pure.
 */
import { assert } from "../base/index.js";
import type { WriteCommand } from "./commands.js";
import type { Proposal } from "./messages.js";

function isBehind(proposal: Proposal, term: number, index: number): boolean {
  return proposal.term > term || (proposal.term === term && proposal.index > index);
}

/** Proposals whose entries are not committed. Invariant: ascending by term, then by index. */
export class ProposalQueue {
  #queue: Proposal[] = [];

  get length(): number {
    return this.#queue.length;
  }

  push(proposal: Proposal): void {
    const last = this.#queue[this.#queue.length - 1];
    assert(
      last === undefined || isBehind(proposal, last.term, last.index),
      "proposals come in the order of the log",
    );
    this.#queue.push(proposal);
  }

  /**
   * Takes out what committing the entry (term, index) decides: proposals up to it, and those of
   * older terms behind it, whose entries can never be committed any more.
   */
  takeUpTo(term: number, index: number): readonly Proposal[] {
    const queue = this.#queue;
    let count = 0;
    while (count < queue.length && !isBehind(queue[count] as Proposal, term, index)) count++;
    if (count === 0) return [];
    this.#queue = queue.slice(count);
    return queue.slice(0, count);
  }

  drain(): readonly Proposal[] {
    const queue = this.#queue;
    this.#queue = [];
    return queue;
  }
}

/**
 * Bytes and commands of one log entry. A guess: an entry of this size costs little to send again,
 * and its share of a round's fixed costs is small.
 */
const ENTRY_BYTES_MAX = 256 * 1024;
const ENTRY_WRITES_MAX = 1024;

/** Writes of one turn that go into one log entry. */
export class WriteBuffer {
  #writes: WriteCommand[] = [];
  #bytes = 0;

  get isEmpty(): boolean {
    return this.#writes.length === 0;
  }

  /** Whether a write still fits; a write of any size fits alone. */
  hasRoom(bytes: number): boolean {
    if (this.isEmpty) return true;
    return this.#writes.length < ENTRY_WRITES_MAX && this.#bytes + bytes <= ENTRY_BYTES_MAX;
  }

  add(write: WriteCommand): void {
    this.#writes.push(write);
    this.#bytes += write.data.length;
  }

  take(): readonly WriteCommand[] {
    const writes = this.#writes;
    this.#writes = [];
    this.#bytes = 0;
    return writes;
  }
}
