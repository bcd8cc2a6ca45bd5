/**
 * Iterators of librocksdb. `take` copies a block of entries through native scratch memory with two
 * calls an entry for its bytes; `takeArena` copies them where they are wanted. Hot path.
 */
import { assert, compareBytes, EMPTY_BYTES } from "../base/index.js";
import { checkArenaSeek, checkArenaTake } from "./arena_take.js";
import { cfKey, cfUpperBound } from "./cf.js";
import { allocateFixed, type FixedBlock } from "./librocksdb_api.js";
import { PieceBlock } from "./librocksdb_block.js";
import type { NativeDatabase } from "./librocksdb_native.js";
import type { OpenHandles } from "./open_handles.js";
import type {
  ArenaSeek,
  ArenaTake,
  ArenaTakeResult,
  CfName,
  Entries,
  Iter,
  IterOptions,
} from "./types.js";

/** Options that only this binding has. */
export interface NativeIterOptions extends IterOptions {
  /** Deleted entries that one move may pass over; beyond, `isProvenEmpty` gives up. */
  readonly skipMax?: number;
}

/** See Iter in types.ts. */
export class LibrocksdbIter implements Iter {
  private readonly database: NativeDatabase;
  private readonly cf: CfName;
  private readonly lower: Uint8Array;
  private readonly upper: Uint8Array;
  private readonly keysOnly: boolean;
  private readonly handles: OpenHandles;
  private readonly onClose: () => void;
  private readonly readOptions: number;
  /** Holds both bounds; RocksDB has pointers into it until the iterator is destroyed. */
  private readonly bounds: FixedBlock;
  private readonly iterator: number;
  private isValid = false;
  private closed = false;

  /** `snapshot` is the native handle that stays open longer than this iterator. */
  constructor(
    database: NativeDatabase,
    snapshot: number,
    cf: CfName,
    options: NativeIterOptions,
    handles: OpenHandles,
    onClose: () => void,
  ) {
    const { api, db } = database;
    this.database = database;
    this.cf = cf;
    this.keysOnly = options.keysOnly === true;
    this.handles = handles;
    this.onClose = onClose;
    this.lower = cfKey(cf, options.lower);
    const upper = cfUpperBound(cf, options.upper);
    // RocksDB asserts on reversed bounds in some paths; an empty range is the same to the caller.
    this.upper = compareBytes(upper, this.lower) < 0 ? this.lower : upper;
    this.bounds = allocateFixed(this.lower.length + this.upper.length);
    this.bounds.bytes.set(this.lower);
    this.bounds.bytes.set(this.upper, this.lower.length);
    const { address } = this.bounds;
    this.readOptions = api.rocksdb_readoptions_create();
    api.rocksdb_readoptions_set_snapshot(this.readOptions, snapshot);
    if (options.skipMax !== undefined) {
      api.rocksdb_readoptions_set_max_skippable_internal_keys(this.readOptions, options.skipMax);
    }
    if (options.fillCache === false) api.rocksdb_readoptions_set_fill_cache(this.readOptions, 0);
    api.rocksdb_readoptions_set_iterate_lower_bound(this.readOptions, address, this.lower.length);
    api.rocksdb_readoptions_set_iterate_upper_bound(
      this.readOptions,
      address + this.lower.length,
      this.upper.length,
    );
    this.iterator = api.rocksdb_create_iterator(db, this.readOptions);
    handles.iterators++;
  }

  get valid(): boolean {
    return this.isValid;
  }

  seekToFirst(): boolean {
    this.mustBeOpen();
    this.database.api.rocksdb_iter_seek_to_first(this.iterator);
    return this.settle();
  }

  seekToLast(): boolean {
    this.mustBeOpen();
    this.database.api.rocksdb_iter_seek_to_last(this.iterator);
    return this.settle();
  }

  /** Whether no entry lies in the bounds; false too where `skipMax` deleted ones lie. */
  isProvenEmpty(): boolean {
    this.mustBeOpen();
    const { api, errorAddress } = this.database;
    api.rocksdb_iter_seek_to_first(this.iterator);
    if (api.rocksdb_iter_valid(this.iterator) !== 0) return false;
    api.rocksdb_iter_get_error(this.iterator, errorAddress);
    return this.database.checkComplete();
  }

  seek(target: Uint8Array): boolean {
    this.mustBeOpen();
    const { address, length } = this.database.placeKey(this.cf, target);
    this.database.api.rocksdb_iter_seek(this.iterator, address, length);
    return this.settle();
  }

  seekForPrev(target: Uint8Array): boolean {
    this.mustBeOpen();
    const { address, length } = this.database.placeKey(this.cf, target);
    this.database.api.rocksdb_iter_seek_for_prev(this.iterator, address, length);
    return this.settle();
  }

  next(): boolean {
    this.mustBeOpen();
    return this.isValid && this.step(false);
  }

  prev(): boolean {
    this.mustBeOpen();
    return this.isValid && this.step(true);
  }

  key(): Uint8Array {
    assert(this.isValid, "key() of a valid iterator");
    const { api, lengthAddress } = this.database;
    const address = api.rocksdb_iter_key(this.iterator, lengthAddress);
    return this.database.copyOut(address + 1, this.database.lengthFound - 1);
  }

  value(): Uint8Array {
    assert(this.isValid, "value() of a valid iterator");
    if (this.keysOnly) return EMPTY_BYTES;
    const { api, lengthAddress } = this.database;
    const address = api.rocksdb_iter_value(this.iterator, lengthAddress);
    return this.database.copyOut(address, this.database.lengthFound);
  }

  take(maxItems: number, maxBytes: number, reverse = false): Entries {
    this.mustBeOpen();
    const { database, iterator } = this;
    const { api, lengthAddress } = database;
    const block = new PieceBlock(database);
    let items = 0;
    let bytes = 0;
    while (this.isValid && items < maxItems && bytes < maxBytes) {
      const key = api.rocksdb_iter_key(iterator, lengthAddress);
      const keyLength = database.lengthFound - 1;
      block.add(key + 1, keyLength);
      bytes += keyLength;
      if (!this.keysOnly) {
        const value = api.rocksdb_iter_value(iterator, lengthAddress);
        const valueLength = database.lengthFound;
        block.add(value, valueLength);
        bytes += valueLength;
      }
      items++;
      this.step(reverse);
    }
    return this.entries(block.finish());
  }

  takeArena(request: ArenaTake): ArenaTakeResult {
    this.mustBeOpen();
    checkArenaTake(request);
    const { address, words } = this.database.placeMemory(request.memory);
    const { itemsMax, outEnd, reverse } = request;
    let end = request.out;
    let row = request.table >>> 2;
    let items = 0;
    for (; this.isValid && items < itemsMax; items++) {
      const filled = this.place(address, words, row, end, outEnd);
      if (filled === 0) break;
      end = filled;
      row += 4;
      this.step(reverse);
    }
    return { items, outUsedEnd: end };
  }

  seekArena(request: ArenaSeek): ArenaTakeResult {
    this.mustBeOpen();
    checkArenaSeek(request);
    const { database, iterator } = this;
    const { address, words } = database.placeMemory(request.memory);
    const { count, outEnd } = request;
    const { api } = database;
    let end = request.out;
    let row = request.table >>> 2;
    let key = request.keyTable >>> 2;
    for (let items = 0; items < count; items++, row += 4, key += 2) {
      words[row + 1] = 0;
      api.rocksdb_iter_seek(iterator, address + (words[key] as number), words[key + 1] as number);
      if (!this.settle()) continue;
      const filled = this.place(address, words, row, end, outEnd);
      if (filled === 0) return { items, outUsedEnd: end };
      end = filled;
    }
    return { items: count, outUsedEnd: end };
  }

  /** Copies the current entry to `at` and fills its row. Returns its end, 0 if it does not fit. */
  private place(
    address: number,
    words: Uint32Array,
    row: number,
    at: number,
    outEnd: number,
  ): number {
    const { database, iterator, keysOnly } = this;
    const { api, lengthAddress } = database;
    // Pointers to key and value are good until the next move.
    const key = api.rocksdb_iter_key(iterator, lengthAddress);
    const keyLength = database.lengthFound;
    const value = keysOnly ? 0 : api.rocksdb_iter_value(iterator, lengthAddress);
    const valueLength = keysOnly ? 0 : database.lengthFound;
    const valueAt = at + keyLength;
    if (valueAt + valueLength > outEnd) return 0;
    api.memcpy(address + at, key, keyLength);
    if (valueLength > 0) api.memcpy(address + valueAt, value, valueLength);
    words[row] = at;
    words[row + 1] = keyLength;
    words[row + 2] = valueAt;
    words[row + 3] = valueLength;
    return valueAt + valueLength;
  }

  private entries(pieces: Uint8Array[]): Entries {
    if (this.keysOnly) return { keys: pieces, values: pieces.map(() => EMPTY_BYTES) };
    const keys: Uint8Array[] = [];
    const values: Uint8Array[] = [];
    for (let i = 0; i < pieces.length; i += 2) {
      keys.push(pieces[i] as Uint8Array);
      values.push(pieces[i + 1] as Uint8Array);
    }
    return { keys, values };
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.isValid = false;
    const { api } = this.database;
    api.rocksdb_iter_destroy(this.iterator);
    api.rocksdb_readoptions_destroy(this.readOptions);
    this.handles.iterators--;
    this.onClose();
  }

  private mustBeOpen(): void {
    assert(!this.closed, "the iterator is open");
  }

  private step(reverse: boolean): boolean {
    const { api } = this.database;
    if (reverse) api.rocksdb_iter_prev(this.iterator);
    else api.rocksdb_iter_next(this.iterator);
    return this.settle();
  }

  /** Learns validity after a move. An end may be an error: a damaged block ends the walk too. */
  private settle(): boolean {
    const { api } = this.database;
    this.isValid = api.rocksdb_iter_valid(this.iterator) !== 0;
    if (!this.isValid) {
      api.rocksdb_iter_get_error(this.iterator, this.database.errorAddress);
      this.database.check();
    }
    return this.isValid;
  }
}
