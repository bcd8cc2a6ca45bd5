/**
 * The log of one peer: the durable part in Storage, the rest in LogUnstable, and the marks
 *
 *   applied ≤ applying ≤ committed ≤ lastIndex     and     applying ≤ persisted or a snapshot
 *
 * An entry is handed out for applying when it is committed and durable here. Hot: each append,
 * acknowledgement and Ready comes through.
 */
import { assert } from "../base/index.js";
import { LogUnstable } from "./log_unstable.js";
import type { EntriesResult, FetchContext, Storage } from "./storage.js";
import { type Entry, limitEntries, type Snapshot } from "./types.js";

const NO_ENTRIES: readonly Entry[] = [];

export class RaftLog {
  readonly unstable: LogUnstable;
  committed: number;
  /** Handed out for applying up to here. */
  applying: number;
  applied: number;
  /** Committed entries are being fetched: none are handed out meanwhile. */
  fetchingCommitted = false;
  /** A received snapshot: nothing is applied before it is. */
  private awaitedSnapshot = 0;

  constructor(
    private readonly storage: Storage,
    commit: number,
    applied: number,
  ) {
    this.unstable = new LogUnstable(storage.lastIndex());
    // What was applied had been committed, whatever the hard state had time to note.
    this.committed = Math.max(commit, applied, storage.firstIndex() - 1);
    assert(this.committed <= storage.lastIndex(), "what is committed is in the log");
    assert(applied >= storage.firstIndex() - 1, "what was compacted had been applied");
    this.applying = applied;
    this.applied = applied;
  }

  get persisted(): number {
    return this.unstable.persisted;
  }

  firstIndex(): number {
    const snapshot = this.unstable.snapshot;
    return snapshot !== null ? snapshot.metadata.index + 1 : this.storage.firstIndex();
  }

  lastIndex(): number {
    return this.unstable.lastIndex() ?? this.storage.lastIndex();
  }

  lastTerm(): number {
    const term = this.term(this.lastIndex());
    assert(term !== undefined, "the term of the last entry is known");
    return term;
  }

  /** Returns the term of an entry, or undefined if it was compacted or is not there yet. */
  term(index: number): number | undefined {
    if (index < this.firstIndex() - 1 || index > this.lastIndex()) return undefined;
    return this.unstable.term(index) ?? this.storage.term(index);
  }

  matchTerm(index: number, term: number): boolean {
    return this.term(index) === term;
  }

  /** Returns whether a log that ends so is at least as complete as this one. Source: raft §5.4.1. */
  isUpToDate(lastIndex: number, lastTerm: number): boolean {
    const ownTerm = this.lastTerm();
    return lastTerm > ownTerm || (lastTerm === ownTerm && lastIndex >= this.lastIndex());
  }

  /** Returns entries of [start, end), at most `bytesMax` but at least one. */
  slice(start: number, end: number, bytesMax: number, context: FetchContext): EntriesResult {
    if (start >= end) return NO_ENTRIES;
    if (start < this.firstIndex()) return "Compacted";
    const offset = this.unstable.offset;
    if (start >= offset)
      return limitEntries(this.unstable.entries.slice(start - offset, end - offset), bytesMax);
    const stable = this.storage.entries(start, Math.min(end, offset), bytesMax, context);
    if (typeof stable === "string") return stable;
    if (end <= offset || stable.length < offset - start) return stable;
    return limitEntries([...stable, ...this.unstable.entries.slice(0, end - offset)], bytesMax);
  }

  /** Adds entries behind the log; a leader's own. */
  append(entries: readonly Entry[]): void {
    if (entries.length === 0) return;
    assert((entries[0] as Entry).index > this.committed, "committed entries are not replaced");
    this.unstable.append(entries);
  }

  /**
   * Follower: adds a leader's entries behind (prevIndex, prevTerm), and commits with it. Returns
   * the last index that is now known to agree, or undefined if the logs differ at prevIndex.
   * Source: raft §5.3.
   */
  maybeAppend(
    prevIndex: number,
    prevTerm: number,
    commit: number,
    entries: readonly Entry[],
  ): number | undefined {
    if (!this.matchTerm(prevIndex, prevTerm)) return undefined;
    const last = prevIndex + entries.length;
    const different = entries.findIndex((entry) => !this.matchTerm(entry.index, entry.term));
    if (different >= 0) this.append(entries.slice(different));
    this.commitTo(Math.min(commit, last));
    return last;
  }

  /**
   * Returns the last index at or below `index` whose term is at most `term`: below it the logs may
   * agree. A compacted part ends the search, with term 0.
   */
  findConflictByTerm(index: number, term: number): { index: number; term: number } {
    let at = Math.min(index, this.lastIndex());
    for (; at > 0; at--) {
      const own = this.term(at);
      if (own === undefined) break;
      if (own <= term) return { index: at, term: own };
    }
    return { index: at, term: 0 };
  }

  /** Commits up to `index`; never goes back. */
  commitTo(index: number): void {
    if (index <= this.committed) return;
    assert(
      index <= this.lastIndex(),
      "a commit behind the last entry: was a part of the log lost?",
    );
    this.committed = index;
  }

  /** Leader: commits up to `index` if that entry is of `term`. Source: raft §5.4.2. */
  maybeCommit(index: number, term: number): boolean {
    if (index <= this.committed || !this.matchTerm(index, term)) return false;
    this.commitTo(index);
    return true;
  }

  /** Replaces log and commit by a received snapshot. */
  restore(snapshot: Snapshot): void {
    const index = snapshot.metadata.index;
    assert(index > this.committed, "a snapshot does not go back");
    this.unstable.restore(snapshot, this.committed);
    this.committed = index;
    this.awaitedSnapshot = index;
  }

  /** Returns whether a received snapshot still is to be stored or applied. */
  awaitsSnapshot(): boolean {
    return this.unstable.snapshot !== null || this.applied < this.awaitedSnapshot;
  }

  hasToApply(): boolean {
    if (this.fetchingCommitted || this.awaitsSnapshot()) return false;
    return this.applyEnd() > this.applying + 1;
  }

  /** Hands out committed, durable entries for applying; each once, in order. */
  takeToApply(bytesMax: number): readonly Entry[] {
    if (!this.hasToApply()) return NO_ENTRIES;
    const context = { kind: "committed" } as const;
    const entries = this.slice(this.applying + 1, this.applyEnd(), bytesMax, context);
    assert(entries !== "Compacted", "entries are compacted after they were applied");
    if (entries === "LogTemporarilyUnavailable") {
      this.fetchingCommitted = true;
      return NO_ENTRIES;
    }
    this.applying += entries.length;
    return entries;
  }

  /** Notes what the state machine has applied; never goes back. */
  appliedTo(index: number): void {
    if (index <= this.applied) return;
    const snapshot = this.unstable.snapshot === null ? this.awaitedSnapshot : 0;
    assert(index <= Math.max(this.applying, snapshot), "applied only what was handed out");
    this.applied = index;
    this.applying = Math.max(this.applying, index);
  }

  /** Notes that Readies up to `number` are durable. */
  onPersisted(number: number): void {
    this.unstable.onPersisted(number);
    assert(
      this.unstable.offset <= this.storage.lastIndex() + 1 || this.unstable.snapshot !== null,
      "what is persisted can be read from storage",
    );
  }

  private applyEnd(): number {
    return Math.min(this.committed, this.persisted) + 1;
  }
}
