/**
 * What both directions of a version scan share: the write and lock cursors step together, one key
 * at a time, and a lock without any version is a key too. Hot path.
 */
import { compareBytes } from "../base/index.js";
import { keyTruncateTs } from "../codec/index.js";
import { EntryCursor } from "./entry_cursor.js";
import type { ReadPoint } from "./lock_check.js";
import { rowOfLockRecord } from "./point_getter.js";
import type { ReadSource, ScanRange, VersionRow, VersionScan } from "./version_scan.js";

/** Entries of the first block after a seek: most seeks of a scan land where it goes on. */
const FIRST_BLOCK = 16;

/** See VersionScan. */
export abstract class VersionWalk implements VersionScan {
  protected readonly writes: EntryCursor;
  /** Absent under rc, where locks are not looked at. */
  private readonly locks: EntryCursor | undefined;
  private readonly sign: 1 | -1;
  private started = false;

  constructor(
    protected readonly source: ReadSource,
    protected readonly range: ScanRange,
    protected readonly point: ReadPoint,
  ) {
    const { snapshot, statistics } = source;
    const options = { reverse: range.reverse, firstBlock: FIRST_BLOCK };
    this.sign = range.reverse ? -1 : 1;
    this.writes = new EntryCursor(snapshot.cursor("write", range), statistics.write, options);
    if (point.isolation !== "rc") {
      this.locks = new EntryCursor(snapshot.cursor("lock", range), statistics.lock, options);
    }
  }

  /** Finds the row among the versions of a key; the write cursor is at the first of them. */
  protected abstract find(key: Uint8Array): VersionRow | undefined;

  /** Moves the write cursor to the next key. */
  protected abstract leave(key: Uint8Array): void;

  get done(): boolean {
    return this.started && !this.writes.valid && this.locks?.valid !== true;
  }

  step(maxEntries: number, maxRows: number): VersionRow[] {
    if (!this.started) {
      this.started = true;
      this.writes.seekToFirst();
      this.locks?.seekToFirst();
    }
    const rows: VersionRow[] = [];
    const end = this.entriesSeen() + maxEntries;
    while (!this.done && rows.length < maxRows) {
      const row = this.nextKey();
      if (row !== undefined) rows.push(row);
      if (this.entriesSeen() >= end) break;
    }
    return rows;
  }

  close(): void {
    this.writes.close();
    this.locks?.close();
  }

  /** Handles the next key that has a version or a lock, and leaves it. */
  private nextKey(): VersionRow | undefined {
    const { writes, locks } = this;
    const written = writes.valid ? keyTruncateTs(writes.key) : undefined;
    const locked = locks?.valid === true ? locks.key : undefined;
    let order = written === undefined ? 1 : -1;
    if (written && locked) order = this.sign * compareBytes(written, locked);
    const key = (order < 0 ? written : locked) as Uint8Array;
    let row: VersionRow | undefined | "pass" = "pass";
    if (order >= 0) {
      row = rowOfLockRecord(this.source, key, (locks as EntryCursor).value, this.point);
      locks?.next();
    }
    if (order <= 0) {
      if (row === "pass") row = this.find(key);
      this.leave(key);
    }
    return row === "pass" ? undefined : row;
  }

  /** Moves of the cursors so far: what a slice is measured by. */
  private entriesSeen(): number {
    const { write, lock } = this.source.statistics;
    return movesOf(write) + movesOf(lock);
  }
}

function movesOf(cf: ReadSource["statistics"]["write"]): number {
  return cf.next + cf.prev + cf.seek + cf.seekForPrev;
}
