/**
 * A region's MVCC data on a memory engine, written at once: commands and readers are tested on it
 * without storage and raft. It counts open cursors, so that a reader that forgets one is found.
 */
import { assert, compareBytes, EMPTY_BYTES, keyInRange } from "../../src/base/index.js";
import { MemoryDisk, openMemoryEngine, type Snapshot } from "../../src/engine/index.js";
import type {
  CursorRange,
  Modify,
  MvccCf,
  MvccCursor,
  MvccSnapshot,
} from "../../src/mvcc/index.js";

export interface RegionRange {
  readonly start: Uint8Array;
  readonly end: Uint8Array;
}

/** Encoded keys `[start, end)`; by default everything. */
export class MvccEngine {
  private readonly disk = new MemoryDisk();
  private readonly engine = openMemoryEngine((error) => {
    throw error;
  }, this.disk);
  /** Cursors of all snapshots that are open. */
  openCursors = 0;

  constructor(private readonly region: RegionRange = { start: EMPTY_BYTES, end: EMPTY_BYTES }) {}

  /** Writes atomically, and is done when it returns. */
  apply(modifies: readonly Modify[]): void {
    const batch = this.engine.newWriteBatch();
    for (const { cf, key, value } of modifies) {
      if (value === undefined) batch.delete(cf, key);
      else batch.put(cf, key, value);
    }
    this.disk.apply(this.engine, batch.bytes());
  }

  /** Returns a view of the data as it is now. It need not be closed; its cursors must be. */
  snapshot(): MvccSnapshot {
    return new EngineMvccSnapshot(this.engine.snapshot(), this.region, (change) => {
      this.openCursors += change;
    });
  }

  /** Returns all entries of a CF, ascending. */
  entries(cf: MvccCf): { readonly key: Uint8Array; readonly value: Uint8Array }[] {
    const cursor = this.snapshot().cursor(cf, { lower: EMPTY_BYTES, upper: EMPTY_BYTES });
    cursor.seekToFirst();
    const { keys, values } = cursor.take(Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
    cursor.close();
    return keys.map((key, i) => ({ key, value: values[i] as Uint8Array }));
  }
}

class EngineMvccSnapshot implements MvccSnapshot {
  constructor(
    private readonly snapshot: Snapshot,
    private readonly region: RegionRange,
    private readonly count: (change: 1 | -1) => void,
  ) {}

  get(cf: MvccCf, key: Uint8Array): Uint8Array | undefined {
    this.mustBeInRegion(key);
    return this.snapshot.get(cf, key);
  }

  multiGet(cf: MvccCf, keys: readonly Uint8Array[]): (Uint8Array | undefined)[] {
    for (const key of keys) this.mustBeInRegion(key);
    return this.snapshot.multiGet(cf, keys);
  }

  cursor(cf: MvccCf, range: CursorRange): MvccCursor {
    const { start, end } = this.region;
    const lower = compareBytes(range.lower, start) < 0 ? start : range.lower;
    const inner =
      range.upper.length > 0 && (end.length === 0 || compareBytes(range.upper, end) < 0);
    const iter = this.snapshot.iterate(cf, {
      lower,
      upper: inner ? range.upper : end,
      keysOnly: range.keysOnly ?? false,
    });
    this.count(1);
    let open = true;
    const close = iter.close.bind(iter);
    iter.close = () => {
      if (open) this.count(-1);
      open = false;
      close();
    };
    return iter;
  }

  private mustBeInRegion(key: Uint8Array): void {
    assert(keyInRange(key, this.region.start, this.region.end), "a key lies in its region");
  }
}
