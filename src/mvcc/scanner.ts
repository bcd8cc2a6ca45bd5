/**
 * Reads a range at a timestamp, in slices: KvScan. What a row is comes from a version scan; limits,
 * samples, long values and the end of a failed read are here. Max_ts and the locks in memory are
 * the caller's to check. Source: tikv src/storage/mvcc/reader/scanner/mod.rs, txn/store.rs.
 */
import type { ReadError, ReadPoint } from "./lock_check.js";
import { BackwardVersionScan } from "./scanner_backward.js";
import { ForwardVersionScan } from "./scanner_forward.js";
import type { MvccSnapshot } from "./snapshot.js";
import type { Statistics } from "./statistics.js";
import {
  type OpenVersionScan,
  pairsOf,
  type ReadPair,
  type ScanRange,
  type VersionScan,
} from "./version_scan.js";

export interface ScannerOptions extends ScanRange {
  /** Pairs that are wanted; those with errors count. */
  readonly limit: number;
  /** Values are left out (empty). */
  readonly keyOnly: boolean;
  /** Takes every nth key that has a value, from the first on; 0 and 1 = all. */
  readonly sampleStep: number;
}

/** Rows of one step at most; bounds what is loaded from the default CF at once. */
const STEP_ROWS_MAX = 1024;

/** Opens the walk of this folder that fits the direction. */
export const openVersionScan: OpenVersionScan = (source, range, point) =>
  range.reverse
    ? new BackwardVersionScan(source, range, point)
    : new ForwardVersionScan(source, range, point);

/** Call `step` until `done`, then take `pairs` or `error`. Close it before its snapshot. */
export class Scanner {
  /** In the order of the scan. Keys are encoded. A locked key has its error and the scan goes on. */
  readonly pairs: ReadPair[] = [];
  /** What ended the read as a whole: a write conflict, or damage. */
  error: ReadError | undefined;
  private readonly scan: VersionScan;
  private values = 0;

  constructor(
    readonly snapshot: MvccSnapshot,
    readonly statistics: Statistics,
    point: ReadPoint,
    private readonly options: ScannerOptions,
    open: OpenVersionScan = openVersionScan,
  ) {
    this.scan = open(this, options, point);
  }

  get done(): boolean {
    return this.error !== undefined || this.scan.done || this.pairs.length >= this.options.limit;
  }

  /** Looks at about `maxEntries` further entries. */
  step(maxEntries: number): void {
    if (this.done) return;
    const { limit, sampleStep, keyOnly } = this.options;
    const samples = sampleStep > 1;
    const wanted = samples ? STEP_ROWS_MAX : Math.min(limit - this.pairs.length, STEP_ROWS_MAX);
    const rows = this.scan.step(maxEntries, wanted);
    const taken = samples
      ? rows.filter((row) => row.type === "error" || this.values++ % sampleStep === 0)
      : rows;
    for (const pair of pairsOf(this, taken, keyOnly)) {
      if (this.pairs.length >= limit) return;
      if ("error" in pair && pair.error.kind !== "keyIsLocked") {
        this.error = pair.error;
        return;
      }
      this.pairs.push(pair);
    }
  }

  close(): void {
    this.scan.close();
  }
}
