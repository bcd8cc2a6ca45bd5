/**
 * The part of the log that is not known to be durable: entries and perhaps a snapshot that wait to
 * be handed out in a Ready, or were handed out and wait for the word that they are durable.
 *
 *      durable (storage)   | handed out, in flight | new
 *   ───────────────────────┼───────────────────────┼──────────▶ index
 *                 persisted│ offset                │ handed      (truncation moves all three back)
 *
 * Every Ready that carries something is noted with the last index that it makes durable. Truncation
 * lowers the notes too. Without that: entry (5, term 2) in Ready 1; a new leader replaces it by
 * (5, term 3) in Ready 2; another leader brings (5, term 2) back, in Ready 3. The word that Ready 1
 * is durable matches index and term, but after a crash behind Ready 2 the entry is not there.
 */
import { assert } from "../base/index.js";
import type { Entry, Snapshot } from "./types.js";

interface Handed {
  readonly number: number;
  /** Highest index that is durable with this Ready; 0: nothing that still counts. */
  index: number;
  readonly snapshot: Snapshot | null;
}

/** What a Ready is to make durable. */
export interface ToPersist {
  readonly entries: readonly Entry[];
  readonly snapshot: Snapshot | null;
}

/** Invariant: entries[i].index = offset + i; offset - 1 ≤ handedTo ≤ last index. */
export class LogUnstable {
  /** Index of the first entry here. */
  offset: number;
  entries: Entry[] = [];
  snapshot: Snapshot | null = null;
  /** Everything up to here is durable, snapshots aside. */
  persisted: number;
  private handedTo: number;
  private snapshotHanded = false;
  private readonly handed: Handed[] = [];

  /** Starts behind a log that is durable up to `lastIndex`. */
  constructor(lastIndex: number) {
    this.offset = lastIndex + 1;
    this.persisted = lastIndex;
    this.handedTo = lastIndex;
  }

  lastIndex(): number | undefined {
    if (this.entries.length > 0) return this.offset + this.entries.length - 1;
    return this.snapshot?.metadata.index;
  }

  term(index: number): number | undefined {
    if (index >= this.offset) return this.entries[index - this.offset]?.term;
    const metadata = this.snapshot?.metadata;
    return metadata?.index === index ? metadata.term : undefined;
  }

  /** Adds entries; what was there at and after the first one's index goes. */
  append(entries: readonly Entry[]): void {
    const first = (entries[0] as Entry).index;
    if (first <= this.handedTo) this.truncateHanded(first - 1);
    if (first < this.offset) {
      this.offset = first;
      this.entries = [];
    } else {
      assert(first <= this.offset + this.entries.length, "the log has no gap");
      this.entries.length = first - this.offset;
    }
    for (let i = 0; i < entries.length; i++) this.entries.push(entries[i] as Entry);
  }

  /** Replaces the whole log by a snapshot. `durable` is what counts as durable until it is stored. */
  restore(snapshot: Snapshot, durable: number): void {
    for (const note of this.handed) note.index = 0;
    this.persisted = Math.min(this.persisted, durable);
    this.offset = snapshot.metadata.index + 1;
    this.handedTo = snapshot.metadata.index;
    this.entries = [];
    this.snapshot = snapshot;
    this.snapshotHanded = false;
  }

  hasToPersist(): boolean {
    return this.newSnapshot() !== null || this.handedTo < this.offset + this.entries.length - 1;
  }

  /** Hands out what is new, under a Ready's number; each thing is handed out once. */
  take(number: number): ToPersist {
    const snapshot = this.newSnapshot();
    const entries = this.entries.slice(this.handedTo + 1 - this.offset);
    const last = this.offset + this.entries.length - 1;
    if (snapshot !== null || entries.length > 0) {
      this.handed.push({ number, index: last, snapshot });
      this.handedTo = last;
      if (snapshot !== null) this.snapshotHanded = true;
    }
    return { entries, snapshot };
  }

  /** Notes that Readies up to `number` are durable. */
  onPersisted(number: number): void {
    let durable = 0;
    while (this.handed.length > 0) {
      const note = this.handed[0] as Handed;
      if (note.number > number) break;
      this.handed.shift();
      durable = Math.max(durable, note.index);
      if (note.snapshot !== null && note.snapshot === this.snapshot) this.snapshot = null;
    }
    if (durable === 0) return;
    this.persisted = Math.max(this.persisted, durable);
    if (durable >= this.offset) {
      this.entries = this.entries.slice(durable + 1 - this.offset);
      this.offset = durable + 1;
    }
  }

  private newSnapshot(): Snapshot | null {
    return this.snapshotHanded ? null : this.snapshot;
  }

  private truncateHanded(last: number): void {
    this.handedTo = last;
    this.persisted = Math.min(this.persisted, last);
    for (const note of this.handed) note.index = Math.min(note.index, last);
  }
}
