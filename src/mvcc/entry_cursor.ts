/**
 * A cursor over one CF, in one direction, that fetches entries in blocks and seeks nearby by
 * walking. Source: tikv components/tikv_kv/src/cursor.rs Cursor::near_seek. Hot path.
 */
import { assert, compareBytes } from "../base/index.js";
import type { MvccCursor } from "./snapshot.js";
import type { CfStatistics } from "./statistics.js";

/** Entries that a near seek walks over, at least, before it seeks. */
export const SEEK_BOUND = 8;

const BLOCK_GROWTH = 4;
const BLOCK_ENTRIES_MAX = 256;
const BLOCK_BYTES_MAX = 64 * 1024;

export interface EntryCursorOptions {
  /** Walks from greater to smaller keys; "first" and "next" below then mean that order. */
  readonly reverse: boolean;
  /** Entries of the first block after a seek; the blocks behind it grow. */
  readonly firstBlock: number;
}

/**
 * `key` and `value` belong to the caller. Invariant: between `floor` (where the cursor came from)
 * and the current entry there is nothing, so a seek to there needs no move. The floor is the target
 * of a seek, or an entry that was passed; the latter is itself no such target.
 */
export class EntryCursor {
  private keys: Uint8Array[] = [];
  private values: Uint8Array[] = [];
  private at = 0;
  private blockEntries = 1;
  /** The engine's cursor is at the block's one entry, not behind it: a look must not cost a step. */
  private onEntry = false;
  /** undefined before the first seek. */
  private floor: Uint8Array | undefined;
  private floorPassed = false;
  private readonly sign: 1 | -1;

  constructor(
    private readonly cursor: MvccCursor,
    private readonly statistics: CfStatistics,
    private readonly options: EntryCursorOptions,
  ) {
    this.sign = options.reverse ? -1 : 1;
  }

  /** Whether there is an entry here. */
  get valid(): boolean {
    return this.at < this.keys.length;
  }

  get key(): Uint8Array {
    assert(this.at < this.keys.length, "key of a valid cursor");
    return this.keys[this.at] as Uint8Array;
  }

  get value(): Uint8Array {
    assert(this.at < this.keys.length, "value of a valid cursor");
    return this.values[this.at] as Uint8Array;
  }

  /** Moves to the first entry of the bounds, before any other seek. Returns validity, as all. */
  seekToFirst(): boolean {
    if (this.options.reverse) {
      this.statistics.seekForPrev++;
      this.cursor.seekToLast();
    } else {
      this.statistics.seek++;
      this.cursor.seekToFirst();
    }
    return this.fetchFirst();
  }

  /** Moves to the first entry at or behind `target`: a walk if it is near, else one seek. */
  seek(target: Uint8Array): boolean {
    if (this.isAhead(target) && this.walk(target)) return this.valid;
    if (this.options.reverse) {
      this.statistics.seekForPrev++;
      this.cursor.seekForPrev(target);
    } else {
      this.statistics.seek++;
      this.cursor.seek(target);
    }
    this.floor = target;
    this.floorPassed = false;
    return this.fetchFirst();
  }

  next(): boolean {
    if (this.at >= this.keys.length) return false;
    this.count(1);
    this.pass(this.keys[this.at] as Uint8Array);
    this.at++;
    return this.at < this.keys.length || this.fetch();
  }

  close(): void {
    this.cursor.close();
  }

  /** Walks to `target` through this block, and the next while few entries were passed. */
  private walk(target: Uint8Array): boolean {
    let passed = 0;
    while (this.valid) {
      const { at, keys } = this;
      let to = at;
      while (to < keys.length && this.order(keys[to] as Uint8Array, target) < 0) to++;
      this.count(to - at);
      if (to > at) this.pass(keys[to - 1] as Uint8Array);
      this.at = to;
      if (to < keys.length) return true;
      passed += to - at;
      if (passed > SEEK_BOUND) return false;
      this.fetch();
    }
    return true;
  }

  /** Whether the first entry at or behind `target` is the current one or behind it. */
  private isAhead(target: Uint8Array): boolean {
    if (this.floor === undefined) return false;
    const order = this.order(this.floor, target);
    return this.floorPassed ? order < 0 : order <= 0;
  }

  private pass(entry: Uint8Array): void {
    this.floor = entry;
    this.floorPassed = true;
  }

  private order(a: Uint8Array, b: Uint8Array): number {
    return this.sign * compareBytes(a, b);
  }

  private count(moves: number): void {
    if (this.options.reverse) this.statistics.prev += moves;
    else this.statistics.next += moves;
  }

  /** Loads the first block after a seek. */
  private fetchFirst(): boolean {
    const { cursor } = this;
    this.onEntry = false;
    this.blockEntries = this.options.firstBlock;
    if (this.blockEntries > 1 || !cursor.valid) return this.fetch();
    this.at = 0;
    this.onEntry = true;
    this.keys = [cursor.key()];
    this.values = [cursor.value()];
    this.blockEntries = BLOCK_GROWTH;
    return true;
  }

  private fetch(): boolean {
    const { cursor, options } = this;
    if (this.onEntry) {
      this.onEntry = false;
      if (options.reverse) cursor.prev();
      else cursor.next();
    }
    this.at = 0;
    if (!cursor.valid) {
      this.keys = [];
      this.values = [];
      return false;
    }
    const { keys, values } = cursor.take(this.blockEntries, BLOCK_BYTES_MAX, options.reverse);
    this.keys = keys;
    this.values = values;
    this.blockEntries = Math.min(this.blockEntries * BLOCK_GROWTH, BLOCK_ENTRIES_MAX);
    return this.valid;
  }
}
