/** A region snapshot as MVCC code reads it: region keys without the data prefix, three CFs. */
import type { ArenaGet, ArenaGetResult } from "../engine/index.js";
import type {
  CursorRange,
  FirstReads,
  MemoryLocks,
  MvccCf,
  MvccCursor,
  MvccSnapshot,
} from "../mvcc/index.js";
import type { RegionSnapshot } from "./kv_engine.js";
import { RegionCursor } from "./region_cursor.js";

/** The snapshot stays the caller's: close it after the cursors. */
export class TxnSnapshot implements MvccSnapshot {
  firstReads?: FirstReads;
  readonly memoryLocks?: MemoryLocks;

  /** `fillCache` false: a read that should not displace hot blocks. */
  constructor(
    private readonly inner: RegionSnapshot,
    private readonly fillCache = true,
    memoryLocks?: MemoryLocks,
  ) {
    if (memoryLocks !== undefined) this.memoryLocks = memoryLocks;
  }

  get(cf: MvccCf, key: Uint8Array): Uint8Array | undefined {
    return this.inner.get(cf, key);
  }

  multiGet(cf: MvccCf, keys: readonly Uint8Array[]): (Uint8Array | undefined)[] {
    return this.inner.multiGet(cf, keys);
  }

  multiGetBlock(request: ArenaGet): ArenaGetResult {
    return this.inner.multiGetArena(request);
  }

  provenEmpty(cf: MvccCf, lower: Uint8Array, upper: Uint8Array): boolean {
    return this.inner.provenEmpty(cf, lower, upper);
  }

  cursor(cf: MvccCf, { lower, upper, keysOnly = false }: CursorRange): MvccCursor {
    const options = { keysOnly, fillCache: this.fillCache };
    return new RegionCursor(this.inner.iterate(cf, lower, upper, options));
  }
}
