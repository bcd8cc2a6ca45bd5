/**
 * Proposals that wait for their entries, matched by (index, term). A proposal whose place in the
 * log went to another entry is stale: its command is not in the log and never will be.
 * Bounded by the proposals that the peer lets be under way. Hot path.
 * Source: tikv raftstore/store/fsm/apply.rs PendingCmdQueue.
 */
import { assert } from "../../base/index.js";
import type { Proposal } from "../messages.js";

/** Elements passed over before the queue gives their places back. */
const SHRINK_AT = 1024;

export class PendingCommands {
  /** Invariant: ascending by term, then by index; `#head` and what follows waits. */
  #queue: Proposal[] = [];
  #head = 0;

  get length(): number {
    return this.#queue.length - this.#head;
  }

  /** Appends proposals of the peer, in the order in which they were proposed. */
  push(proposals: readonly Proposal[]): void {
    for (const proposal of proposals) {
      const last = this.length === 0 ? undefined : this.#queue[this.#queue.length - 1];
      assert(
        last === undefined || isBefore(last, proposal.term, proposal.index),
        "proposals come in the order of the log",
      );
      this.#queue.push(proposal);
    }
  }

  /**
   * Returns the proposal of the entry that is applied now, if it is one of this peer's, and hands
   * those that can no longer get an entry to `stale`.
   */
  take(index: number, term: number, stale: (proposal: Proposal) => void): Proposal | undefined {
    for (;;) {
      const front = this.#front();
      if (front === undefined) return undefined;
      const matches = front.index === index && front.term === term;
      if (!matches && !isBefore(front, term, index)) return undefined;
      this.#shift();
      if (matches) return front;
      stale(front);
    }
  }

  /** Hands all proposals of terms below `term` to `stale`: a leader of that term has begun. */
  takeOlderTerms(term: number, stale: (proposal: Proposal) => void): void {
    for (let front = this.#front(); front !== undefined; front = this.#front()) {
      if (front.term >= term) return;
      this.#shift();
      stale(front);
    }
  }

  /** Empties the queue and returns what waited. */
  drain(): readonly Proposal[] {
    const rest = this.#queue.slice(this.#head);
    this.#queue = [];
    this.#head = 0;
    return rest;
  }

  #front(): Proposal | undefined {
    return this.#queue[this.#head];
  }

  #shift(): void {
    this.#head++;
    if (this.#head < SHRINK_AT && this.#head < this.#queue.length) return;
    this.#queue = this.#queue.slice(this.#head);
    this.#head = 0;
  }
}

function isBefore(proposal: Proposal, term: number, index: number): boolean {
  return proposal.term < term || (proposal.term === term && proposal.index < index);
}
