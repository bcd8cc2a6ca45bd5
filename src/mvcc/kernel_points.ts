/**
 * Point reads of many keys by kernel, each at its own timestamp: one batched get of their locks, one
 * seek a key into a block, one decision for all, one batched get of long values. Takes turns of the
 * arena, so that it must not be called inside one. Hot path.
 */
import { EMPTY_BYTES } from "../base/index.js";
import { TS_MAX } from "../codec/index.js";
import {
  type Arena,
  CORRUPT,
  ENTRY_ROW_BYTES,
  ENTRY_ROW_VALUE_PTR,
  type Kernels,
  MVCC_ERR_CF,
  MVCC_ITEM_BYTES,
  MVCC_ITEM_COMPLETE,
  MVCC_ITEM_READ_TS,
  MVCC_ITEMS,
  MVCC_ITEMS_COUNT,
  MVCC_LOCKS,
  MVCC_PREFIX_BYTES,
  MVCC_WRITES,
  MVCC_WRITES_COUNT,
  mvccPoint,
  SLICE_BYTES,
} from "../kernel/index.js";
import { KernelCall } from "./kernel_call.js";
import type { ReadPoint } from "./lock_check.js";
import { PointGetter } from "./point_getter.js";
import type { MvccCursor, MvccSnapshot } from "./snapshot.js";
import { pairsOf, type ReadPair, type ReadSource, type VersionRow } from "./version_scan.js";

/** A key and the timestamp to read it at. Encoded. */
export interface PointItem {
  readonly key: Uint8Array;
  readonly ts: bigint;
}

/** How all items are read; isolation rcCheckTs is for single reads. */
export type PointsReader = Omit<ReadPoint, "ts" | "isolation"> & {
  readonly isolation: "si" | "rc";
};

/** Items of one turn. */
const TURN_ITEMS_MAX = 256;
/** Bytes of a turn's write entries, and of its locks; a smaller arena makes them smaller. */
const ENTRY_BYTES_MAX = 256 * 1024;
const GET_SCRATCH_BYTES = 48;
const TS_BYTES = 8;
/** "w", "l", "z". */
const WRITE_CF = 0x77;
const LOCK_CF = 0x6c;
const DATA = 0x7a;

/** Tables of one turn; items are those from `from` on. */
interface Placed {
  readonly count: number;
  readonly seekKeys: number;
  readonly lockKeys: number;
}

/** Reads over one snapshot. Close it before the snapshot. */
export class KernelPoints {
  private cursor: MvccCursor | undefined;

  constructor(
    private readonly kernels: Kernels,
    private readonly source: ReadSource,
    private readonly reader: PointsReader,
  ) {}

  /** Whether a snapshot serves blocks; without them there is nothing to gain here. */
  static serves(snapshot: MvccSnapshot): boolean {
    return snapshot.multiGetBlock !== undefined;
  }

  /** Returns what a reader sees of each item; undefined = nothing. */
  read(items: readonly PointItem[]): (ReadPair | undefined)[] {
    const rows: (VersionRow | undefined)[] = [];
    while (rows.length < items.length) {
      const before = rows.length;
      const { arena } = this.kernels;
      arena.enter();
      try {
        this.turn(items, rows);
      } finally {
        arena.leave();
      }
      // Its key, its lock or its record is larger than the room of a turn.
      if (rows.length === before) rows.push(this.alone(items[before] as PointItem));
    }
    const pairs = pairsOf(
      this.source,
      rows.filter((row) => row !== undefined),
      false,
    );
    let next = 0;
    return rows.map((row) => (row === undefined ? undefined : pairs[next++]));
  }

  close(): void {
    this.cursor?.close();
    this.cursor = undefined;
  }

  /** Adds the rows of some items; of none when the first does not fit. */
  private turn(items: readonly PointItem[], rows: (VersionRow | undefined)[]): void {
    const { arena } = this.kernels;
    const { snapshot, statistics } = this.source;
    const from = rows.length;
    const placed = placeKeys(arena, items, from);
    if (placed === undefined) return;
    const { count } = placed;
    const point: ReadPoint = { ...this.reader, ts: 0n };
    const outBytes = Math.min(ENTRY_BYTES_MAX, arena.output.free >>> 2);
    const call = new KernelCall(this.kernels, this.source, point, false, count, outBytes);
    const locks = arena.scratch.reserve(count * SLICE_BYTES);
    const rowTable = arena.scratch.reserve(count * ENTRY_ROW_BYTES);
    const table = arena.scratch.reserve(count * MVCC_ITEM_BYTES);
    const scratch = arena.scratch.reserve(count * GET_SCRATCH_BYTES);
    if (locks * rowTable * table * scratch === 0) return;
    let done = count;
    const isSi = this.reader.isolation === "si";
    if (isSi && snapshot.multiGetBlock !== undefined) {
      statistics.lock.get += count;
      const found = snapshot.multiGetBlock({
        memory: arena.u8,
        count,
        keyTable: placed.lockKeys,
        valueTable: locks,
        out: arena.output.next,
        outEnd: arena.output.end,
        scratch,
        scratchEnd: scratch + count * GET_SCRATCH_BYTES,
      });
      done = found.done;
      // Locks are read until the rows are taken; what follows them is for long values.
      arena.output.reserve(found.outUsedEnd - arena.output.next, 1);
    }
    done = this.seek(placed.seekKeys, done, rowTable);
    placeItems(arena, table, placed.seekKeys, rowTable, items, from, done);
    call.prepare(0, done);
    call.set(MVCC_WRITES, rowTable);
    call.set(MVCC_WRITES_COUNT, done);
    call.set(MVCC_LOCKS, isSi ? locks : 0);
    call.set(MVCC_ITEMS, table);
    call.set(MVCC_ITEMS_COUNT, done);
    this.decide(call, items, rows, rowTable, locks);
  }

  /** Seeks `count` keys; returns how many entries fitted. */
  private seek(seekKeys: number, count: number, rowTable: number): number {
    const { arena } = this.kernels;
    const { snapshot, statistics } = this.source;
    this.cursor ??= snapshot.cursor("write", { lower: EMPTY_BYTES, upper: EMPTY_BYTES });
    const out = arena.input.next;
    const outEnd = Math.min(arena.input.end, out + ENTRY_BYTES_MAX);
    statistics.write.seek += count;
    const request = { memory: arena.u8, count, keyTable: seekKeys, table: rowTable, out, outEnd };
    return this.cursor.seekBlock?.(request).items ?? 0;
  }

  private decide(
    call: KernelCall,
    items: readonly PointItem[],
    rows: (VersionRow | undefined)[],
    rowTable: number,
    locks: number,
  ): void {
    const from = rows.length;
    const code = mvccPoint(this.kernels, call.params);
    if (code === CORRUPT) {
      const isLock = call.get(MVCC_ERR_CF) === 1;
      const { errItem } = this.kernels.arena;
      const value = rowTable + errItem * ENTRY_ROW_BYTES + ENTRY_ROW_VALUE_PTR;
      call.refuse(this.record(isLock ? locks + errItem * SLICE_BYTES : value), isLock);
    }
    call.loadLong();
    for (let i = 0; i < code; i++) {
      const row = call.row(i);
      rows.push(row?.type === "open" ? this.alone(items[from + i] as PointItem) : row);
    }
  }

  /** Returns a copy of the bytes of a slice. */
  private record(slice: number): Uint8Array {
    const { u8, u32 } = this.kernels.arena;
    const at = u32[slice >>> 2] as number;
    return u8.slice(at, at + (u32[(slice >>> 2) + 1] as number));
  }

  /** Walks the versions of one key. */
  private alone({ key, ts }: PointItem): VersionRow | undefined {
    const { snapshot, statistics } = this.source;
    const getter = new PointGetter(snapshot, statistics, { ...this.reader, ts });
    try {
      return getter.row(key);
    } finally {
      getter.close();
    }
  }
}

/** Places the keys to seek and those of locks, of as many items as fit; undefined: of none. */
function placeKeys(arena: Arena, items: readonly PointItem[], from: number): Placed | undefined {
  const most = Math.min(TURN_ITEMS_MAX, items.length - from);
  const seekKeys = arena.scratch.reserve(most * SLICE_BYTES);
  const lockKeys = arena.scratch.reserve(most * SLICE_BYTES);
  if (seekKeys * lockKeys === 0) return undefined;
  const { u8, u32, view, input } = arena;
  // As much is left for entries.
  const room = input.free >>> 1;
  const start = input.next;
  let count = 0;
  for (; count < most; count++) {
    const { key, ts } = items[from + count] as PointItem;
    const length = MVCC_PREFIX_BYTES + key.length;
    if (input.next - start + 2 * length + TS_BYTES > room) break;
    const seek = input.reserve(length + TS_BYTES, 1);
    u8[seek] = WRITE_CF;
    u8[seek + 1] = DATA;
    u8.set(key, seek + MVCC_PREFIX_BYTES);
    view.setBigUint64(seek + length, TS_MAX - ts);
    const lock = input.reserve(length, 1);
    u8[lock] = LOCK_CF;
    u8[lock + 1] = DATA;
    u8.set(key, lock + MVCC_PREFIX_BYTES);
    u32[(seekKeys >>> 2) + 2 * count] = seek;
    u32[(seekKeys >>> 2) + 2 * count + 1] = length + TS_BYTES;
    u32[(lockKeys >>> 2) + 2 * count] = lock;
    u32[(lockKeys >>> 2) + 2 * count + 1] = length;
  }
  return count === 0 ? undefined : { count, seekKeys, lockKeys };
}

/** Fills the item rows: each has the entry that its seek found, if any. */
function placeItems(
  { u32, view }: Arena,
  table: number,
  seekKeys: number,
  rowTable: number,
  items: readonly PointItem[],
  from: number,
  count: number,
): void {
  for (let i = 0; i < count; i++) {
    const at = (table + i * MVCC_ITEM_BYTES) >>> 2;
    const slice = (seekKeys >>> 2) + 2 * i;
    const isFound = u32[(rowTable >>> 2) + 4 * i + 1] !== 0;
    u32[at] = (u32[slice] as number) + MVCC_PREFIX_BYTES;
    u32[at + 1] = (u32[slice + 1] as number) - MVCC_PREFIX_BYTES - TS_BYTES;
    u32[at + 2] = i;
    u32[at + 3] = isFound ? 1 : MVCC_ITEM_COMPLETE;
    const { ts } = items[from + i] as PointItem;
    view.setBigUint64(4 * at + MVCC_ITEM_READ_TS, ts, true);
  }
}
