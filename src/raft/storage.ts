/**
 * The log as it is stored, seen synchronously. Not here: writing, which the driver does with what a
 * Ready carries.
 *
 * Contract: when the driver calls onPersisted(n), the entries and the snapshot of Ready n and of
 * all before it can be read here. Appending an entry removes what was stored at and after its
 * index. The term at firstIndex - 1 stays known.
 */
import type { ConfState, Entry, HardState, Snapshot } from "./types.js";

/**
 * Why entries are read; handed back through RawNode.onEntriesFetched when an asynchronous fetch is
 * done.
 */
export type FetchContext =
  | { readonly kind: "append"; readonly to: number }
  | { readonly kind: "committed" }
  | { readonly kind: "campaign" };

/**
 * Compacted: gone, only a snapshot has it. LogTemporarilyUnavailable: being fetched, come back
 * after onEntriesFetched with the same context.
 */
export type EntriesResult = readonly Entry[] | "Compacted" | "LogTemporarilyUnavailable";

export interface InitialState {
  readonly hardState: HardState;
  readonly confState: ConfState;
}

export interface Storage {
  /** What was durable when the machine starts. */
  initialState(): InitialState;

  /**
   * Returns entries of [start, end), at most `bytesMax` by entryBytes but at least one. The range
   * is not empty and ends at or below lastIndex() + 1.
   */
  entries(start: number, end: number, bytesMax: number, context: FetchContext): EntriesResult;

  /** Returns the term of an entry from firstIndex() - 1 to lastIndex(), else undefined. */
  term(index: number): number | undefined;

  /** Returns the index of the first entry that is left: lastIndex() + 1 if none is. */
  firstIndex(): number;

  lastIndex(): number;

  /**
   * Returns a snapshot of applied state at `index` or later for peer `to`, or null while one is
   * being made: the machine asks again. One that does not name `to` as a member is too old for it.
   * The driver says how its sending ended, always: until then the peer gets nothing else.
   */
  snapshot(index: number, to: number): Snapshot | null;
}
