/** A region snapshot as MVCC code reads it: region keys without the data prefix, three CFs. */
import { dataKey } from "../codec/index.js";
import type {
  ArenaGet,
  ArenaGetResult,
  ArenaSeek,
  ArenaTake,
  ArenaTakeResult,
  Entries,
  Iter,
} from "../engine/index.js";
import type { CursorRange, MemoryLocks, MvccCf, MvccCursor, MvccSnapshot } from "../mvcc/index.js";
import type { RegionSnapshot } from "./kv_engine.js";

/** A cursor over engine keys that shows region keys. */
class RegionCursor implements MvccCursor {
  constructor(private readonly iter: Iter) {}

  get valid(): boolean {
    return this.iter.valid;
  }

  seekToFirst(): boolean {
    return this.iter.seekToFirst();
  }

  seekToLast(): boolean {
    return this.iter.seekToLast();
  }

  seek(target: Uint8Array): boolean {
    return this.iter.seek(dataKey(target));
  }

  seekForPrev(target: Uint8Array): boolean {
    return this.iter.seekForPrev(dataKey(target));
  }

  next(): boolean {
    return this.iter.next();
  }

  prev(): boolean {
    return this.iter.prev();
  }

  key(): Uint8Array {
    return this.iter.key().subarray(1);
  }

  value(): Uint8Array {
    return this.iter.value();
  }

  take(maxItems: number, maxBytes: number, reverse = false): Entries {
    const { keys, values } = this.iter.take(maxItems, maxBytes, reverse);
    return { keys: keys.map((key) => key.subarray(1)), values };
  }

  takeBlock(request: ArenaTake): ArenaTakeResult {
    return this.iter.takeArena(request);
  }

  seekBlock(request: ArenaSeek): ArenaTakeResult {
    return this.iter.seekArena(request);
  }

  close(): void {
    this.iter.close();
  }
}

/** The snapshot stays the caller's: close it after the cursors. */
export class TxnSnapshot implements MvccSnapshot {
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
