/** Reads RocksDB's little-endian and varint encodings; reading past the end throws `ended`. */

/** Thrown by ByteReader; callers turn it into an error that names the file. */
export class ByteEnd extends Error {
  override readonly name = "ByteEnd";
}

export class ByteReader {
  readonly bytes: Uint8Array;
  readonly end: number;
  at: number;

  constructor(bytes: Uint8Array, start = 0, end = bytes.length) {
    this.bytes = bytes;
    this.at = start;
    this.end = end;
  }

  get more(): boolean {
    return this.at < this.end;
  }

  u32(): number {
    const bytes = this.take(4);
    return new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  }

  /** Returns a varint of at most 64 bits; exact up to 2^53, which file numbers and sizes stay below. */
  varint(): number {
    let value = 0;
    for (let scale = 1, i = 0; i < 10; i++, scale *= 128) {
      const byte = this.take(1)[0] as number;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
    throw new ByteEnd("a number has more than ten bytes");
  }

  /** Returns a zigzag varint. */
  signedVarint(): number {
    const value = this.varint();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  sized(): Uint8Array {
    return this.take(this.varint());
  }

  take(length: number): Uint8Array {
    const start = this.at;
    if (length > this.end - start) throw new ByteEnd("a length leaves its block");
    this.at = start + length;
    return this.bytes.subarray(start, this.at);
  }
}
