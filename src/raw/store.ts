/**
 * RawKV reads over a snapshot of one region. Pure: the driver owns the snapshot, brings the time
 * and steps long reads in slices. Not here: writes (atomic.ts), checks of requests (check.ts).
 * Source: tikv src/storage/raw/{store,encoded,raw_mvcc}.rs. Hot path of scans.
 */
import { isVersionOf } from "../codec/index.js";
import type { CfName, Entries } from "../engine/index.js";
import type { RawFormat } from "./format.js";
import { sameUserKey } from "./format.js";

/** A cursor over region keys; bounds were given when it was opened. */
export interface RawCursor {
  seekToFirst(): boolean;
  seekToLast(): boolean;
  readonly valid: boolean;
  /** As engine Iter.take; keys without the engine's prefixes. */
  take(maxItems: number, maxBytes: number, reverse?: boolean): Entries;
  close(): void;
}

/** Point reads in region keys; the caller has checked that they lie in the region. */
export interface RawPointReader {
  get(cf: CfName, key: Uint8Array): Uint8Array | undefined;
  multiGet(cf: CfName, keys: readonly Uint8Array[]): (Uint8Array | undefined)[];
}

/** `[lower, upper)` in region keys, empty upper = end of the region. */
export interface RawReader extends RawPointReader {
  cursor(cf: CfName, lower: Uint8Array, upper: Uint8Array, keysOnly: boolean): RawCursor;
}

/** Returns the newest stored value of a V2 key, dead or alive, and its stored key. */
export function newestVersion(
  reader: RawReader,
  cf: CfName,
  encodedKey: Uint8Array,
): { readonly key: Uint8Array; readonly value: Uint8Array } | undefined {
  // No other key starts with a whole encoded key, so these bounds hold its versions only.
  const upper = new Uint8Array(encodedKey.length + 9).fill(0xff);
  upper.set(encodedKey);
  const cursor = reader.cursor(cf, encodedKey, upper, false);
  try {
    if (!cursor.seekToFirst()) return undefined;
    const { keys, values } = cursor.take(1, 1);
    const key = keys[0] as Uint8Array;
    return isVersionOf(key, encodedKey) ? { key, value: values[0] as Uint8Array } : undefined;
  } finally {
    cursor.close();
  }
}

/** Returns the stored bytes of a region key, the newest version in V2, dead or alive. */
export function getStored(
  format: RawFormat,
  reader: RawReader,
  cf: CfName,
  encodedKey: Uint8Array,
): Uint8Array | undefined {
  return format.versioned
    ? newestVersion(reader, cf, encodedKey)?.value
    : reader.get(cf, encodedKey);
}

export interface RawScanLimits {
  /** Pairs to collect at most; 0 collects none. */
  readonly limit: number;
  readonly keyOnly: boolean;
  readonly reverse: boolean;
  readonly nowSeconds: number;
}

export interface RawScanPair {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

const NO_VALUE = new Uint8Array(0);

/**
 * A scan that advances in steps, so that its driver can yield between them.
 * It shows each user key once, with its newest version, and leaves out what is dead.
 */
export class RawScan {
  readonly pairs: RawScanPair[] = [];
  /** Sum of the lengths in `pairs`. */
  bytes = 0;
  private started = false;
  /** V2: the entry seen last. Forward it was decided; in reverse it is the newest so far. */
  private pendingKey: Uint8Array | undefined;
  private pendingValue: Uint8Array = NO_VALUE;

  constructor(
    private readonly format: RawFormat,
    private readonly cursor: RawCursor,
    private readonly limits: RawScanLimits,
  ) {}

  /** Reads about `maxItems` stored entries or `maxBytes`. Returns whether the scan is finished. */
  step(maxItems: number, maxBytes: number): boolean {
    const { limit, reverse } = this.limits;
    if (limit === 0) return true;
    if (!this.started) {
      this.started = true;
      if (reverse) this.cursor.seekToLast();
      else this.cursor.seekToFirst();
    }
    if (!this.cursor.valid) return this.finish();
    // Dead entries do not count against the limit, so more may be wanted in the next step.
    const wanted = this.format.versioned ? maxItems : Math.min(maxItems, limit - this.pairs.length);
    const { keys, values } = this.cursor.take(wanted, maxBytes, reverse);
    for (let i = 0; i < keys.length; i++) {
      this.visit(keys[i] as Uint8Array, values[i] as Uint8Array);
      if (this.pairs.length >= limit) return true;
    }
    return this.cursor.valid ? false : this.finish();
  }

  private visit(key: Uint8Array, value: Uint8Array): void {
    if (!this.format.versioned) {
      this.emit(key, value);
      return;
    }
    const last = this.pendingKey;
    const same = last !== undefined && sameUserKey(last, key);
    if (this.limits.reverse) {
      // Oldest version first: the newest is known when the user key changes.
      if (last !== undefined && !same) this.emit(last, this.pendingValue);
    } else if (!same) {
      this.emit(key, value);
    }
    this.pendingKey = key;
    this.pendingValue = value;
  }

  private finish(): true {
    if (this.format.versioned && this.limits.reverse && this.pendingKey !== undefined) {
      this.emit(this.pendingKey, this.pendingValue);
      this.pendingKey = undefined;
    }
    return true;
  }

  private emit(storedKey: Uint8Array, stored: Uint8Array): void {
    const { keyOnly, nowSeconds } = this.limits;
    // A V1 scan for keys only has not loaded the values.
    const alive = this.format.liveValue(stored, nowSeconds);
    if (alive === undefined) return;
    const key = this.format.decodeKey(storedKey);
    const value = keyOnly ? NO_VALUE : alive;
    this.pairs.push({ key, value });
    this.bytes += key.length + value.length;
  }
}
