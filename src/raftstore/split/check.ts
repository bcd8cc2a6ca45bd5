/**
 * Where to split a region, found by a walk over its entries in slices. Pure: it reads a snapshot
 * of the engine, the caller decides when the next slice runs.
 * Not here: when a region is looked at (controller.ts), who asks for ids (workers/pd.ts).
 * Source: tikv raftstore/coprocessor/split_check/{size,keys,half}.rs, store/worker/split_check.rs.
 *
 * Sizes are those of keys and values of CFs default and write; entries of CF write, and of a region
 * without them those of CF default, count as keys.
 */
import { compareBytes } from "../../base/index.js";
import { dataRange, originKey, TS_SUFFIX_BYTES } from "../../codec/index.js";
import type { CfName, Entries, Iter, Snapshot } from "../../engine/index.js";
import { memcomparableScan } from "../../kernel/index.js";
import type { RegionInfo } from "../region.js";

export interface SplitOptions {
  /** A region is cut every so many bytes once it is larger than regionMaxSizeBytes. */
  readonly regionSplitSizeBytes: number;
  readonly regionMaxSizeBytes: number;
  /** The same for keys. */
  readonly regionSplitKeys: number;
  readonly regionMaxKeys: number;
  /** Most split keys that one check finds. */
  readonly batchSplitLimit: number;
}

/** What a walk found. Sizes cover what was walked: all, unless enough split keys were found. */
export interface ScanResult {
  readonly sizeBytes: number;
  readonly keys: number;
  /** Region keys strictly inside the region, ascending. */
  readonly splitKeys: readonly Uint8Array[];
}

/** Decides by one measure; sees each entry in order. */
interface Checker {
  /** Returns whether it needs to see no more. */
  onEntry(dataKey: Uint8Array, bytes: number, counts: boolean): boolean;
  splitKeys(): readonly Uint8Array[];
}

const TAKE_ITEMS = 256;
const TAKE_BYTES = 1 << 18;

/** Returns a region key without the timestamp that a versioned key ends with. */
export function withoutTimestamp(key: Uint8Array): Uint8Array {
  const end = memcomparableScan(key, 0, key.length, 0);
  return end >= 0 && end + TS_SUFFIX_BYTES === key.length ? key.subarray(0, end) : key;
}

/** Collects split keys: region keys that ascend, each with entries between it and the one before. */
class KeyList {
  readonly keys: Uint8Array[] = [];
  /** Where the part begins that the next key would end: its first entry's key. */
  #floor: Uint8Array | undefined;

  constructor(private readonly limit: number) {}

  get isFull(): boolean {
    return this.keys.length >= this.limit;
  }

  /** Notes the first entry of the walk; no effect for the others. */
  begin(dataKey: Uint8Array): void {
    this.#floor ??= withoutTimestamp(originKey(dataKey)).slice();
  }

  /** False if the key cannot split here: it is another version of where its part begins. */
  push(dataKey: Uint8Array): boolean {
    const key = withoutTimestamp(originKey(dataKey));
    if (this.#floor !== undefined && compareBytes(key, this.#floor) <= 0) return false;
    this.#floor = key.slice();
    this.keys.push(this.#floor);
    return true;
  }
}

/**
 * Cuts whenever `share` is exceeded, by bytes or by keys. The last cut is taken back if it leaves
 * less than `max - share` behind it, so that what is left is not soon split again.
 */
class ShareCheck implements Checker {
  readonly #list: KeyList;
  #current = 0;

  constructor(
    private readonly options: {
      readonly share: number;
      readonly max: number;
      readonly limit: number;
      readonly by: "bytes" | "keys";
    },
  ) {
    this.#list = new KeyList(options.limit);
  }

  onEntry(dataKey: Uint8Array, bytes: number, counts: boolean): boolean {
    const { share, max, by } = this.options;
    const amount = by === "bytes" ? bytes : counts ? 1 : 0;
    const before = this.#current;
    this.#list.begin(dataKey);
    this.#current += amount;
    // The entry that exceeds the share goes behind the cut; nothing is cut off that is empty.
    const exceeds = before > 0 && this.#current > share && !this.#list.isFull;
    if (exceeds && this.#list.push(dataKey)) this.#current = amount;
    return this.#list.isFull && this.#current + share >= max;
  }

  splitKeys(): readonly Uint8Array[] {
    const { keys } = this.#list;
    const { share, max } = this.options;
    return this.#current + share < max ? keys.slice(0, -1) : keys;
  }
}

/** Buckets of equal size, doubled when there are too many; the middle one's first key halves. */
class HalfCheck implements Checker {
  #buckets: { readonly key: Uint8Array; bytes: number }[] = [];
  #bucketBytes = 1;

  onEntry(dataKey: Uint8Array, bytes: number): boolean {
    const last = this.#buckets[this.#buckets.length - 1];
    if (last !== undefined && last.bytes < this.#bucketBytes) {
      last.bytes += bytes;
      return false;
    }
    while (this.#buckets.length >= HALF_BUCKETS_MAX) this.#merge();
    this.#buckets.push({ key: dataKey, bytes });
    return false;
  }

  splitKeys(): readonly Uint8Array[] {
    let total = 0;
    for (const { bytes } of this.#buckets) total += bytes;
    let before = 0;
    for (const { key, bytes } of this.#buckets) {
      const cut = before * 2 >= total ? this.#cutAt(key) : [];
      if (cut.length > 0) return cut;
      before += bytes;
    }
    // Nothing lies behind the middle: the last key that can split at all.
    for (let i = this.#buckets.length - 1; i > 0; i--) {
      const cut = this.#cutAt(this.#buckets[i]?.key as Uint8Array);
      if (cut.length > 0) return cut;
    }
    return [];
  }

  #cutAt(dataKey: Uint8Array): readonly Uint8Array[] {
    const list = new KeyList(1);
    list.begin(this.#buckets[0]?.key as Uint8Array);
    list.push(dataKey);
    return list.keys;
  }

  #merge(): void {
    this.#bucketBytes *= 2;
    const merged: { readonly key: Uint8Array; bytes: number }[] = [];
    for (const bucket of this.#buckets) {
      const last = merged[merged.length - 1];
      if (last !== undefined && last.bytes < this.#bucketBytes) last.bytes += bucket.bytes;
      else merged.push(bucket);
    }
    this.#buckets = merged;
  }
}

const HALF_BUCKETS_MAX = 2048;

/** One CF's entries, read in portions. */
class CfCursor {
  readonly #iter: Iter;
  #entries: Entries = { keys: [], values: [] };
  #at = 0;
  #ended = false;

  constructor(snapshot: Snapshot, cf: CfName, range: { start: Uint8Array; end: Uint8Array }) {
    this.#iter = snapshot.iterate(cf, { lower: range.start, upper: range.end, fillCache: false });
    this.#iter.seekToFirst();
    this.#fill();
  }

  /** The current key; undefined behind the last. */
  get key(): Uint8Array | undefined {
    return this.#entries.keys[this.#at];
  }

  get bytes(): number {
    const key = this.#entries.keys[this.#at] as Uint8Array;
    return key.length + (this.#entries.values[this.#at] as Uint8Array).length;
  }

  next(): void {
    this.#at++;
    if (this.#at === this.#entries.keys.length && !this.#ended) this.#fill();
  }

  close(): void {
    this.#iter.close();
  }

  #fill(): void {
    this.#entries = this.#iter.valid
      ? this.#iter.take(TAKE_ITEMS, TAKE_BYTES)
      : { keys: [], values: [] };
    this.#at = 0;
    this.#ended = this.#entries.keys.length === 0;
  }
}

/** A walk over one region; `close` it, which closes the snapshot too. */
export class SplitScan {
  readonly #snapshot: Snapshot;
  readonly #default: CfCursor;
  readonly #write: CfCursor;
  readonly #checkers: readonly Checker[];
  /** Whether keys are counted by CF write. */
  readonly #versioned: boolean;
  #sizeBytes = 0;
  #keys = 0;
  #stopped = false;

  /** "size": by size and number of keys. "half": in the middle. */
  constructor(
    snapshot: Snapshot,
    region: RegionInfo,
    policy: "size" | "half",
    options: SplitOptions,
  ) {
    this.#snapshot = snapshot;
    const range = dataRange(region.startKey, region.endKey);
    this.#default = new CfCursor(snapshot, "default", range);
    this.#write = new CfCursor(snapshot, "write", range);
    this.#versioned = this.#write.key !== undefined;
    this.#checkers = policy === "half" ? [new HalfCheck()] : shareChecks(options);
  }

  /**
   * Walks on for at most `entries` entries, and not beyond the one that brings their size to
   * `bytes`; returns whether the walk has ended.
   */
  step(entries: number, bytes: number): boolean {
    const until = this.#sizeBytes + bytes;
    for (let i = 0; i < entries && this.#sizeBytes < until && !this.#stopped; i++) {
      const cursor = this.#next();
      if (cursor === undefined) return true;
      this.#onEntry(cursor);
      cursor.next();
    }
    return this.#stopped || this.#next() === undefined;
  }

  result(): ScanResult {
    const found = this.#checkers.map((checker) => checker.splitKeys());
    const splitKeys = found.find((keys) => keys.length > 0) ?? [];
    return { sizeBytes: this.#sizeBytes, keys: this.#keys, splitKeys };
  }

  close(): void {
    this.#default.close();
    this.#write.close();
    this.#snapshot.close();
  }

  /** The cursor with the smaller key; undefined when both have ended. */
  #next(): CfCursor | undefined {
    const [a, b] = [this.#default.key, this.#write.key];
    if (a === undefined) return b === undefined ? undefined : this.#write;
    return b === undefined || compareBytes(a, b) <= 0 ? this.#default : this.#write;
  }

  #onEntry(cursor: CfCursor): void {
    const key = cursor.key as Uint8Array;
    const { bytes } = cursor;
    const counts = this.#versioned ? cursor === this.#write : true;
    this.#sizeBytes += bytes;
    if (counts) this.#keys++;
    for (const checker of this.#checkers) {
      if (checker.onEntry(key, bytes, counts)) this.#stopped = true;
    }
  }
}

function shareChecks(options: SplitOptions): readonly Checker[] {
  const limit = options.batchSplitLimit;
  const { regionSplitSizeBytes, regionMaxSizeBytes, regionSplitKeys, regionMaxKeys } = options;
  return [
    new ShareCheck({
      share: regionSplitSizeBytes,
      max: regionMaxSizeBytes,
      limit,
      by: "bytes",
    }),
    new ShareCheck({ share: regionSplitKeys, max: regionMaxKeys, limit, by: "keys" }),
  ];
}
