/** A bounds-checked reader over the fields of lock and write records (lock.ts, write.ts). Hot path. */
import { codecError } from "./error.js";

/** Joins two halves to a u64; several times faster than arithmetic on BigInts. */
const HALVES = new DataView(new ArrayBuffer(8));

const VARINT_BYTES_MAX = 10;
/** Most that the tenth byte of a varint of 64 bits holds. */
const VARINT_LAST_MAX = 1;

function join(high: number, low: number): bigint {
  HALVES.setUint32(0, high);
  HALVES.setUint32(4, low);
  return HALVES.getBigUint64(0);
}

function cut(): Error {
  return codecError("KV:Codec:Io", "a lock or write record is cut");
}

/** Reads the fields of a record one after the other. Throws KV:Codec:Io where the bytes end. */
export class RecordReader {
  at = 0;

  constructor(private readonly bytes: Uint8Array) {}

  get ended(): boolean {
    return this.at >= this.bytes.length;
  }

  byte(): number {
    const value = this.bytes[this.at++];
    if (value === undefined) throw cut();
    return value;
  }

  /** Returns a view of the next bytes. */
  take(length: number): Uint8Array {
    const end = this.at + length;
    if (end > this.bytes.length) throw cut();
    const taken = this.bytes.subarray(this.at, end);
    this.at = end;
    return taken;
  }

  /** Big-endian, eight bytes. */
  u64(): bigint {
    if (this.at + 8 > this.bytes.length) throw cut();
    const high = this.u32();
    return join(high, this.u32());
  }

  varU64(): bigint {
    const { bytes } = this;
    let [low, high] = [0, 0];
    for (let i = 0; i < VARINT_BYTES_MAX; i++) {
      const byte = bytes[this.at++];
      if (byte === undefined) throw cut();
      const bits = byte & 0x7f;
      // Seven bits a byte: the fifth lies across the halves.
      if (i < 5) low = (low | (bits << (7 * i))) >>> 0;
      if (i === 4) high = bits >>> 4;
      else if (i > 4) high = (high | (bits << (7 * i - 32))) >>> 0;
      if (byte >= 0x80) continue;
      if (i === VARINT_BYTES_MAX - 1 && byte > VARINT_LAST_MAX) break;
      return high === 0 ? BigInt(low) : join(high, low);
    }
    throw codecError("KV:Codec:Io", "a number in a record exceeds 64 bits");
  }

  /** The number of items of at least one byte each that follow. */
  count(): number {
    const count = this.varU64();
    if (count > BigInt(this.bytes.length - this.at)) {
      throw codecError("KV:Codec:Io", "a lock record lists more items than it has bytes");
    }
    return Number(count);
  }

  /** Bytes behind their length, a zig-zag varint; a view. */
  compactBytes(): Uint8Array {
    const zigzag = this.varU64();
    if ((zigzag & 1n) === 1n || zigzag >> 1n > BigInt(this.bytes.length)) {
      throw codecError("KV:Codec:Io", "a field is longer than its record");
    }
    return this.take(Number(zigzag >> 1n));
  }

  private u32(): number {
    const { bytes, at } = this;
    this.at = at + 4;
    const high = ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
    const low = ((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number);
    return ((high << 16) | low) >>> 0;
  }
}
