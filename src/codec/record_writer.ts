/**
 * Writes the fields of lock and write records one after the other (lock.ts, write.ts). One record is
 * built at a time, in one place for all: an array of its own a record costs more than its bytes.
 * Hot path.
 */
import { assert, U64_MAX } from "../base/index.js";

/** Most records fit; a longer one makes the place grow for good (a primary has 8 KiB at most). */
const FIRST_BYTES = 16 * 1024;
const VARINT_BYTES_MAX = 10;

let place = new Uint8Array(FIRST_BYTES);
let view = new DataView(place.buffer);

function checkU64(value: bigint): void {
  assert(value >= 0n && value <= U64_MAX, "an unsigned number has 64 bits");
}

/** Invariant: between `new` and `finish` of one record no other is begun. */
export class RecordWriter {
  private at = 0;

  byte(value: number): this {
    this.room(1);
    place[this.at++] = value;
    return this;
  }

  raw(bytes: Uint8Array): this {
    this.room(bytes.length);
    place.set(bytes, this.at);
    this.at += bytes.length;
    return this;
  }

  /** Big-endian, eight bytes. */
  u64(value: bigint): this {
    this.room(8);
    checkU64(value);
    view.setBigUint64(this.at, value);
    this.at += 8;
    return this;
  }

  varU64(value: bigint): this {
    this.room(VARINT_BYTES_MAX + 8);
    checkU64(value);
    // The halves are taken apart behind where the varint goes: cheaper than arithmetic on BigInts.
    view.setBigUint64(this.at + VARINT_BYTES_MAX, value);
    let high = view.getUint32(this.at + VARINT_BYTES_MAX);
    let low = view.getUint32(this.at + VARINT_BYTES_MAX + 4);
    while (high > 0 || low >= 0x80) {
      place[this.at++] = (low & 0x7f) | 0x80;
      low = ((low >>> 7) | ((high & 0x7f) << 25)) >>> 0;
      high = high >>> 7;
    }
    place[this.at++] = low;
    return this;
  }

  /** Bytes behind their length, a zig-zag varint. */
  compactBytes(bytes: Uint8Array): this {
    return this.varU64(BigInt(bytes.length * 2)).raw(bytes);
  }

  /** Returns the record, which the caller owns; the writer is done. */
  finish(): Uint8Array {
    return place.slice(0, this.at);
  }

  private room(length: number): void {
    const needed = this.at + length;
    if (needed <= place.length) return;
    const grown = new Uint8Array(Math.max(needed, 2 * place.length));
    grown.set(place.subarray(0, this.at));
    place = grown;
    view = new DataView(grown.buffer);
  }
}
