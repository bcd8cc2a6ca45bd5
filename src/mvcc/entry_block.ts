/**
 * Entries of one CF in linear memory, between a cursor and the kernel that decides them. It lives
 * for one turn of the arena. Row layout: assembly/mvcc_abi.ts. Hot path.
 */
import { type Arena, ENTRY_ROW_BYTES, MVCC_PREFIX_BYTES, type Region } from "../kernel/index.js";
import type { MvccCursor } from "./snapshot.js";

/** Bytes behind the encoded user key in a write CF key. */
const TS_BYTES = 8;

/** Rows `[first, end)` are filled and not consumed. Invariant: their bytes lie in row order. */
export class EntryBlock {
  private first = 0;
  private end = 0;
  private readonly table: number;
  private readonly out: number;
  private usedEnd: number;
  private readonly outEnd: number;

  /** Takes room for `rowsMax` rows and `bytes` bytes in `region`; the caller knows that they fit. */
  constructor(
    private readonly arena: Arena,
    region: Region,
    private readonly rowsMax: number,
    bytes: number,
    private readonly reverse: boolean,
  ) {
    this.table = region.reserve(rowsMax * ENTRY_ROW_BYTES);
    this.out = region.reserve(bytes, 1);
    this.usedEnd = this.out;
    this.outEnd = this.out + bytes;
  }

  /** Address of the first row. */
  get rows(): number {
    return this.table + this.first * ENTRY_ROW_BYTES;
  }

  get length(): number {
    return this.end - this.first;
  }

  /** Adds up to `wanted` entries. Returns how many; 0 of a valid cursor: there is no room. */
  fill(cursor: MvccCursor, wanted: number): number {
    this.makeRoom();
    const itemsMax = Math.min(wanted, this.rowsMax - this.end);
    const taken = cursor.takeBlock?.({
      memory: this.arena.u8,
      table: this.table + this.end * ENTRY_ROW_BYTES,
      itemsMax,
      out: this.usedEnd,
      outEnd: this.outEnd,
      reverse: this.reverse,
    });
    if (taken === undefined) return 0;
    this.end += taken.items;
    this.usedEnd = taken.outUsedEnd;
    return taken.items;
  }

  /** Leaves the first `count` entries. */
  consume(count: number): void {
    this.first += count;
  }

  /** Where the bytes of the first entry start, and where those of all end. */
  get bytesStart(): number {
    return this.length === 0 ? this.usedEnd : (this.arena.u32[this.rows >>> 2] as number);
  }

  get bytesEnd(): number {
    return this.usedEnd;
  }

  /** Returns a copy of the key of entry `index`, without prefixes. */
  keyOf(index: number): Uint8Array {
    const row = (this.rows + index * ENTRY_ROW_BYTES) >>> 2;
    const at = this.arena.u32[row] as number;
    return this.arena.u8.slice(at + MVCC_PREFIX_BYTES, at + (this.arena.u32[row + 1] as number));
  }

  /** As `keyOf` for a write CF: the encoded user key alone. */
  userKeyOf(index: number): Uint8Array {
    const key = this.keyOf(index);
    return key.subarray(0, key.length - TS_BYTES);
  }

  /** Returns a copy of the value of entry `index`. */
  valueOf(index: number): Uint8Array {
    const row = (this.rows + index * ENTRY_ROW_BYTES) >>> 2;
    const at = this.arena.u32[row + 2] as number;
    return this.arena.u8.slice(at, at + (this.arena.u32[row + 3] as number));
  }

  /** Moves what is left to the start. */
  private makeRoom(): void {
    if (this.first === 0) return;
    const { u32, u8 } = this.arena;
    const { length } = this;
    const from = this.bytesStart;
    const shift = from - this.out;
    u8.copyWithin(this.out, from, this.usedEnd);
    const to = this.table >>> 2;
    const at = this.rows >>> 2;
    for (let i = 0; i < length * 4; i += 4) {
      u32[to + i] = (u32[at + i] as number) - shift;
      u32[to + i + 1] = u32[at + i + 1] as number;
      u32[to + i + 2] = (u32[at + i + 2] as number) - shift;
      u32[to + i + 3] = u32[at + i + 3] as number;
    }
    this.usedEnd -= shift;
    this.first = 0;
    this.end = length;
  }
}
