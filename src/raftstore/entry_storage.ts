/**
 * The durable part of one peer's log: what the engine holds of it, with the newest entries kept in
 * memory. Not here: writing (write_task.ts), what is not durable yet (raft/log_unstable.ts).
 * Source: tikv raftstore/store/entry_storage.rs.
 *
 *   truncated │ in the engine only │ cached │            terms: runs of equal terms, for what was
 *   ──────────┼────────────────────┼────────┼──▶ index   appended since the start
 *             first                cache    last
 */
import { assert, TikvError } from "../base/index.js";
import { raftLogKey, raftLogRange } from "../codec/index.js";
import type { Engine } from "../engine/index.js";
import { decodeEntry, type EntriesResult, type Entry, entryBytes } from "../raft/index.js";

/**
 * Entry bytes that one peer keeps in memory. A guess: what a follower acknowledges late, times some;
 * `misses` says when it is too small.
 */
export const ENTRY_CACHE_MAX_BYTES = 1 << 20;
/** Entries of one read from the engine. */
const READ_ENTRIES_MAX = 4096;
const SHRINK_AT = 256;

interface TermRun {
  /** First index of the term. */
  readonly first: number;
  readonly term: number;
}

/** Invariants: `#cache[#head ..]` is consecutive and ends at lastIndex; runs ascend. */
export class EntryStorage {
  readonly #regionId: bigint;
  readonly #engine: Pick<Engine, "get" | "snapshot">;
  #truncatedIndex: number;
  #truncatedTerm: number;
  #lastIndex: number;
  #cache: Entry[] = [];
  #head = 0;
  #cacheBytes = 0;
  #runs: TermRun[] = [];
  /** Bytes appended since the start, less the share of what was cut off. */
  #bytes = 0;
  /** Reads that went to the engine. */
  misses = 0;

  constructor(
    regionId: bigint,
    engine: Pick<Engine, "get" | "snapshot">,
    log: {
      readonly truncatedIndex: number;
      readonly truncatedTerm: number;
      readonly lastIndex: number;
    },
  ) {
    assert(log.truncatedIndex <= log.lastIndex, "the log ends at or behind what was cut off");
    this.#regionId = regionId;
    this.#engine = engine;
    this.#truncatedIndex = log.truncatedIndex;
    this.#truncatedTerm = log.truncatedTerm;
    this.#lastIndex = log.lastIndex;
  }

  get firstIndex(): number {
    return this.#truncatedIndex + 1;
  }

  get lastIndex(): number {
    return this.#lastIndex;
  }

  get truncatedTerm(): number {
    return this.#truncatedTerm;
  }

  get cachedCount(): number {
    return this.#cache.length - this.#head;
  }

  get cachedBytes(): number {
    return this.#cacheBytes;
  }

  /** Approximate bytes of the entries that are kept, those of before the start not counted. */
  get approximateBytes(): number {
    return this.#bytes;
  }

  /** Takes over entries that are durable now; what was there at and after the first one goes. */
  append(entries: readonly Entry[]): void {
    const first = entries[0];
    if (first === undefined) return;
    assert(first.index > this.#truncatedIndex, "entries that were cut off are not written again");
    assert(first.index <= this.#lastIndex + 1, "the log has no gap");
    this.#truncateTail(first.index - 1);
    for (const entry of entries) {
      this.#cache.push(entry);
      this.#cacheBytes += entryBytes(entry);
      this.#bytes += entryBytes(entry);
      if (this.#runs[this.#runs.length - 1]?.term !== entry.term) {
        this.#runs.push({ first: entry.index, term: entry.term });
      }
    }
    this.#lastIndex = (entries[entries.length - 1] as Entry).index;
    while (this.#cacheBytes > ENTRY_CACHE_MAX_BYTES && this.cachedCount > 0) this.#dropFirst();
    this.#shrink();
  }

  /** Returns entries of [start, end), at most `bytesMax` by entryBytes but at least one. */
  entries(start: number, end: number, bytesMax: number): EntriesResult {
    if (start <= this.#truncatedIndex) return "Compacted";
    assert(start < end && end <= this.#lastIndex + 1, "entries are asked for inside the log");
    const cacheFirst = this.#lastIndex + 1 - this.cachedCount;
    if (start < cacheFirst) return this.#read(start, Math.min(end, cacheFirst), bytesMax);
    const at = this.#head + start - cacheFirst;
    const taken: Entry[] = [];
    let bytes = 0;
    for (let i = at; i < at + end - start; i++) {
      const entry = this.#cache[i] as Entry;
      bytes += entryBytes(entry);
      if (bytes > bytesMax && taken.length > 0) break;
      taken.push(entry);
    }
    return taken;
  }

  /** Returns the term of an entry, or undefined outside of [firstIndex - 1, lastIndex]. */
  term(index: number): number | undefined {
    if (index === this.#truncatedIndex) return this.#truncatedTerm;
    if (index < this.#truncatedIndex || index > this.#lastIndex) return undefined;
    for (let i = this.#runs.length - 1; i >= 0; i--) {
      const run = this.#runs[i] as TermRun;
      if (run.first <= index) return run.term;
    }
    return this.#readOne(index).term;
  }

  /** Forgets entries up to `index`, which were applied; their records are deleted later. */
  compact(index: number, term: number): void {
    assert(index >= this.#truncatedIndex && index <= this.#lastIndex, "a cut is inside the log");
    this.trimCache(index);
    const count = this.#lastIndex - this.#truncatedIndex;
    if (count > 0) this.#bytes = Math.round((this.#bytes * (this.#lastIndex - index)) / count);
    this.#truncatedIndex = index;
    this.#truncatedTerm = term;
    while (this.#runs.length > 1 && (this.#runs[1] as TermRun).first <= index + 1) {
      this.#runs.shift();
    }
  }

  /** Replaces the log by a snapshot's place in it. */
  reset(index: number, term: number): void {
    this.#truncatedIndex = index;
    this.#truncatedTerm = term;
    this.#lastIndex = index;
    this.#cache = [];
    this.#head = 0;
    this.#cacheBytes = 0;
    this.#bytes = 0;
    this.#runs = [];
  }

  /** Gives up cached entries up to `index`: nobody is going to need them soon. */
  trimCache(index: number): void {
    while (this.cachedCount > 0 && (this.#cache[this.#head] as Entry).index <= index) {
      this.#dropFirst();
    }
    this.#shrink();
  }

  #dropFirst(): void {
    this.#cacheBytes -= entryBytes(this.#cache[this.#head] as Entry);
    this.#head++;
  }

  #shrink(): void {
    if (this.#head < SHRINK_AT && this.#head < this.#cache.length) return;
    this.#cache = this.#cache.slice(this.#head);
    this.#head = 0;
  }

  #truncateTail(last: number): void {
    while (this.cachedCount > 0 && (this.#cache[this.#cache.length - 1] as Entry).index > last) {
      this.#cacheBytes -= entryBytes(this.#cache.pop() as Entry);
    }
    while (this.#runs.length > 0 && (this.#runs[this.#runs.length - 1] as TermRun).first > last) {
      this.#runs.pop();
    }
    this.#lastIndex = last;
  }

  #read(start: number, end: number, bytesMax: number): Entry[] {
    this.misses++;
    const range = raftLogRange(this.#regionId, BigInt(start), BigInt(end));
    const snapshot = this.#engine.snapshot();
    const iter = snapshot.iterate("raft", { lower: range.start, upper: range.end });
    iter.seekToFirst();
    const count = Math.min(end - start, READ_ENTRIES_MAX);
    const { values } = iter.take(count, Math.min(bytesMax, Number.MAX_SAFE_INTEGER));
    iter.close();
    snapshot.close();
    const entries: Entry[] = [];
    let bytes = 0;
    for (const value of values) {
      const entry = this.#decode(value, start + entries.length);
      bytes += entryBytes(entry);
      if (bytes > bytesMax && entries.length > 0) break;
      entries.push(entry);
    }
    if (entries.length === 0) this.#missing(start);
    return entries;
  }

  #readOne(index: number): Entry {
    this.misses++;
    const value = this.#engine.get("raft", raftLogKey(this.#regionId, BigInt(index)));
    return value === undefined ? this.#missing(index) : this.#decode(value, index);
  }

  #decode(value: Uint8Array, index: number): Entry {
    const entry = decodeEntry(value);
    if (entry === undefined || entry.index !== index) this.#missing(index);
    return entry;
  }

  #missing(index: number): never {
    throw new TikvError(
      "KV:Engine:Codec",
      `entry ${index} of region ${this.#regionId} is missing or damaged`,
    );
  }
}
