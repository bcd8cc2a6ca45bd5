/**
 * max_ts, and the locks that exist in memory alone while async commit and 1PC prewrites are being
 * written. One per store, pure. Source: tikv components/concurrency_manager.
 *
 * Order of a read: raise max_ts, check the memory locks, take the snapshot. Order of a prewrite:
 * lock the key's handle, compute min_commit_ts from max_ts, publish the lock, write. Each reader then
 * either raised max_ts before min_commit_ts was computed, or meets the published lock.
 */
import { assert, compareBytes, err, ok, type Result, U64_MAX } from "../base/index.js";
import type { Lock } from "../codec/index.js";

/** Holds a key in the table; `release` removes its lock. Release exactly once. */
export interface LockGuard {
  /** Encoded. */
  readonly key: Uint8Array;
  /** Publishes a lock for readers; replaces the one before. */
  publish(lock: Lock): void;
  release(): void;
}

interface Entry {
  readonly key: Uint8Array;
  lock: Lock | undefined;
}

/** The keys in order; few at any time: those of prewrites that are being written. */
export class ConcurrencyManager {
  private maxTsValue: bigint;
  /** Ascending by key. Invariant: a key occurs once, latches see to it. */
  private readonly entries: Entry[] = [];

  constructor(initialMaxTs: bigint) {
    this.maxTsValue = initialMaxTs;
  }

  get maxTs(): bigint {
    return this.maxTsValue;
  }

  /** Number of keys that are held. */
  get size(): number {
    return this.entries.length;
  }

  /** Raises max_ts. U64_MAX is "newest" and raises nothing. */
  updateMaxTs(ts: bigint): void {
    if (ts !== U64_MAX && ts > this.maxTsValue) this.maxTsValue = ts;
  }

  /** Takes a key; its latch must be held. */
  lockKey(key: Uint8Array): LockGuard {
    const at = this.lowerBound(key);
    const found = this.entries[at];
    assert(
      found === undefined || compareBytes(found.key, key) !== 0,
      "a key is held in memory by one command at a time",
    );
    const entry: Entry = { key, lock: undefined };
    this.entries.splice(at, 0, entry);
    let held = true;
    return {
      key,
      publish: (lock) => {
        assert(held, "a lock is published while its key is held");
        entry.lock = lock;
      },
      release: () => {
        assert(held, "a memory lock is released once");
        held = false;
        const index = this.lowerBound(key);
        assert(this.entries[index] === entry, "a held key is in the table");
        this.entries.splice(index, 1);
      },
    };
  }

  /** Judges the published lock of one key, if there is one. `check` returns what blocks. */
  readKeyCheck<E>(key: Uint8Array, check: (lock: Lock) => E | undefined): Result<void, E> {
    const entry = this.entries[this.lowerBound(key)];
    if (entry?.lock === undefined || compareBytes(entry.key, key) !== 0) return ok(undefined);
    const blocked = check(entry.lock);
    return blocked === undefined ? ok(undefined) : err(blocked);
  }

  /** As `readKeyCheck` for `[start, end)`, empty end = +inf; the first that blocks is returned. */
  readRangeCheck<E>(
    start: Uint8Array,
    end: Uint8Array,
    check: (key: Uint8Array, lock: Lock) => E | undefined,
  ): Result<void, E> {
    for (let at = this.lowerBound(start); at < this.entries.length; at++) {
      const { key, lock } = this.entries[at] as Entry;
      if (end.length > 0 && compareBytes(key, end) >= 0) break;
      const blocked = lock === undefined ? undefined : check(key, lock);
      if (blocked !== undefined) return err(blocked);
    }
    return ok(undefined);
  }

  /** Returns the smallest start_ts of the published locks; undefined without one. */
  globalMinLockTs(): bigint | undefined {
    let least: bigint | undefined;
    for (const { lock } of this.entries) {
      if (lock !== undefined && (least === undefined || lock.startTs < least)) {
        least = lock.startTs;
      }
    }
    return least;
  }

  private lowerBound(key: Uint8Array): number {
    let [low, high] = [0, this.entries.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compareBytes((this.entries[middle] as Entry).key, key) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
