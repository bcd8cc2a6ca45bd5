/**
 * What a read cost, per CF, as ScanDetailV2 and tikv_storage_* metrics report it.
 * Source: tikv components/tikv_kv/src/stats.rs CfStatistics.
 */
import type { MvccCf } from "./snapshot.js";

export interface CfStatistics {
  /** Entries that the caller got something from. */
  processedKeys: number;
  get: number;
  next: number;
  prev: number;
  seek: number;
  seekForPrev: number;
}

const zero = (): CfStatistics => ({
  processedKeys: 0,
  get: 0,
  next: 0,
  prev: 0,
  seek: 0,
  seekForPrev: 0,
});

export class Statistics {
  readonly lock = zero();
  readonly write = zero();
  readonly default = zero();
  /** Bytes of keys and values that were processed. */
  processedSize = 0;

  of(cf: MvccCf): CfStatistics {
    return this[cf];
  }

  /** Versions that were looked at, as ScanDetailV2.total_versions. */
  get totalVersions(): number {
    const { get, next, prev, seek, seekForPrev } = this.write;
    return get + next + prev + seek + seekForPrev;
  }

  add(other: Statistics): void {
    for (const cf of ["lock", "write", "default"] as const) {
      const [mine, its] = [this[cf], other[cf]];
      mine.processedKeys += its.processedKeys;
      mine.get += its.get;
      mine.next += its.next;
      mine.prev += its.prev;
      mine.seek += its.seek;
      mine.seekForPrev += its.seekForPrev;
    }
    this.processedSize += other.processedSize;
  }
}
