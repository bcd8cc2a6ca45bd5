/**
 * RocksDB's WriteBatch representation: builder, reader, merge. Keys carry the CF prefix byte.
 * Not here: the kernel that builds the same bytes in linear memory (kernel/write_batch.ts).
 * Source: the format notes of RocksDB's db/write_batch.cc. Hot path: builder and merge.
 */
import { assert, compareBytes, TikvError } from "../base/index.js";
import {
  WRITE_BATCH_COUNT_OFFSET,
  WRITE_BATCH_DELETE,
  WRITE_BATCH_DELETE_RANGE,
  WRITE_BATCH_HEADER,
  WRITE_BATCH_PUT,
} from "../kernel/index.js";
import { CF_PREFIX, cfUpperBound } from "./cf.js";
import type { CfName, WriteBatch } from "./types.js";

const CAPACITY_INITIAL = 512;
/** Above this, `clear` gives the buffer back; a guess: a few times a usual apply round. */
const CAPACITY_KEPT = 1 << 20;
/** RocksDB counts records and lengths in u32; far below that is already a bug of the caller. */
export const WRITE_BATCH_BYTES_MAX = 1 << 30;
const VARINT32_MAX_BYTES = 5;

/** A growable batch; see engine/types.ts for the contract. */
export class WriteBatchBuilder implements WriteBatch {
  /** Invariant: #buffer[0 .. #end) is a complete representation except for the count field. */
  #buffer = new Uint8Array(CAPACITY_INITIAL);
  #end = WRITE_BATCH_HEADER;
  #count = 0;

  get count(): number {
    return this.#count;
  }

  get sizeBytes(): number {
    return this.#end;
  }

  put(cf: CfName, key: Uint8Array, value: Uint8Array): void {
    this.#reserve(1 + 2 * VARINT32_MAX_BYTES + 1 + key.length + value.length);
    this.#start(WRITE_BATCH_PUT, cf, key);
    this.#varint(value.length);
    this.#append(value);
  }

  delete(cf: CfName, key: Uint8Array): void {
    this.#reserve(1 + VARINT32_MAX_BYTES + 1 + key.length);
    this.#start(WRITE_BATCH_DELETE, cf, key);
  }

  deleteRange(cf: CfName, start: Uint8Array, end: Uint8Array): void {
    // RocksDB fails the whole write, for good, when a range ends before it starts.
    if (end.length > 0 && compareBytes(start, end) >= 0) return;
    const upper = cfUpperBound(cf, end);
    this.#reserve(1 + 2 * VARINT32_MAX_BYTES + 1 + start.length + upper.length);
    this.#start(WRITE_BATCH_DELETE_RANGE, cf, start);
    this.#varint(upper.length);
    this.#append(upper);
  }

  bytes(): Uint8Array {
    putCount(this.#buffer, this.#count);
    return this.#buffer.subarray(0, this.#end);
  }

  clear(): void {
    if (this.#buffer.length > CAPACITY_KEPT) this.#buffer = new Uint8Array(CAPACITY_INITIAL);
    this.#end = WRITE_BATCH_HEADER;
    this.#count = 0;
  }

  #start(tag: number, cf: CfName, key: Uint8Array): void {
    this.#count++;
    this.#buffer[this.#end++] = tag;
    this.#varint(key.length + 1);
    this.#buffer[this.#end++] = CF_PREFIX[cf];
    this.#append(key);
  }

  #varint(value: number): void {
    let rest = value;
    while (rest >= 0x80) {
      this.#buffer[this.#end++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.#buffer[this.#end++] = rest;
  }

  #append(bytes: Uint8Array): void {
    this.#buffer.set(bytes, this.#end);
    this.#end += bytes.length;
  }

  #reserve(extra: number): void {
    const needed = this.#end + extra;
    if (needed <= this.#buffer.length) return;
    assert(needed <= WRITE_BATCH_BYTES_MAX, "a write batch stays below WRITE_BATCH_BYTES_MAX");
    const grown = new Uint8Array(Math.max(needed, this.#buffer.length * 2));
    grown.set(this.#buffer.subarray(0, this.#end));
    this.#buffer = grown;
  }
}

/** One change of a batch; keys with their CF prefix byte. Views into the representation. */
export type WriteRecord =
  | { readonly kind: "put"; readonly key: Uint8Array; readonly value: Uint8Array }
  | { readonly kind: "delete"; readonly key: Uint8Array }
  | { readonly kind: "deleteRange"; readonly start: Uint8Array; readonly end: Uint8Array };

/**
 * Yields the records of a representation in order, as views into it. Throws TikvError
 * KV:Engine:Codec when a length leaves the bytes, a tag is unknown or the count is wrong; records
 * before the damage have been yielded by then, so a caller that must apply all or nothing calls
 * `checkRepresentation` first.
 */
export function* writeRecords(representation: Uint8Array): Generator<WriteRecord, void> {
  const reader = new Reader(representation);
  while (reader.more()) yield reader.next();
  reader.finish();
}

/** Returns the record count; throws TikvError KV:Engine:Codec unless every record is whole. */
export function checkRepresentation(representation: Uint8Array): number {
  const reader = new Reader(representation);
  while (reader.more()) reader.next();
  reader.finish();
  return reader.count;
}

/** Returns the count field; throws TikvError KV:Engine:Codec when the header is cut. */
export function representationCount(representation: Uint8Array): number {
  if (representation.length < WRITE_BATCH_HEADER) throw damaged("the header is cut", 0);
  return getCount(representation);
}

/**
 * Returns one new representation with the records of `parts` in order. Headers are checked, the
 * records are not. A single part is copied as well, so the result is always the caller's.
 */
export function mergeRepresentations(parts: readonly Uint8Array[]): Uint8Array {
  let length = WRITE_BATCH_HEADER;
  let count = 0;
  for (const part of parts) {
    count += representationCount(part);
    length += part.length - WRITE_BATCH_HEADER;
  }
  assert(length <= WRITE_BATCH_BYTES_MAX, "a merged batch stays below WRITE_BATCH_BYTES_MAX");
  assert(count <= 0xffff_ffff, "the record count fits into u32");
  const merged = new Uint8Array(length);
  putCount(merged, count);
  let end = WRITE_BATCH_HEADER;
  for (const part of parts) {
    merged.set(part.subarray(WRITE_BATCH_HEADER), end);
    end += part.length - WRITE_BATCH_HEADER;
  }
  return merged;
}

class Reader {
  readonly #bytes: Uint8Array;
  #at = WRITE_BATCH_HEADER;
  #seen = 0;
  readonly count: number;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.count = representationCount(bytes);
  }

  more(): boolean {
    return this.#at < this.#bytes.length;
  }

  next(): WriteRecord {
    const start = this.#at;
    const tag = this.#bytes[this.#at++];
    this.#seen++;
    switch (tag) {
      case WRITE_BATCH_PUT:
        return { kind: "put", key: this.#slice(), value: this.#slice() };
      case WRITE_BATCH_DELETE:
        return { kind: "delete", key: this.#slice() };
      case WRITE_BATCH_DELETE_RANGE:
        return { kind: "deleteRange", start: this.#slice(), end: this.#slice() };
      default:
        throw damaged(`unknown tag ${tag}`, start);
    }
  }

  finish(): void {
    if (this.#seen !== this.count) {
      throw damaged(`${this.#seen} records, the header says ${this.count}`, this.#at);
    }
  }

  #slice(): Uint8Array {
    const length = this.#varint();
    const start = this.#at;
    if (length > this.#bytes.length - start) throw damaged("a length leaves the batch", start);
    this.#at = start + length;
    return this.#bytes.subarray(start, this.#at);
  }

  #varint(): number {
    const start = this.#at;
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) throw damaged("a length is cut", start);
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw damaged("a length has more than five bytes", start);
  }
}

function damaged(what: string, offset: number): TikvError {
  return new TikvError("KV:Engine:Codec", `write batch: ${what} at offset ${offset}`);
}

function getCount(bytes: Uint8Array): number {
  const at = WRITE_BATCH_COUNT_OFFSET;
  const low = (bytes[at] as number) | ((bytes[at + 1] as number) << 8);
  const high = (bytes[at + 2] as number) | ((bytes[at + 3] as number) << 8);
  return (low | (high << 16)) >>> 0;
}

function putCount(bytes: Uint8Array, count: number): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  view.setUint32(WRITE_BATCH_COUNT_OFFSET, count, true);
}
