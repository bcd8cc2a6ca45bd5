/**
 * A Storage in memory: for tests, the simulator's small runs and examples. Its writes are
 * synchronous; a driver that wants to show asynchronous persistence delays the calls.
 */
import { assert } from "../base/index.js";
import type { EntriesResult, FetchContext, InitialState, Storage } from "./storage.js";
import {
  type ConfState,
  EMPTY_CONF_STATE,
  type Entry,
  type HardState,
  limitEntries,
  type Snapshot,
} from "./types.js";

/** Invariant: entries are consecutive and start right behind the snapshot or the compacted part. */
export class MemoryStorage implements Storage {
  hardState: HardState;
  confState: ConfState;
  /** Contexts whose reads answer LogTemporarilyUnavailable, by kind. */
  readonly unavailable = new Set<FetchContext["kind"]>();
  /** Fetches that were refused, in order; the driver takes them out. */
  readonly refused: FetchContext[] = [];
  private log: Entry[] = [];
  private truncatedIndex: number;
  private truncatedTerm: number;
  private image: Snapshot | null = null;

  /** Starts with these members and an empty log behind `index` and `term`. */
  constructor(confState = EMPTY_CONF_STATE, index = 0, term = 0) {
    this.confState = confState;
    this.hardState = { term, vote: 0, commit: index };
    this.truncatedIndex = index;
    this.truncatedTerm = term;
  }

  initialState(): InitialState {
    return { hardState: this.hardState, confState: this.confState };
  }

  entries(start: number, end: number, bytesMax: number, context: FetchContext): EntriesResult {
    if (start <= this.truncatedIndex) return "Compacted";
    assert(end <= this.lastIndex() + 1 && start < end, "entries are asked for inside the log");
    if (this.unavailable.has(context.kind)) {
      this.refused.push(context);
      return "LogTemporarilyUnavailable";
    }
    const at = start - this.truncatedIndex - 1;
    return limitEntries(this.log.slice(at, at + end - start), bytesMax);
  }

  term(index: number): number | undefined {
    if (index === this.truncatedIndex) return this.truncatedTerm;
    return this.log[index - this.truncatedIndex - 1]?.term;
  }

  firstIndex(): number {
    return this.truncatedIndex + 1;
  }

  lastIndex(): number {
    return this.truncatedIndex + this.log.length;
  }

  snapshot(index: number, _to: number): Snapshot | null {
    return this.image !== null && this.image.metadata.index >= index ? this.image : null;
  }

  /** Appends entries; what was stored at and after the first one's index goes. */
  append(entries: readonly Entry[]): void {
    const first = entries[0];
    if (first === undefined) return;
    assert(first.index > this.truncatedIndex, "compacted entries are not written again");
    assert(first.index <= this.lastIndex() + 1, "the log has no gap");
    this.log.length = first.index - this.truncatedIndex - 1;
    for (const entry of entries) this.log.push(entry);
  }

  /** Takes over a received snapshot: log and members are the snapshot's now. */
  applySnapshot(snapshot: Snapshot): void {
    const { index, term, confState } = snapshot.metadata;
    assert(index > this.truncatedIndex, "a snapshot does not go back");
    this.image = snapshot;
    this.log = [];
    this.truncatedIndex = index;
    this.truncatedTerm = term;
    this.confState = confState;
  }

  /** Makes a snapshot of applied state at `index`, to be sent to peers that need one. */
  createSnapshot(index: number, confState: ConfState, data: Uint8Array): Snapshot {
    const term = this.term(index);
    assert(term !== undefined, "a snapshot is made of entries that are there");
    this.image = { data, metadata: { index, term, confState } };
    return this.image;
  }

  /** Removes entries up to `index`, which stay covered by later snapshots. */
  compact(index: number): void {
    const term = this.term(index);
    assert(term !== undefined, "compaction stays inside the log");
    this.log = this.log.slice(index - this.truncatedIndex);
    this.truncatedIndex = index;
    this.truncatedTerm = term;
  }
}
