/** The iterator of the memory engine: a cursor over one frozen version, within one CF's bounds. */
import { assert, compareBytes, EMPTY_BYTES, nextKey } from "../base/index.js";
import { arenaSeekByMoves, arenaTakeByMoves } from "./arena_take.js";
import { cfKey, cfUpperBound } from "./cf.js";
import { TreeCursor, type TreeNode } from "./memory_tree.js";
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

/** See Iter in types.ts. */
export class MemoryIter implements Iter {
  private readonly cursor: TreeCursor;
  private readonly cf: CfName;
  private readonly lower: Uint8Array;
  private readonly upper: Uint8Array;
  private readonly keysOnly: boolean;
  private readonly handles: OpenHandles;
  private readonly onClose: () => void;
  private isValid = false;
  private closed = false;

  constructor(
    root: TreeNode,
    cf: CfName,
    options: IterOptions,
    handles: OpenHandles,
    onClose: () => void,
  ) {
    this.cursor = new TreeCursor(root);
    this.cf = cf;
    this.lower = cfKey(cf, options.lower);
    this.upper = cfUpperBound(cf, options.upper);
    this.keysOnly = options.keysOnly === true;
    this.handles = handles;
    this.onClose = onClose;
    handles.iterators++;
  }

  get valid(): boolean {
    return this.isValid;
  }

  seekToFirst(): boolean {
    this.mustBeOpen();
    this.cursor.seek(this.lower);
    return this.checkBounds();
  }

  seekToLast(): boolean {
    this.mustBeOpen();
    this.cursor.seekBefore(this.upper);
    return this.checkBounds();
  }

  seek(target: Uint8Array): boolean {
    this.mustBeOpen();
    const key = cfKey(this.cf, target);
    this.cursor.seek(compareBytes(key, this.lower) < 0 ? this.lower : key);
    return this.checkBounds();
  }

  seekForPrev(target: Uint8Array): boolean {
    this.mustBeOpen();
    const behind = nextKey(cfKey(this.cf, target));
    this.cursor.seekBefore(compareBytes(behind, this.upper) > 0 ? this.upper : behind);
    return this.checkBounds();
  }

  next(): boolean {
    this.mustBeOpen();
    if (!this.isValid) return false;
    this.cursor.next();
    return this.checkBounds();
  }

  prev(): boolean {
    this.mustBeOpen();
    if (!this.isValid) return false;
    this.cursor.prev();
    return this.checkBounds();
  }

  key(): Uint8Array {
    assert(this.isValid, "key() of a valid iterator");
    return this.cursor.key.slice(1);
  }

  value(): Uint8Array {
    assert(this.isValid, "value() of a valid iterator");
    return this.keysOnly ? EMPTY_BYTES : this.cursor.value.slice();
  }

  take(maxItems: number, maxBytes: number, reverse = false): Entries {
    this.mustBeOpen();
    const keys: Uint8Array[] = [];
    const values: Uint8Array[] = [];
    let bytes = 0;
    while (this.isValid && keys.length < maxItems && bytes < maxBytes) {
      const key = this.key();
      const value = this.value();
      keys.push(key);
      values.push(value);
      bytes += key.length + value.length;
      if (reverse) this.prev();
      else this.next();
    }
    return { keys, values };
  }

  takeArena(request: ArenaTake): ArenaTakeResult {
    this.mustBeOpen();
    return arenaTakeByMoves(request, this.cf, this);
  }

  seekArena(request: ArenaSeek): ArenaTakeResult {
    this.mustBeOpen();
    return arenaSeekByMoves(request, this.cf, this);
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.isValid = false;
    this.handles.iterators--;
    this.onClose();
  }

  private mustBeOpen(): void {
    assert(!this.closed, "the iterator is open");
  }

  private checkBounds(): boolean {
    this.isValid =
      this.cursor.valid &&
      compareBytes(this.cursor.key, this.lower) >= 0 &&
      compareBytes(this.cursor.key, this.upper) < 0;
    return this.isValid;
  }
}
