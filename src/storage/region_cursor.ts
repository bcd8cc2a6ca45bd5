/** Entries of a region without the data prefix, for raw commands and for MVCC. */
import { dataKey } from "../codec/index.js";
import type { ArenaSeek, ArenaTake, ArenaTakeResult, Entries, Iter } from "../engine/index.js";
import type { MvccCursor } from "../mvcc/index.js";
import type { RawCursor } from "../raw/index.js";

/** A cursor over engine keys that shows region keys. */
export class RegionCursor implements MvccCursor, RawCursor {
  constructor(private readonly iter: Iter) {}

  get valid(): boolean {
    return this.iter.valid;
  }

  seekToFirst(): boolean {
    return this.iter.seekToFirst();
  }

  seekToLast(): boolean {
    return this.iter.seekToLast();
  }

  seek(target: Uint8Array): boolean {
    return this.iter.seek(dataKey(target));
  }

  seekForPrev(target: Uint8Array): boolean {
    return this.iter.seekForPrev(dataKey(target));
  }

  next(): boolean {
    return this.iter.next();
  }

  prev(): boolean {
    return this.iter.prev();
  }

  key(): Uint8Array {
    return this.iter.key().subarray(1);
  }

  value(): Uint8Array {
    return this.iter.value();
  }

  take(maxItems: number, maxBytes: number, reverse = false): Entries {
    const { keys, values } = this.iter.take(maxItems, maxBytes, reverse);
    return { keys: keys.map((key) => key.subarray(1)), values };
  }

  takeBlock(request: ArenaTake): ArenaTakeResult {
    return this.iter.takeArena(request);
  }

  seekBlock(request: ArenaSeek): ArenaTakeResult {
    return this.iter.seekArena(request);
  }

  close(): void {
    this.iter.close();
  }
}
