/**
 * A cursor of the npm RocksDB binding: entries cross from the worker in chunks, which grow while the
 * caller keeps moving one by one. The cursor stands in a chunk, or behind its last entry. The worker
 * keeps no state for it but the read-ahead of the pin; a request names the key to continue from.
 * Hot path.
 */
import { assert, compareBytes, EMPTY_BYTES } from "../base/index.js";
import { ARENA_ENTRY_BYTES, arenaTakeByMoves, checkArenaSeek } from "./arena_take.js";
import { cfKey, cfUpperBound } from "./cf.js";
import type { OpenHandles } from "./open_handles.js";
import type { RocksdbBridge } from "./rocksdb_bridge.js";
import {
  FrameReader,
  type FrameWriter,
  OP_SCAN,
  OP_SEEK_MANY,
  SCAN_AT_END,
  SCAN_INCLUSIVE,
  SCAN_KEYS_ONLY,
  SCAN_LOOKAHEAD,
  SCAN_OPEN_PIN,
  SCAN_REVERSE,
} from "./rocksdb_protocol.js";
import type { PinRef } from "./rocksdb_snapshot.js";
import type {
  ArenaSeek,
  ArenaTake,
  ArenaTakeResult,
  CfName,
  Entries,
  Iter,
  IterOptions,
} from "./types.js";

/** Entries that a move one by one reads ahead at first, and at most; it grows by 8. */
const AHEAD_FIRST = 8;
const AHEAD_MAX = 512;
const AHEAD_BYTES = 256 * 1024;
const U32_MAX = 0xffff_ffff;

/** See Iter in types.ts. */
export class RocksdbIter implements Iter {
  private readonly bridge: RocksdbBridge;
  private readonly frame: FrameWriter;
  private readonly pin: PinRef;
  private readonly handles: OpenHandles;
  private readonly onClose: () => void;
  private readonly cf: CfName;
  /** Bounds with the CF prefix byte. */
  private readonly lower: Uint8Array;
  private readonly upper: Uint8Array;
  private readonly keysOnly: boolean;
  /** Entries in the direction of `reverse`; keys without the prefix byte. */
  private keys: Uint8Array[] = [];
  private values: Uint8Array[] = [];
  private at = 0;
  private reverse = false;
  /** Nothing follows the chunk within the bounds. */
  private atEnd = true;
  private ahead = AHEAD_FIRST;
  private closed = false;

  constructor(
    bridge: RocksdbBridge,
    frame: FrameWriter,
    pin: PinRef,
    handles: OpenHandles,
    cf: CfName,
    options: IterOptions,
    onClose: () => void,
  ) {
    this.bridge = bridge;
    this.frame = frame;
    this.pin = pin;
    this.handles = handles;
    this.cf = cf;
    this.lower = cfKey(cf, options.lower);
    this.upper = cfUpperBound(cf, options.upper);
    this.keysOnly = options.keysOnly === true;
    this.onClose = onClose;
    handles.iterators++;
  }

  get valid(): boolean {
    return this.at < this.keys.length;
  }

  seekToFirst(): boolean {
    return this.start(this.lower, true, false);
  }

  seekToLast(): boolean {
    return this.start(this.upper, false, true);
  }

  seek(target: Uint8Array): boolean {
    const key = cfKey(this.cf, target);
    return this.start(compareBytes(key, this.lower) < 0 ? this.lower : key, true, false);
  }

  seekForPrev(target: Uint8Array): boolean {
    const key = cfKey(this.cf, target);
    if (compareBytes(key, this.upper) >= 0) return this.seekToLast();
    return this.start(key, true, true);
  }

  next(): boolean {
    return this.move(false);
  }

  prev(): boolean {
    return this.move(true);
  }

  key(): Uint8Array {
    assert(this.valid, "key() of a valid iterator");
    return (this.keys[this.at] as Uint8Array).slice();
  }

  value(): Uint8Array {
    assert(this.valid, "value() of a valid iterator");
    return (this.values[this.at] as Uint8Array).slice();
  }

  take(maxItems: number, maxBytes: number, reverse = false): Entries {
    assert(!this.closed, "the iterator is open");
    const keys: Uint8Array[] = [];
    const values: Uint8Array[] = [];
    let bytes = 0;
    while (this.valid && keys.length < maxItems && bytes < maxBytes) {
      const key = this.keys[this.at] as Uint8Array;
      const value = this.values[this.at] as Uint8Array;
      keys.push(key);
      values.push(value);
      bytes += key.length + value.length;
      if (reverse === this.reverse && this.at + 1 < this.keys.length) this.at++;
      else this.continueFrom(key, reverse, maxItems - keys.length, maxBytes - bytes);
    }
    return { keys, values };
  }

  takeArena(request: ArenaTake): ArenaTakeResult {
    assert(!this.closed, "the iterator is open");
    return arenaTakeByMoves(request, this.cf, this);
  }

  seekArena(request: ArenaSeek): ArenaTakeResult {
    assert(!this.closed, "the iterator is open");
    checkArenaSeek(request);
    const { memory, count, keyTable, table, outEnd } = request;
    const view = new DataView(memory.buffer, memory.byteOffset, memory.byteLength);
    this.clear();
    this.frame
      .start()
      .u32(OP_SEEK_MANY)
      .u32(this.pin.id)
      .u32(this.commonFlags)
      .u32(outEnd - request.out)
      .sized(this.upper)
      .u32(count);
    for (let item = 0; item < count; item++) {
      const at = view.getUint32(keyTable + item * 8, true);
      const key = memory.subarray(at, at + view.getUint32(keyTable + item * 8 + 4, true));
      this.frame.sized(compareBytes(key, this.lower) < 0 ? this.lower : key);
    }
    const answer = new FrameReader(this.bridge.read(this.frame.frame()));
    this.pin.opened = true;
    const items = answer.u32();
    let end = request.out;
    const place = (row: number): void => {
      const length = answer.u32();
      memory.set(answer.viewOf(length), end);
      view.setUint32(row, end, true);
      view.setUint32(row + 4, length, true);
      end += length;
    };
    for (let item = 0; item < items; item++) {
      place(table + item * ARENA_ENTRY_BYTES);
      place(table + item * ARENA_ENTRY_BYTES + 8);
    }
    return { items, outUsedEnd: end };
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.clear();
    this.handles.iterators--;
    this.onClose();
  }

  private get commonFlags(): number {
    return (this.keysOnly ? SCAN_KEYS_ONLY : 0) | (this.pin.opened ? 0 : SCAN_OPEN_PIN);
  }

  private clear(): void {
    this.keys = [];
    this.values = [];
    this.at = 0;
  }

  private start(key: Uint8Array, inclusive: boolean, reverse: boolean): boolean {
    assert(!this.closed, "the iterator is open");
    this.ahead = AHEAD_FIRST;
    this.fetch(key, inclusive ? SCAN_INCLUSIVE : 0, reverse, 1, U32_MAX);
    return this.valid;
  }

  private move(reverse: boolean): boolean {
    assert(!this.closed, "the iterator is open");
    if (!this.valid) return false;
    if (reverse === this.reverse && this.at + 1 < this.keys.length) {
      this.at++;
      return true;
    }
    this.continueFrom(this.keys[this.at] as Uint8Array, reverse, this.ahead, AHEAD_BYTES);
    this.ahead = Math.min(this.ahead * 8, AHEAD_MAX);
    return this.valid;
  }

  /** Replaces the chunk by the entries behind `key`; one more than the limits, so `valid` is known. */
  private continueFrom(
    key: Uint8Array,
    reverse: boolean,
    maxItems: number,
    maxBytes: number,
  ): void {
    if (reverse === this.reverse && this.atEnd) {
      this.clear();
      return;
    }
    this.fetch(cfKey(this.cf, key), SCAN_LOOKAHEAD, reverse, maxItems, maxBytes);
  }

  private fetch(
    start: Uint8Array,
    startFlags: number,
    reverse: boolean,
    maxItems: number,
    maxBytes: number,
  ): void {
    const flags = startFlags | this.commonFlags | (reverse ? SCAN_REVERSE : 0);
    const request = this.frame
      .start()
      .u32(OP_SCAN)
      .u32(this.pin.id)
      .u32(flags)
      .u32(Math.max(0, Math.min(maxItems, U32_MAX)))
      .u32(Math.max(0, Math.min(maxBytes, U32_MAX)))
      .sized(start)
      .sized(reverse ? this.lower : this.upper);
    const answer = new FrameReader(this.bridge.read(request.frame()));
    this.pin.opened = true;
    this.reverse = reverse;
    this.atEnd = (answer.u32() & SCAN_AT_END) !== 0;
    this.at = 0;
    const count = answer.u32();
    this.keys = new Array<Uint8Array>(count);
    this.values = new Array<Uint8Array>(count);
    for (let i = 0; i < count; i++) {
      const keyLength = answer.u32() - 1;
      answer.skip(1);
      this.keys[i] = answer.slice(keyLength);
      const valueLength = answer.u32();
      this.values[i] = valueLength === 0 ? EMPTY_BYTES : answer.slice(valueLength);
    }
  }
}
