/**
 * Admin commands of this leader that will change the region's epoch and are not applied yet. What
 * compares the same part of the epoch would be refused when it is applied: it is not proposed, but
 * answered with the new region once that is known. Pure.
 * Source: tikv raftstore/store/peer.rs CmdEpochChecker.
 */
import { assert } from "../base/index.js";
import { EPOCH_RULES, type EpochCommand, mayFollow } from "./epoch.js";

/** Answers a held command: refused by the new epoch, or by the end of this leader's term. */
export type Held = (outcome: "epochNotMatch" | "staleCommand") => void;

/** Commands that one peer holds at a time; beyond it the store is busy. A guess. */
export const HELD_MAX = 4096;

interface Change {
  readonly index: number;
  readonly kind: EpochCommand;
  readonly held: Held[];
}

/** Invariant: changes ascend by index and are of one term. */
export class EpochBarrier {
  #term = 0;
  #changes: Change[] = [];
  #held = 0;

  /** Notes that an admin command stands in the log at `index`. */
  onProposed(kind: EpochCommand, term: number, index: number): void {
    const rule = EPOCH_RULES[kind];
    if (!rule.changesVersion && !rule.changesConfVer) return;
    this.enterTerm(term);
    const last = this.#changes[this.#changes.length - 1];
    assert(last === undefined || last.index < index, "changes come in the order of the log");
    this.#changes.push({ index, kind, held: [] });
  }

  /** Whether a command has to wait for a change. */
  conflicts(kind: EpochCommand, term: number): boolean {
    this.enterTerm(term);
    return this.#changes.some((change) => !mayFollow(kind, change.kind));
  }

  /** Holds a command that conflicts; false if too many wait: the store is busy. */
  hold(kind: EpochCommand, answer: Held): boolean {
    const change = this.#changes.findLast((one) => !mayFollow(kind, one.kind));
    assert(change !== undefined, "only what conflicts is held");
    if (this.#held >= HELD_MAX) return false;
    change.held.push(answer);
    this.#held++;
    return true;
  }

  /** Ends the changes up to the applied index: the region that is known now holds them. */
  onApplied(index: number): void {
    while (this.#changes.length > 0 && (this.#changes[0] as Change).index <= index) {
      this.#release(this.#changes.shift() as Change, "epochNotMatch");
    }
  }

  /** Ends everything of earlier terms. */
  enterTerm(term: number): void {
    if (term === this.#term) return;
    this.#term = term;
    for (const change of this.#changes.splice(0)) this.#release(change, "staleCommand");
  }

  #release({ held }: Change, outcome: "epochNotMatch" | "staleCommand"): void {
    this.#held -= held.length;
    for (const answer of held) answer(outcome);
  }
}
