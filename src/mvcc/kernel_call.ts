/**
 * One call of the MVCC kernels as readers see it: parameters in, rows out. It lives for one turn of
 * the arena. Layouts: assembly/mvcc_abi.ts. Hot path.
 */
import { assert, EMPTY_BYTES } from "../base/index.js";
import { keyToRaw, parseLock, parseWrite } from "../codec/index.js";
import {
  type Arena,
  type Kernels,
  MVCC_ACCESS,
  MVCC_ACCESS_COUNT,
  MVCC_BYPASS,
  MVCC_BYPASS_COUNT,
  MVCC_CONFLICT_LOCK,
  MVCC_CONFLICT_WRITE,
  MVCC_DEFAULT,
  MVCC_DEFAULTS,
  MVCC_DEFAULTS_DONE,
  MVCC_FLAG_KEY_ONLY,
  MVCC_FLAG_REPLICA_READ,
  MVCC_FLAGS,
  MVCC_LOCKED,
  MVCC_NONE,
  MVCC_OUT,
  MVCC_OUT_END,
  MVCC_PARAMS_BYTES,
  MVCC_RC,
  MVCC_RC_CHECK_TS,
  MVCC_READ_TS,
  MVCC_ROW_BYTES,
  MVCC_ROW_COMMIT_TS,
  MVCC_ROW_KEY_LENGTH,
  MVCC_ROW_KEY_PTR,
  MVCC_ROW_START_TS,
  MVCC_ROW_VALUE_LENGTH,
  MVCC_ROW_VALUE_PTR,
  MVCC_ROWS,
  MVCC_ROWS_CAPACITY,
  MVCC_SI,
  MVCC_VALUE,
  SLICE_ABSENT,
  SLICE_BYTES,
} from "../kernel/index.js";
import { type ReadPoint, rcConflict } from "./lock_check.js";
import { GET_SCRATCH_BYTES } from "./point_keys.js";
import type { ReadPair, ReadSource, VersionRow } from "./version_scan.js";

/** Rows may keep this many times their own bytes alive. */
const COPY_SHARE_MAX = 4;

const ISOLATION = { si: MVCC_SI, rc: MVCC_RC, rcCheckTs: MVCC_RC_CHECK_TS } as const;

/** A row that the kernel left to the walks: its key has more versions than were given. */
export interface OpenRow {
  readonly type: "open";
  readonly key: Uint8Array;
}

/** Takes what point reads find, item by item. */
export interface PointSink {
  /** A turn of the kernel is over; what it found follows. */
  onTurn(): void;
  /**
   * The value in `[at, at + length)` of the arena, good during the call only. Its commit_ts is the u64
   * LE at `commitAt`, 0 for that of a lock.
   */
  value(item: number, arena: Arena, at: number, length: number, commitAt: number): void;
  /** Nothing is visible. */
  none(item: number): void;
  /** What took more than the kernel, or an error. */
  pair(item: number, pair: ReadPair): void;
}

/** Tables and room of a number of calls. */
export class KernelCall {
  readonly params: number;
  private readonly rows: number;
  private readonly defaults: number;
  /** Slices of the long values of the last call; 0 = they were not loaded. */
  private values = 0;
  private valuesDone = 0;
  /** Bytes `[copyFrom, copyEnd)` of the arena, which rows are views of; empty = of none. */
  private copy: Uint8Array = EMPTY_BYTES;
  private copyFrom = 0;
  private copyEnd = 0;
  /** Scratch that is taken again for each call starts here; 0 = nothing was taken yet. */
  private mark = 0;

  /** `outBytes`: room for the keys of long values, as many as the blocks may hold at least. */
  constructor(
    private readonly kernels: Kernels,
    private readonly source: ReadSource,
    private readonly point: ReadPoint,
    private readonly keyOnly: boolean,
    private readonly rowsMax: number,
    outBytes: number,
  ) {
    const { arena } = kernels;
    this.params = arena.scratch.reserve(MVCC_PARAMS_BYTES);
    arena.u8.fill(0, this.params, this.params + MVCC_PARAMS_BYTES);
    this.rows = arena.output.reserve(rowsMax * MVCC_ROW_BYTES);
    this.defaults = arena.output.reserve(rowsMax * SLICE_BYTES);
    const out = arena.output.reserve(outBytes, 1);
    assert(this.params * this.rows * this.defaults * out !== 0, "the arena has room for a read");
    arena.view.setBigUint64(this.params + MVCC_READ_TS, point.ts, true);
    this.set(MVCC_BYPASS, this.placeTs(point.bypassLocks));
    this.set(MVCC_BYPASS_COUNT, point.bypassLocks.length);
    this.set(MVCC_ACCESS, this.placeTs(point.accessLocks));
    this.set(MVCC_ACCESS_COUNT, point.accessLocks.length);
    this.set(MVCC_ROWS, this.rows);
    this.set(MVCC_DEFAULTS, this.defaults);
    this.set(MVCC_OUT, out);
    this.set(MVCC_OUT_END, out + outBytes);
  }

  get(field: number): number {
    return this.kernels.arena.u32[(this.params + field) >>> 2] as number;
  }

  set(field: number, value: number): void {
    this.kernels.arena.u32[(this.params + field) >>> 2] = value;
  }

  /** Sets what the next call reads by; `flags` are those of the blocks. */
  prepare(flags: number, rows: number): void {
    const { isolation, isReplicaRead } = this.point;
    let all = flags | ISOLATION[isolation];
    if (isReplicaRead) all |= MVCC_FLAG_REPLICA_READ;
    if (this.keyOnly) all |= MVCC_FLAG_KEY_ONLY;
    this.set(MVCC_FLAGS, all);
    this.set(MVCC_ROWS_CAPACITY, Math.min(rows, this.rowsMax));
  }

  /** Throws what the codec says of the record that the kernel refused. */
  refuse(record: Uint8Array, isLock: boolean): never {
    if (isLock) parseLock(record);
    else parseWrite(record);
    assert(false, "the kernel refuses what the codec refuses");
  }

  /** Loads the long values of the last call in one batch, as far as there is room for them. */
  loadLong(): void {
    const count = this.get(MVCC_DEFAULTS_DONE);
    const { snapshot, statistics } = this.source;
    this.values = 0;
    this.valuesDone = 0;
    if (count === 0 || snapshot.multiGetBlock === undefined) return;
    const { arena } = this.kernels;
    if (this.mark === 0) this.mark = arena.scratch.next;
    else arena.scratch.trim(this.mark);
    const values = arena.scratch.reserve(count * SLICE_BYTES);
    const scratch = arena.scratch.reserve(count * GET_SCRATCH_BYTES);
    if (values === 0 || scratch === 0) return;
    statistics.default.get += count;
    statistics.default.processedKeys += count;
    const { done } = snapshot.multiGetBlock({
      memory: arena.u8,
      count,
      keyTable: this.defaults,
      valueTable: values,
      out: arena.output.next,
      outEnd: arena.output.end,
      scratch,
      scratchEnd: scratch + count * GET_SCRATCH_BYTES,
    });
    this.values = values;
    this.valuesDone = done;
  }

  /** Gives row `index` to `sink` as `item` where it is a value or nothing; false for any other. */
  give(index: number, item: number, sink: PointSink): boolean {
    const { arena } = this.kernels;
    const { u32 } = arena;
    const at = this.rows + index * MVCC_ROW_BYTES;
    const word = at >>> 2;
    const outcome = u32[word] as number;
    if (outcome === MVCC_NONE) {
      sink.none(item);
      return true;
    }
    let valueAt = u32[word + MVCC_ROW_VALUE_PTR / 4] as number;
    let length = u32[word + MVCC_ROW_VALUE_LENGTH / 4] as number;
    if (outcome === MVCC_DEFAULT) {
      if (valueAt >= this.valuesDone) return false;
      const slice = (this.values + valueAt * SLICE_BYTES) >>> 2;
      valueAt = u32[slice] as number;
      length = u32[slice + 1] as number;
      if (length === SLICE_ABSENT) return false;
    } else if (outcome !== MVCC_VALUE) return false;
    const { statistics } = this.source;
    const commit = word + MVCC_ROW_COMMIT_TS / 4;
    if (u32[commit] === 0 && u32[commit + 1] === 0) statistics.lock.processedKeys++;
    statistics.write.processedKeys++;
    statistics.processedSize += (u32[word + MVCC_ROW_KEY_LENGTH / 4] as number) + length;
    sink.value(item, arena, valueAt, length, at + MVCC_ROW_COMMIT_TS);
    return true;
  }

  /**
   * Makes the rows of the last call views of one copy of `[from, to)`, where their entries lie, unless
   * that kept much more alive than they are: an array of its own costs more than a value's bytes.
   */
  copyTogether(rows: number, from: number, to: number): void {
    const { u8, u32 } = this.kernels.arena;
    let bytes = 0;
    for (let i = 0; i < rows; i++) {
      const word = (this.rows + i * MVCC_ROW_BYTES) >>> 2;
      if (u32[word] !== MVCC_VALUE) continue;
      bytes += u32[word + MVCC_ROW_KEY_LENGTH / 4] as number;
      bytes += u32[word + MVCC_ROW_VALUE_LENGTH / 4] as number;
    }
    const pays = rows > 1 && to - from <= COPY_SHARE_MAX * bytes;
    this.copy = pays ? u8.slice(from, to) : EMPTY_BYTES;
    this.copyFrom = from;
    this.copyEnd = pays ? to : from;
  }

  /** Returns row `index` of the last call with copies of its bytes; undefined: nothing is visible. */
  row(index: number): VersionRow | OpenRow | undefined {
    const { u32, u8, view } = this.kernels.arena;
    const at = this.rows + index * MVCC_ROW_BYTES;
    const word = at >>> 2;
    const outcome = u32[word] as number;
    const keyAt = u32[word + MVCC_ROW_KEY_PTR / 4] as number;
    const key = this.bytesAt(keyAt, u32[word + MVCC_ROW_KEY_LENGTH / 4] as number);
    const valueAt = u32[word + MVCC_ROW_VALUE_PTR / 4] as number;
    const length = u32[word + MVCC_ROW_VALUE_LENGTH / 4] as number;
    if (outcome === MVCC_VALUE || outcome === MVCC_DEFAULT) {
      const commitTs = view.getBigUint64(at + MVCC_ROW_COMMIT_TS, true);
      if (commitTs === 0n) this.source.statistics.lock.processedKeys++;
      const value =
        outcome === MVCC_DEFAULT ? this.longValue(valueAt) : this.bytesAt(valueAt, length);
      if (value !== undefined) return { type: "value", key, commitTs, value };
      const startTs = view.getBigUint64(at + MVCC_ROW_START_TS, true);
      return { type: "long", key, commitTs, startTs };
    }
    if (outcome === MVCC_LOCKED || outcome === MVCC_CONFLICT_LOCK) {
      this.source.statistics.lock.processedKeys++;
      return this.lockError(key, outcome, u8.slice(valueAt, valueAt + length));
    }
    if (outcome === MVCC_NONE) return undefined;
    if (outcome !== MVCC_CONFLICT_WRITE) return { type: "open", key };
    const startTs = view.getBigUint64(at + MVCC_ROW_START_TS, true);
    const commitTs = view.getBigUint64(at + MVCC_ROW_COMMIT_TS, true);
    return { type: "error", key, error: rcConflict(key, this.point.ts, { startTs, commitTs }) };
  }

  private lockError(key: Uint8Array, outcome: number, record: Uint8Array): VersionRow {
    const lock = parseLock(record);
    if (outcome === MVCC_LOCKED) {
      return {
        type: "error",
        key,
        error: { kind: "keyIsLocked", lock: { key: keyToRaw(key), lock } },
      };
    }
    const { startTs, primary } = lock;
    const error = rcConflict(key, this.point.ts, { startTs, commitTs: 0n, primary });
    return { type: "error", key, error };
  }

  /** Returns bytes that outlive the turn. */
  private bytesAt(at: number, length: number): Uint8Array {
    if (length === 0) return EMPTY_BYTES;
    const from = at - this.copyFrom;
    if (from < 0 || at + length > this.copyEnd) {
      return this.kernels.arena.u8.slice(at, at + length);
    }
    return this.copy.subarray(from, from + length);
  }

  /** undefined: it was not loaded here, or is missing; loading it alone tells. */
  private longValue(index: number): Uint8Array | undefined {
    if (index >= this.valuesDone) return undefined;
    const { u32, u8 } = this.kernels.arena;
    const slice = (this.values + index * SLICE_BYTES) >>> 2;
    const length = u32[slice + 1] as number;
    if (length === SLICE_ABSENT) return undefined;
    const at = u32[slice] as number;
    return u8.slice(at, at + length);
  }

  private placeTs(list: readonly bigint[]): number {
    const { scratch, view } = this.kernels.arena;
    const table = scratch.reserve(list.length * 8 + 8);
    assert(table !== 0, "the arena has room for a read");
    for (let i = 0; i < list.length; i++) {
      view.setBigUint64(table + i * 8, list[i] as bigint, true);
    }
    return table;
  }
}
