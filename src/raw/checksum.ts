/**
 * RawChecksum over ranges: XOR of crc64(key · value) over live pairs, with counts. Pure; advances
 * in steps. The CRC itself is a kernel that the driver injects.
 * Source: tikv src/storage/raw/store.rs raw_checksum_ranges.
 */
import type { CfName } from "../engine/index.js";
import type { RawFormat } from "./format.js";
import { type RawCursor, type RawReader, RawScan, type RawScanPair } from "./store.js";

/** Returns the XOR of the CRC-64/XZ of key · value over `pairs`. */
export type Crc64Pairs = (pairs: readonly RawScanPair[]) => bigint;

export interface RegionRange {
  readonly lower: Uint8Array;
  /** Empty = to the end of the region. */
  readonly upper: Uint8Array;
}

/** The sums so far; ranges are read one after the other, each through its own cursor. */
export class RawChecksum {
  checksum = 0n;
  totalKvs = 0;
  totalBytes = 0;
  private nextRange = 0;
  private scan: RawScan | undefined;
  private cursor: RawCursor | undefined;

  constructor(
    private readonly format: RawFormat,
    private readonly reader: RawReader,
    private readonly cf: CfName,
    private readonly ranges: readonly RegionRange[],
    private readonly nowSeconds: number,
    private readonly crc64Pairs: Crc64Pairs,
  ) {}

  /** Reads about `maxItems` stored entries or `maxBytes`. Returns whether all ranges are done. */
  step(maxItems: number, maxBytes: number): boolean {
    const scan = this.scan ?? this.openNext();
    if (scan === undefined) return true;
    const finished = scan.step(maxItems, maxBytes);
    const { pairs } = scan;
    if (pairs.length > 0) {
      this.checksum ^= this.crc64Pairs(pairs);
      this.totalKvs += pairs.length;
      for (const { key, value } of pairs) this.totalBytes += key.length + value.length;
      pairs.length = 0;
    }
    if (finished) this.close();
    return finished && this.nextRange >= this.ranges.length;
  }

  /** Releases the cursor. Idempotent. */
  close(): void {
    this.cursor?.close();
    this.cursor = undefined;
    this.scan = undefined;
  }

  private openNext(): RawScan | undefined {
    const range = this.ranges[this.nextRange];
    if (range === undefined) return undefined;
    this.nextRange++;
    this.cursor = this.reader.cursor(this.cf, range.lower, range.upper, false);
    this.scan = new RawScan(this.format, this.cursor, {
      limit: Number.POSITIVE_INFINITY,
      keyOnly: false,
      reverse: false,
      nowSeconds: this.nowSeconds,
    });
    return this.scan;
  }
}
