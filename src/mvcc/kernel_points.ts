/**
 * Point reads of many keys by kernel, each at its own timestamp: one look at their locks, one seek a
 * key into a block, one decision for all, one batched get of long values. Takes turns of the arena,
 * so that it must not be called inside one. Hot path.
 */
import { EMPTY_BYTES } from "../base/index.js";
import {
  type Arena,
  CORRUPT,
  ENTRY_ROW_BYTES,
  ENTRY_ROW_VALUE_PTR,
  type Kernels,
  MVCC_ERR_CF,
  MVCC_ITEM_BYTES,
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
import { KernelCall, type PointSink } from "./kernel_call.js";
import type { ReadPoint } from "./lock_check.js";
import { LockGlance } from "./lock_glance.js";
import { PointGetter } from "./point_getter.js";
import { GET_SCRATCH_BYTES, LOCK_CF, TS_BYTES, WRITE_CF } from "./point_keys.js";
import { PointList } from "./point_list.js";
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

/** Tables of one turn; items are those from `from` on. */
interface Placed {
  readonly count: number;
  readonly seekKeys: number;
  readonly items: number;
}

/** A row that the kernel did not finish, or that is an error. */
interface OtherRow {
  readonly item: number;
  readonly row: VersionRow;
}

/** Reads over one snapshot. Close it before the snapshot. */
export class KernelPoints {
  private cursor: MvccCursor | undefined;

  /** `glance` lives longer than a read: it learns whether looking for locks pays. */
  constructor(
    private readonly kernels: Kernels,
    private readonly source: ReadSource,
    private readonly reader: PointsReader,
    private readonly glance = new LockGlance(),
  ) {}

  /** Whether a snapshot serves blocks; without them there is nothing to gain here. */
  static serves(snapshot: MvccSnapshot): boolean {
    return snapshot.multiGetBlock !== undefined;
  }

  /** Returns what a reader sees of each item; undefined = nothing. */
  read(items: readonly PointItem[]): (ReadPair | undefined)[] {
    const list = new PointList(items.length);
    for (const { key, ts } of items) list.add(key, ts);
    const sink = new PairSink(items);
    this.readInto(list, sink);
    return sink.pairs;
  }

  /** Tells `sink` what a reader sees of each item, each once, in any order. */
  readInto(list: PointList, sink: PointSink): void {
    const { arena } = this.kernels;
    const others: OtherRow[] = [];
    const mayHaveLocks = this.mayHaveLocks(list);
    for (let from = 0; from < list.length; ) {
      arena.enter();
      let done: number;
      try {
        done = this.turn(list, from, mayHaveLocks, sink, others);
      } finally {
        arena.leave();
      }
      // Its key, its lock or its record is larger than the room of a turn.
      if (done === 0) this.alone(list, from, sink, others);
      from += Math.max(done, 1);
    }
    const rows = others.map(({ row }) => row);
    const pairs = pairsOf(this.source, rows, false);
    others.forEach(({ item }, i) => {
      sink.pair(item, pairs[i] as ReadPair);
    });
  }

  close(): void {
    this.cursor?.close();
    this.cursor = undefined;
  }

  private mayHaveLocks(list: PointList): boolean {
    const { length } = list;
    if (this.reader.isolation === "rc" || length === 0) return false;
    const { snapshot, statistics } = this.source;
    const { smallestKey, greatestKey } = list;
    if (!this.glance.showsNone(snapshot, length, smallestKey, greatestKey)) return true;
    statistics.lock.seek++;
    return false;
  }

  /** Reads some items from `from` on; returns how many, none when the first does not fit. */
  private turn(
    list: PointList,
    from: number,
    mayHaveLocks: boolean,
    sink: PointSink,
    others: OtherRow[],
  ): number {
    const { arena } = this.kernels;
    const placed = place(arena, list, from);
    if (placed === undefined) return 0;
    const { count } = placed;
    const point: ReadPoint = { ...this.reader, ts: 0n };
    const outBytes = Math.min(ENTRY_BYTES_MAX, arena.output.free >>> 2);
    const call = new KernelCall(this.kernels, this.source, point, false, count, outBytes);
    const rowTable = arena.scratch.reserve(count * ENTRY_ROW_BYTES);
    const locks = mayHaveLocks ? arena.scratch.reserve(count * SLICE_BYTES) : 0;
    if (rowTable === 0 || (mayHaveLocks && locks === 0)) return 0;
    let done = mayHaveLocks ? this.getLocks(placed, locks) : count;
    done = this.seek(placed.seekKeys, done, rowTable);
    call.prepare(0, done);
    call.set(MVCC_WRITES, rowTable);
    call.set(MVCC_WRITES_COUNT, done);
    call.set(MVCC_LOCKS, locks);
    call.set(MVCC_ITEMS, placed.items);
    call.set(MVCC_ITEMS_COUNT, done);
    const code = mvccPoint(this.kernels, call.params);
    if (code === CORRUPT) this.refuse(call, rowTable, locks);
    call.loadLong();
    sink.onTurn();
    for (let i = 0; i < code; i++) {
      if (call.give(i, from + i, sink)) continue;
      const row = call.row(i);
      if (row === undefined) continue;
      if (row.type === "open") this.alone(list, from + i, sink, others);
      else others.push({ item: from + i, row });
    }
    return Math.max(0, code);
  }

  /** Reads the locks of all keys that were placed; returns of how many they fitted. */
  private getLocks({ count, seekKeys }: Placed, locks: number): number {
    const { arena } = this.kernels;
    const { snapshot, statistics } = this.source;
    const { u8, u32 } = arena;
    const keyTable = arena.scratch.reserve(count * SLICE_BYTES);
    const scratch = arena.scratch.reserve(count * GET_SCRATCH_BYTES);
    if (keyTable === 0 || scratch === 0 || snapshot.multiGetBlock === undefined) return 0;
    statistics.lock.get += count;
    // A lock's key is the seek key without its timestamp, in the other CF.
    for (let i = 0; i < 2 * count; i += 2) {
      const at = u32[(seekKeys >>> 2) + i] as number;
      u8[at] = LOCK_CF;
      u32[(keyTable >>> 2) + i] = at;
      u32[(keyTable >>> 2) + i + 1] = (u32[(seekKeys >>> 2) + i + 1] as number) - TS_BYTES;
    }
    const { done, outUsedEnd } = snapshot.multiGetBlock({
      memory: u8,
      count,
      keyTable,
      valueTable: locks,
      out: arena.output.next,
      outEnd: arena.output.end,
      scratch,
      scratchEnd: scratch + count * GET_SCRATCH_BYTES,
    });
    for (let i = 0; i < 2 * count; i += 2) u8[u32[(seekKeys >>> 2) + i] as number] = WRITE_CF;
    // Locks are read until the rows are taken; what follows them is for long values.
    arena.output.reserve(outUsedEnd - arena.output.next, 1);
    return done;
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

  /** Throws what the codec says of the record that the kernel refused. */
  private refuse(call: KernelCall, rowTable: number, locks: number): never {
    const { u8, u32, errItem } = this.kernels.arena;
    const isLock = call.get(MVCC_ERR_CF) === 1;
    const slice = isLock
      ? locks + errItem * SLICE_BYTES
      : rowTable + errItem * ENTRY_ROW_BYTES + ENTRY_ROW_VALUE_PTR;
    const at = u32[slice >>> 2] as number;
    return call.refuse(u8.slice(at, at + (u32[(slice >>> 2) + 1] as number)), isLock);
  }

  /** Walks the versions of one key. */
  private alone(list: PointList, item: number, sink: PointSink, others: OtherRow[]): void {
    const { snapshot, statistics } = this.source;
    const getter = new PointGetter(snapshot, statistics, { ...this.reader, ts: list.ts(item) });
    try {
      const row = getter.row(list.key(item));
      if (row === undefined) sink.none(item);
      else others.push({ item, row });
    } finally {
      getter.close();
    }
  }
}

/** Makes pairs of copies; their keys are those of the items. */
class PairSink implements PointSink {
  readonly pairs: (ReadPair | undefined)[];

  constructor(private readonly items: readonly PointItem[]) {
    this.pairs = new Array<ReadPair | undefined>(items.length).fill(undefined);
  }

  value(item: number, { u8, view }: Arena, at: number, length: number, commitAt: number): void {
    const value = length === 0 ? EMPTY_BYTES : u8.slice(at, at + length);
    const commitTs = view.getBigUint64(commitAt, true);
    const { key } = this.items[item] as PointItem;
    this.pairs[item] = { key, value, commitTs };
  }

  onTurn(): void {
    // Nothing depends on it.
  }

  none(): void {
    // As it is.
  }

  pair(item: number, pair: ReadPair): void {
    this.pairs[item] = pair;
  }
}

/** Places seek keys and item rows of as many items as fit; undefined: of none. */
function place(arena: Arena, list: PointList, from: number): Placed | undefined {
  const most = Math.min(TURN_ITEMS_MAX, list.length - from);
  const seekKeys = arena.scratch.reserve(most * SLICE_BYTES);
  const items = arena.scratch.reserve(most * MVCC_ITEM_BYTES);
  if (seekKeys === 0 || items === 0) return undefined;
  const { u8, u32, input } = arena;
  // As much is left for entries.
  const room = input.free >>> 1;
  const first = list.startOf(from);
  const base = input.next - first;
  let count = 0;
  let slice = seekKeys >>> 2;
  let row = items >>> 2;
  for (; count < most; count++, slice += 2, row += MVCC_ITEM_BYTES >>> 2) {
    const item = from + count;
    const end = list.startOf(item + 1);
    if (end - first > room) break;
    const start = list.startOf(item);
    u32[slice] = base + start;
    u32[slice + 1] = end - start;
    u32[row] = base + start + MVCC_PREFIX_BYTES;
    u32[row + 1] = end - start - MVCC_PREFIX_BYTES - TS_BYTES;
    u32[row + 2] = count;
    // One entry; where a seek finds none its key is empty, which is no version of this one.
    u32[row + 3] = 1;
    u32[row + (MVCC_ITEM_READ_TS >>> 2)] = list.tsLow(item);
    u32[row + (MVCC_ITEM_READ_TS >>> 2) + 1] = list.tsHigh(item);
  }
  if (count === 0) return undefined;
  const bytes = list.bytes.subarray(first, list.startOf(from + count));
  u8.set(bytes, input.reserve(bytes.length, 1));
  return { count, seekKeys, items };
}
