/**
 * A forward cursor over one CF that fetches entries in blocks and seeks nearby by walking.
 * Source: tikv components/tikv_kv/src/cursor.rs Cursor::near_seek. Hot path.
 */
import { assert, compareBytes, EMPTY_BYTES } from "../base/index.js";
import type { MvccCursor } from "./snapshot.js";
import type { CfStatistics } from "./statistics.js";

/** Steps that a near seek takes before it seeks. */
export const SEEK_BOUND = 8;

/** The first block after a seek is one entry, often all that is asked; then they grow. */
const BLOCK_GROWTH = 4;
const BLOCK_ENTRIES_MAX = 64;
const BLOCK_BYTES_MAX = 64 * 1024;

/**
 * `key` and `value` belong to the caller. Invariant: between `floor` (where the cursor came from)
 * and the current entry there is nothing, so a seek to there needs no move.
 */
export class EntryCursor {
  private keys: Uint8Array[] = [];
  private values: Uint8Array[] = [];
  private at = 0;
  private blockEntries = 1;
  /** undefined before the first seek. */
  private floor: Uint8Array | undefined;

  constructor(
    private readonly cursor: MvccCursor,
    private readonly statistics: CfStatistics,
  ) {}

  /** Whether there is an entry here. */
  get valid(): boolean {
    return this.at < this.keys.length;
  }

  get key(): Uint8Array {
    assert(this.valid, "key of a valid cursor");
    return this.keys[this.at] as Uint8Array;
  }

  get value(): Uint8Array {
    assert(this.valid, "value of a valid cursor");
    return this.values[this.at] as Uint8Array;
  }

  /** Moves to the first entry of the cursor's bounds. Returns validity, as all moves do. */
  seekToFirst(): boolean {
    this.statistics.seek++;
    this.cursor.seekToFirst();
    this.floor = EMPTY_BYTES;
    this.blockEntries = 1;
    return this.fetch();
  }

  /** Moves to the first entry with key >= target, by at most SEEK_BOUND steps or one seek. */
  seek(target: Uint8Array): boolean {
    if (this.floor !== undefined && compareBytes(this.floor, target) <= 0) {
      for (let steps = 0; steps <= SEEK_BOUND; steps++) {
        if (!this.valid || compareBytes(this.key, target) >= 0) return this.valid;
        if (steps < SEEK_BOUND) this.next();
      }
    }
    this.statistics.seek++;
    this.cursor.seek(target);
    this.floor = target;
    this.blockEntries = 1;
    return this.fetch();
  }

  next(): boolean {
    if (!this.valid) return false;
    this.statistics.next++;
    this.floor = this.key;
    this.at++;
    return this.valid || this.fetch();
  }

  close(): void {
    this.cursor.close();
  }

  private fetch(): boolean {
    this.at = 0;
    if (this.cursor.valid) {
      const { keys, values } = this.cursor.take(this.blockEntries, BLOCK_BYTES_MAX);
      this.keys = keys;
      this.values = values;
      this.blockEntries = Math.min(this.blockEntries * BLOCK_GROWTH, BLOCK_ENTRIES_MAX);
    } else {
      this.keys = [];
      this.values = [];
    }
    return this.valid;
  }
}
