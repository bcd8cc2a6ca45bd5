/**
 * A version scan by kernel: blocks of raw entries of the write and lock CF go into linear memory, the
 * kernel decides their keys, rows come out. A step takes a turn of the arena, so that it must not be
 * called inside one. Keys that blocks are bad at (very many versions, data far below) go to the walk
 * for single keys; an entry larger than a block sends the rest of the range to the walks. Hot path.
 */
import { assert, compareBytes, EMPTY_BYTES } from "../base/index.js";
import { keyAppendTs, keyTruncateTs, keyTs } from "../codec/index.js";
import {
  CORRUPT,
  type Kernels,
  MVCC_ERR_CF,
  MVCC_FLAG_LOCKS_END,
  MVCC_FLAG_REVERSE,
  MVCC_FLAG_WRITES_END,
  MVCC_LOCKS,
  MVCC_LOCKS_COUNT,
  MVCC_LOCKS_DONE,
  MVCC_ROWS_DONE,
  MVCC_SKIP,
  MVCC_SKIP_LENGTH,
  MVCC_SKIP_NEXT,
  MVCC_SKIP_NEXT_LENGTH,
  MVCC_STOP,
  MVCC_STOP_END,
  MVCC_STOP_WRITES,
  MVCC_WRITES,
  MVCC_WRITES_COUNT,
  MVCC_WRITES_DONE,
  mvccScan,
  OUT_FULL,
} from "../kernel/index.js";
import { EntryBlock } from "./entry_block.js";
import { EntryCursor } from "./entry_cursor.js";
import { KernelCall } from "./kernel_call.js";
import type { ReadPoint } from "./lock_check.js";
import { VersionFinder } from "./point_getter.js";
import type { MvccCursor } from "./snapshot.js";
import type {
  OpenVersionScan,
  ReadSource,
  ScanRange,
  VersionRow,
  VersionScan,
} from "./version_scan.js";
import { versioned } from "./visible.js";

/** Rows and bytes of the blocks, at most; a smaller arena makes them smaller. */
const WRITE_ROWS_MAX = 1024;
const LOCK_ROWS_MAX = 256;
const WRITE_BYTES_MAX = 256 * 1024;
const LOCK_BYTES_MAX = 64 * 1024;
const CALL_ROWS_MAX = 256;
/** The skipped key and alignment. */
const SPARE_BYTES = 64;
/** Entries of one key from which on a seek is cheaper than going through the rest. */
const LONG_KEY_ENTRIES = 32;
/**
 * From so many entries a row on, a seek behind each key costs less than its entries: a seek of
 * librocksdb costs as much as 5 to 8 entries into linear memory (bench/hierarchy/mvcc_scan.ts).
 */
const LEAP_ENTRIES_A_ROW = 10;
/** Entries that are fetched of a key that will be left by a seek. */
const LEAP_FILL = 2;
/** So many seeks later a block of LONG_KEY_ENTRIES tells whether keys still are long. */
const LEAPS_A_LOOK = 80;
/** A first fill takes no fewer entries. */
const FILL_MIN = 8;

/** Sorts behind every version of the key that it follows. */
const BEHIND_VERSIONS = new Uint8Array(9).fill(0xff);

/** Returns an opener of scans by `kernels`, and by `plain` where a snapshot has no blocks. */
export function openKernelScan(kernels: Kernels, plain: OpenVersionScan): OpenVersionScan {
  return (source, range, point) => {
    const scan = new KernelVersionScan(kernels, plain, source, range, point);
    if (scan.hasBlocks) return scan;
    scan.close();
    return plain(source, range, point);
  };
}

/** What lives for one turn of the arena. */
interface Turn {
  readonly writes: EntryBlock;
  readonly locks: EntryBlock;
  readonly call: KernelCall;
  readonly skipAt: number;
  /** Entries that may still be taken. */
  budget: number;
  /** The kernel asked for more entries of the write CF. */
  wantsWrites: boolean;
  /** Something was consumed, so that the next turn starts further on. */
  progressed: boolean;
}

/** See VersionScan. Keys are encoded. */
export class KernelVersionScan implements VersionScan {
  private readonly writes: MvccCursor;
  /** Absent under rc, where locks are not looked at. */
  private readonly locks: MvccCursor | undefined;
  private readonly finder: VersionFinder;
  /** For keys that the kernel leaves open; opened when the first is met. */
  private forward: EntryCursor | undefined;
  /** The walk that does the rest of the range. */
  private rest: VersionScan | undefined;
  private started = false;
  private ended = false;
  /** A decided key whose entries may go on; empty = none. */
  private skip: Uint8Array = EMPTY_BYTES;
  /** Entries that the next fill wants. */
  private wanted = 0;
  /** What the last calls needed. */
  private entriesPerRow = 1;

  constructor(
    private readonly kernels: Kernels,
    private readonly plain: OpenVersionScan,
    private readonly source: ReadSource,
    private readonly range: ScanRange,
    private readonly point: ReadPoint,
  ) {
    this.writes = source.snapshot.cursor("write", range);
    if (point.isolation !== "rc") this.locks = source.snapshot.cursor("lock", range);
    this.finder = new VersionFinder(source, point);
  }

  /** Whether the snapshot serves blocks. */
  get hasBlocks(): boolean {
    return this.writes.takeBlock !== undefined;
  }

  get done(): boolean {
    return this.rest?.done ?? this.ended;
  }

  step(maxEntries: number, maxRows: number): VersionRow[] {
    if (this.rest !== undefined) return this.rest.step(maxEntries, maxRows);
    const rows: VersionRow[] = [];
    if (this.ended || maxRows <= 0) return rows;
    const { arena } = this.kernels;
    arena.enter();
    try {
      this.start();
      this.wanted = Math.max(FILL_MIN, Math.min(maxRows + 1, CALL_ROWS_MAX));
      const turn = this.openTurn(maxEntries);
      while (this.goesOn && rows.length < maxRows && (turn.budget > 0 || !turn.progressed)) {
        this.advance(turn, rows, maxRows - rows.length);
      }
      if (this.goesOn) this.leaveBlocks(turn);
    } finally {
      arena.leave();
    }
    return rows;
  }

  /** Whether keys are left by a seek, not by going through their entries. */
  private get leaps(): boolean {
    return this.entriesPerRow >= LEAP_ENTRIES_A_ROW;
  }

  private get goesOn(): boolean {
    return !this.ended && this.rest === undefined;
  }

  close(): void {
    this.writes.close();
    this.locks?.close();
    this.forward?.close();
    this.rest?.close();
  }

  private start(): void {
    if (this.started) return;
    this.started = true;
    const { reverse } = this.range;
    const { write, lock } = this.source.statistics;
    write.seek++;
    if (this.locks !== undefined) lock.seek++;
    for (const cursor of [this.writes, this.locks]) {
      if (reverse) cursor?.seekToLast();
      else cursor?.seekToFirst();
    }
  }

  private openTurn(maxEntries: number): Turn {
    const { arena } = this.kernels;
    const { reverse, keyOnly = false } = this.range;
    const tables = (WRITE_ROWS_MAX + LOCK_ROWS_MAX) * 16 + SPARE_BYTES;
    const room = arena.input.free - tables;
    const writeBytes = Math.min(WRITE_BYTES_MAX, Math.floor(room / 2));
    const lockBytes = Math.min(LOCK_BYTES_MAX, Math.floor(room / 4));
    const writes = new EntryBlock(arena, arena.input, WRITE_ROWS_MAX, writeBytes, reverse);
    const locks = new EntryBlock(arena, arena.input, LOCK_ROWS_MAX, lockBytes, reverse);
    // A default key is as long as the write key that it is made of, or a lock key and a timestamp.
    const outBytes = writeBytes + SPARE_BYTES;
    const { source, point } = this;
    const call = new KernelCall(this.kernels, source, point, keyOnly, CALL_ROWS_MAX, outBytes);
    const skipAt = arena.input.reserve(Math.floor(room / 4), 1);
    const state = { budget: maxEntries, wantsWrites: false, progressed: false };
    return { writes, locks, call, skipAt, ...state };
  }

  /** Fills the blocks, calls the kernel, takes its rows. */
  private advance(turn: Turn, rows: VersionRow[], rowsWanted: number): void {
    if (!this.fill(turn)) {
      this.openRest(turn);
      return;
    }
    const { writes, locks, call } = turn;
    const code = this.call(turn, rowsWanted);
    assert(code !== OUT_FULL, "the keys of a block fit into the room for default keys");
    const count = call.get(MVCC_ROWS_DONE);
    call.loadLong();
    call.copyTogether(count, writes.bytesStart, writes.bytesEnd);
    for (let i = 0; i < count; i++) {
      const row = call.row(i);
      const found = row?.type === "open" ? this.finder.find(this.forwards(), row.key) : row;
      if (found !== undefined) rows.push(found as VersionRow);
    }
    const stop = call.get(MVCC_STOP);
    if (code === CORRUPT) {
      const isLock = call.get(MVCC_ERR_CF) === 1;
      const item = this.kernels.arena.errItem;
      const block = isLock ? locks : writes;
      if (!isLock) keyTruncateTs(block.keyOf(item));
      call.refuse(block.valueOf(item), isLock);
    }
    const skipAt = call.get(MVCC_SKIP_NEXT);
    const skipEnd = skipAt + call.get(MVCC_SKIP_NEXT_LENGTH);
    this.skip = this.kernels.arena.u8.slice(skipAt, skipEnd);
    const writesDone = call.get(MVCC_WRITES_DONE);
    const locksDone = call.get(MVCC_LOCKS_DONE);
    turn.wantsWrites = stop === MVCC_STOP_WRITES;
    if (writesDone + locksDone > 0) turn.progressed = true;
    if (stop === MVCC_STOP_END) this.ended = true;
    else if (turn.wantsWrites && (count === 0 || this.leaps)) this.leap(turn, writesDone, rows);
    else writes.consume(writesDone);
    if (!this.leaps && count > 0) {
      this.entriesPerRow = Math.min(writesDone / count, 2 * LEAP_ENTRIES_A_ROW);
    }
    locks.consume(locksDone);
  }

  private call({ writes, locks, call, skipAt }: Turn, rowsWanted: number): number {
    let flags = this.range.reverse ? MVCC_FLAG_REVERSE : 0;
    if (!this.writes.valid) flags |= MVCC_FLAG_WRITES_END;
    if (this.locks?.valid !== true) flags |= MVCC_FLAG_LOCKS_END;
    call.prepare(flags, rowsWanted);
    call.set(MVCC_WRITES, writes.rows);
    call.set(MVCC_WRITES_COUNT, writes.length);
    call.set(MVCC_LOCKS, locks.rows);
    call.set(MVCC_LOCKS_COUNT, locks.length);
    this.kernels.arena.u8.set(this.skip, skipAt);
    call.set(MVCC_SKIP, skipAt);
    call.set(MVCC_SKIP_LENGTH, this.skip.length);
    return mvccScan(this.kernels, call.params);
  }

  /** Makes both blocks hold something if there is anything. Returns false when an entry does not fit. */
  private fill(turn: Turn): boolean {
    const { writes, locks } = turn;
    const { statistics } = this.source;
    const atMost = Math.max(turn.budget, FILL_MIN);
    if (this.writes.valid && (turn.wantsWrites || writes.length === 0)) {
      const wanted = this.leaps ? LEAP_FILL : Math.min(this.wanted, atMost);
      const taken = writes.fill(this.writes, wanted);
      if (taken === 0) return false;
      turn.budget -= taken;
      if (this.range.reverse) statistics.write.prev += taken;
      else statistics.write.next += taken;
      if (!this.leaps) this.wanted = Math.min(this.wanted * 2, WRITE_ROWS_MAX);
    }
    if (this.locks?.valid === true && locks.length === 0) {
      const taken = locks.fill(this.locks, Math.min(LOCK_ROWS_MAX, atMost));
      if (taken === 0) return false;
      turn.budget -= taken;
      if (this.range.reverse) statistics.lock.prev += taken;
      else statistics.lock.next += taken;
    }
    return true;
  }

  /**
   * After a block that ended inside a key: where keys are long, goes to the entries that matter
   * instead of taking them all.
   */
  private leap(turn: Turn, writesDone: number, rows: VersionRow[]): void {
    const { writes } = turn;
    const { length } = writes;
    const { reverse } = this.range;
    const last = length === 0 ? EMPTY_BYTES : writes.keyOf(length - 1);
    const key = length === 0 ? EMPTY_BYTES : writes.userKeyOf(length - 1);
    const { leaps } = this;
    const long = leaps ? 1 : LONG_KEY_ENTRIES;
    const isLong = length >= long && (leaps || compareBytes(key, writes.userKeyOf(0)) === 0);
    const isStuck = reverse && length - writesDone >= long;
    writes.consume(isStuck ? length : writesDone);
    if (isStuck) {
      turn.progressed = true;
      // Its newest versions come last: the walk for single keys finds them from the other side.
      const row = this.finder.find(this.forwards(), key);
      if (row !== undefined) rows.push(row);
      this.moveWrites(key);
    } else if (!isLong) return;
    else if (this.skip.length > 0) {
      this.moveWrites(reverse ? key : versioned(key, BEHIND_VERSIONS));
      this.skip = EMPTY_BYTES;
    } else if (reverse) {
      return;
    } else if (keyTs(last) > this.point.ts && this.point.isolation !== "rcCheckTs") {
      this.moveWrites(keyAppendTs(key, this.point.ts));
    } else return;
    if (!leaps) return;
    this.entriesPerRow -= LEAP_ENTRIES_A_ROW / LEAPS_A_LOOK;
    this.wanted = LONG_KEY_ENTRIES;
  }

  private moveWrites(target: Uint8Array): void {
    const { write } = this.source.statistics;
    if (this.range.reverse) {
      write.seekForPrev++;
      this.writes.seekForPrev(target);
    } else {
      write.seek++;
      this.writes.seek(target);
    }
  }

  /** Puts the cursors back to the first entries that were not used. */
  private leaveBlocks({ writes, locks }: Turn): void {
    if (writes.length > 0) this.moveWrites(writes.keyOf(0));
    if (locks.length === 0) return;
    const key = locks.keyOf(0);
    if (this.range.reverse) this.locks?.seekForPrev(key);
    else this.locks?.seek(key);
  }

  /** Gives the rest of the range to the walks. */
  private openRest({ writes, locks }: Turn): void {
    const { reverse } = this.range;
    const heads: Uint8Array[] = [];
    if (writes.length > 0) heads.push(writes.userKeyOf(0));
    else if (this.writes.valid) {
      heads.push(keyTruncateTs(this.writes.key()));
    }
    if (locks.length > 0) heads.push(locks.keyOf(0));
    else if (this.locks?.valid === true) heads.push(this.locks.key());
    heads.sort((a, b) => (reverse ? compareBytes(b, a) : compareBytes(a, b)));
    const first = heads[0] as Uint8Array;
    const isSkipped = this.skip.length > 0;
    const bound = isSkipped ? this.skip : first;
    const range = reverse
      ? { ...this.range, upper: isSkipped ? bound : versioned(bound, BEHIND_VERSIONS) }
      : { ...this.range, lower: isSkipped ? versioned(bound, BEHIND_VERSIONS) : bound };
    this.rest = this.plain(this.source, range, this.point);
  }

  private forwards(): EntryCursor {
    const { snapshot, statistics } = this.source;
    this.forward ??= new EntryCursor(snapshot.cursor("write", this.range), statistics.write, {
      reverse: false,
      firstBlock: 1,
    });
    return this.forward;
  }
}
