/**
 * Keys to read, each at its own timestamp, packed: the bytes of the write CF's seek keys lie behind
 * each other as they go to the engine, so that a turn of reads takes them in one copy and no object
 * stands for a key. Hot path.
 */
import { assert } from "../base/index.js";
import {
  MVCC_PREFIX_BYTES,
  memcomparableEncodeInto,
  memcomparableLength,
} from "../kernel/index.js";
import { DATA, TS_BYTES, WRITE_CF } from "./point_keys.js";

/** u32 words of a row: where its seek key ends, high and low word of its timestamp. */
const ROW_WORDS = 3;
const U32_MAX = 0xffff_ffff;

/** Points to read. Each seek key is CF, data prefix, encoded key, inverted timestamp. */
export class PointList implements Iterable<Uint8Array> {
  bytes: Uint8Array;
  private rows: Uint32Array;
  private count = 0;
  private end = 0;
  /** Items with the smallest and the greatest key. */
  private lowest = 0;
  private highest = 0;
  /** What was added last, and its words: most lists have one timestamp. */
  private lastTs = 0n;
  private lastHigh = 0;
  private lastLow = 0;
  private newestHigh = 0;
  private newestLow = 0;

  /** It grows beyond `capacity` points when it must. */
  constructor(capacity = 64) {
    this.rows = new Uint32Array(ROW_WORDS * capacity);
    this.bytes = new Uint8Array(40 * capacity);
  }

  get length(): number {
    return this.count;
  }

  /** Adds the user key in `[from, from + length)` of `source`, at a timestamp in two words. */
  addUserKey(
    source: Uint8Array,
    from: number,
    length: number,
    tsHigh: number,
    tsLow: number,
  ): void {
    const at = this.open(memcomparableLength(length));
    memcomparableEncodeInto(this.bytes, at, source, from, length, 0);
    this.close(tsHigh, tsLow);
  }

  /** Adds an encoded key. */
  add(key: Uint8Array, ts: bigint): void {
    const at = this.open(key.length);
    this.bytes.set(key, at);
    if (ts !== this.lastTs) {
      this.lastTs = ts;
      this.lastHigh = Number(ts >> 32n);
      this.lastLow = Number(ts & 0xffff_ffffn);
    }
    this.close(this.lastHigh, this.lastLow);
  }

  /** Where the seek key of an item starts in `bytes`; of the item behind the last: where all end. */
  startOf(item: number): number {
    return item === 0 ? 0 : (this.rows[ROW_WORDS * (item - 1)] as number);
  }

  /** Length of an encoded key. */
  keyLength(item: number): number {
    return this.startOf(item + 1) - this.startOf(item) - MVCC_PREFIX_BYTES - TS_BYTES;
  }

  tsHigh(item: number): number {
    return this.rows[ROW_WORDS * item + 1] as number;
  }

  tsLow(item: number): number {
    return this.rows[ROW_WORDS * item + 2] as number;
  }

  ts(item: number): bigint {
    return (BigInt(this.tsHigh(item)) << 32n) | BigInt(this.tsLow(item));
  }

  /** Returns a copy of an encoded key. */
  key(item: number): Uint8Array {
    const at = this.startOf(item) + MVCC_PREFIX_BYTES;
    return this.bytes.slice(at, at + this.keyLength(item));
  }

  /** Copies of all encoded keys. */
  *[Symbol.iterator](): Iterator<Uint8Array> {
    for (let item = 0; item < this.count; item++) yield this.key(item);
  }

  /** The smallest encoded key; the list is not empty. */
  get smallestKey(): Uint8Array {
    return this.key(this.lowest);
  }

  /** The greatest encoded key; the list is not empty. */
  get greatestKey(): Uint8Array {
    return this.key(this.highest);
  }

  /** The newest timestamp; u64's greatest, which stands for "the newest data", does not count. */
  get newestTs(): bigint {
    return (BigInt(this.newestHigh) << 32n) | BigInt(this.newestLow);
  }

  /** Makes room for an encoded key; returns where it goes. */
  private open(keyLength: number): number {
    const start = this.end;
    this.end = start + MVCC_PREFIX_BYTES + keyLength + TS_BYTES;
    if (this.end > this.bytes.length) this.bytes = grown(this.bytes, this.end);
    if (ROW_WORDS * (this.count + 1) > this.rows.length) {
      const rows = new Uint32Array(2 * this.rows.length + ROW_WORDS);
      rows.set(this.rows);
      this.rows = rows;
    }
    this.bytes[start] = WRITE_CF;
    this.bytes[start + 1] = DATA;
    return start + MVCC_PREFIX_BYTES;
  }

  /** Ends the item that `open` began. */
  private close(tsHigh: number, tsLow: number): void {
    const { bytes, rows, end, count } = this;
    assert(end < U32_MAX, "the keys of a list are below 4 GiB");
    storeInverted(bytes, end - TS_BYTES, tsHigh);
    storeInverted(bytes, end - 4, tsLow);
    const row = ROW_WORDS * count;
    rows[row] = end;
    rows[row + 1] = tsHigh;
    rows[row + 2] = tsLow;
    this.count++;
    if (this.order(count, this.lowest) < 0) this.lowest = count;
    if (this.order(count, this.highest) > 0) this.highest = count;
    if (tsHigh === U32_MAX && tsLow === U32_MAX) return;
    if (tsHigh < this.newestHigh) return;
    if (tsHigh === this.newestHigh && tsLow < this.newestLow) return;
    this.newestHigh = tsHigh;
    this.newestLow = tsLow;
  }

  /** Order of the keys of two items. No encoded key is the start of another one. */
  private order(left: number, right: number): number {
    const { bytes } = this;
    const a = this.startOf(left);
    const b = this.startOf(right);
    const length = Math.min(this.keyLength(left), this.keyLength(right));
    for (let i = MVCC_PREFIX_BYTES; i < MVCC_PREFIX_BYTES + length; i++) {
      const difference = (bytes[a + i] as number) - (bytes[b + i] as number);
      if (difference !== 0) return difference;
    }
    return 0;
  }
}

/** Returns a copy with room for `bytes` bytes at least. */
function grown(from: Uint8Array, bytes: number): Uint8Array {
  const to = new Uint8Array(Math.max(2 * from.length, bytes));
  to.set(from);
  return to;
}

/** Stores a word big-endian, its bits inverted. */
function storeInverted(bytes: Uint8Array, at: number, word: number): void {
  const inverted = ~word;
  bytes[at] = inverted >>> 24;
  bytes[at + 1] = inverted >>> 16;
  bytes[at + 2] = inverted >>> 8;
  bytes[at + 3] = inverted;
}
