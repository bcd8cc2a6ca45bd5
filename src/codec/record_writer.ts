/** Writes the fields of lock and write records one after the other (lock.ts, write.ts). Hot path. */

/** Most records of short keys and values fit; a longer one grows. */
const FIRST_BYTES = 128;
const VARINT_BYTES_MAX = 10;

/** Invariant: `bytes` has room behind `at` for what the method that runs writes. */
export class RecordWriter {
  private bytes = new Uint8Array(FIRST_BYTES);
  private at = 0;

  byte(value: number): this {
    this.room(1);
    this.bytes[this.at++] = value;
    return this;
  }

  raw(bytes: Uint8Array): this {
    this.room(bytes.length);
    this.bytes.set(bytes, this.at);
    this.at += bytes.length;
    return this;
  }

  /** Big-endian, eight bytes. */
  u64(value: bigint): this {
    this.room(8);
    const { buffer } = this.bytes;
    new DataView(buffer).setBigUint64(this.at, value);
    this.at += 8;
    return this;
  }

  varU64(value: bigint): this {
    this.room(VARINT_BYTES_MAX);
    let low = Number(BigInt.asUintN(32, value));
    let high = Number(value >> 32n);
    while (high > 0 || low >= 0x80) {
      this.bytes[this.at++] = (low & 0x7f) | 0x80;
      low = ((low >>> 7) | ((high & 0x7f) << 25)) >>> 0;
      high = high >>> 7;
    }
    this.bytes[this.at++] = low;
    return this;
  }

  /** Bytes behind their length, a zig-zag varint. */
  compactBytes(bytes: Uint8Array): this {
    return this.varU64(BigInt(bytes.length * 2)).raw(bytes);
  }

  /** Returns the record; the writer is done. */
  finish(): Uint8Array {
    return this.bytes.slice(0, this.at);
  }

  private room(length: number): void {
    const needed = this.at + length;
    if (needed <= this.bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, 2 * this.bytes.length));
    grown.set(this.bytes);
    this.bytes = grown;
  }
}
