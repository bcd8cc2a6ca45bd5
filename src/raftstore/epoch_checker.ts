/**
 * Admin commands of this leader that change the epoch and are not applied yet. A command that such
 * a change would refuse when it is applied is not proposed: it waits for the change, and is then
 * answered with the epoch that came of it. Without it a leader would fill its log with refusals.
 * One list a peer, bounded by the kinds of epoch changes. Pure.
 * Source: tikv raftstore/store/peer.rs CmdEpochChecker.
 */
import { assert } from "../base/index.js";
import { EPOCH_RULES, type EpochCommand, epochNotMatch, mayFollow } from "./epoch.js";
import type { RegionError, RegionInfo } from "./region.js";
import type { RequestHeader } from "./request_check.js";

interface PendingChange {
  readonly command: EpochCommand;
  readonly index: number;
  readonly waiting: { readonly header: RequestHeader; readonly done: Answer }[];
}

type Answer = (result: { readonly ok: false; readonly error: RegionError }) => void;

/** Commands that wait for one change before more are refused outright; a guess: a busy second. */
const WAITING_MAX = 4096;

export class EpochChecker {
  /** Invariant: ascending by index; all of `#term`. */
  #pending: PendingChange[] = [];
  #term = 0;

  /**
   * Returns the index of the last change under way that the command must not follow, or 0. `term`
   * is the leader's: changes of older terms may never be applied, and are forgotten.
   */
  conflict(command: EpochCommand, term: number): number {
    this.#enter(term);
    for (let i = this.#pending.length - 1; i >= 0; i--) {
      const change = this.#pending[i] as PendingChange;
      if (!mayFollow(command, change.command)) return change.index;
    }
    return 0;
  }

  /** Notes a proposal that got a place in the log; one that changes no epoch is not kept. */
  proposed(command: EpochCommand, index: number, term: number): void {
    this.#enter(term);
    const { changesVersion, changesConfVer } = EPOCH_RULES[command];
    if (!changesVersion && !changesConfVer) return;
    assert(this.conflict(command, term) === 0, "what conflicts is not proposed");
    this.#pending.push({ command, index, waiting: [] });
  }

  /**
   * Lets a command wait for the change at `index` (from `conflict`). False: too many wait; answer
   * ServerIsBusy.
   */
  wait(index: number, header: RequestHeader, done: Answer): boolean {
    const change = this.#pending.find((pending) => pending.index === index);
    assert(change !== undefined, "who waits has asked for a conflict");
    if (change.waiting.length >= WAITING_MAX) return false;
    change.waiting.push({ header, done });
    return true;
  }

  /** Ends the changes up to `index`, which are applied: who waited hears of `regions`, own first. */
  applied(index: number, regions: readonly RegionInfo[]): void {
    const [region, ...siblings] = regions;
    assert(region !== undefined, "there is a region");
    let first = this.#pending[0];
    while (first !== undefined && first.index <= index) {
      this.#pending.shift();
      for (const { header, done } of first.waiting) {
        done({ ok: false, error: epochNotMatch(header, region, siblings) });
      }
      first = this.#pending[0];
    }
  }

  /** Forgets everything: the peer leads no more, or goes. Who waited hears `error`. */
  clear(error: RegionError): void {
    const pending = this.#pending;
    this.#pending = [];
    for (const { waiting } of pending) for (const { done } of waiting) done({ ok: false, error });
  }

  #enter(term: number): void {
    assert(term >= this.#term, "terms do not go back");
    if (term === this.#term) return;
    this.#term = term;
    this.clear({ kind: "staleCommand", message: "stale command" });
  }
}
