/**
 * What the peers of one store know of each other: which keys belong to whom, which regions come and
 * go, votes that are ahead of a split. Changed inside poll rounds and in the callbacks of the
 * store's own writes. Source: tikv raftstore/store/fsm/store.rs StoreMeta.
 */
import { PendingCreates } from "./pending_create.js";
import type { RaftMessage } from "./raft_message.js";
import { type KeySpan, spansOverlap } from "./snapshot/range_jobs.js";

/** Votes that wait for splits; a further one drives out the oldest. As in TiKV. */
const PENDING_VOTES_MAX = 1024;

export class StoreMeta {
  readonly creates = new PendingCreates();
  /** Regions whose data is being deleted: no peer of them is made meanwhile. */
  readonly cleaning = new Set<number>();
  /** Keys that a region of this store has, or that are being made its own. */
  readonly #spans = new Map<number, readonly KeySpan[]>();
  /** Newest vote of a region that is not here yet, oldest region first. */
  readonly #votes = new Map<number, RaftMessage>();

  /** Says which keys belong to a region; what it had before is free. */
  setSpans(regionId: number, spans: readonly KeySpan[]): void {
    this.#spans.set(regionId, spans);
  }

  /** Frees the keys of a region. */
  removeSpans(regionId: number): void {
    this.#spans.delete(regionId);
  }

  /** Returns the regions, other than `exceptRegionId`, that have keys of the span. O(regions). */
  overlapping(span: KeySpan, exceptRegionId: number | undefined): readonly number[] {
    const found: number[] = [];
    for (const [regionId, spans] of this.#spans) {
      if (regionId === exceptRegionId) continue;
      if (spans.some((own) => spansOverlap(own, span))) found.push(regionId);
    }
    return found;
  }

  /** Keeps a vote for a region that a split may be about to make. */
  keepVote(message: RaftMessage): void {
    const { regionId } = message;
    this.#votes.delete(regionId);
    const [oldest] = this.#votes.keys();
    if (this.#votes.size >= PENDING_VOTES_MAX && oldest !== undefined) this.#votes.delete(oldest);
    this.#votes.set(regionId, message);
  }

  /** Takes out the vote that waits for a region, if there is one. */
  takeVote(regionId: number): RaftMessage | undefined {
    const message = this.#votes.get(regionId);
    this.#votes.delete(regionId);
    return message;
  }
}
