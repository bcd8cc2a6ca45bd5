/** A bounds-checked reader over the fields of lock and write records (lock.ts, write.ts). */
import { codecError } from "./error.js";
import { decodeU64, decodeVarI64, decodeVarU64 } from "./number.js";

/** Reads the fields of a record one after the other. */
export class RecordReader {
  at = 0;

  constructor(private readonly bytes: Uint8Array) {}

  get ended(): boolean {
    return this.at >= this.bytes.length;
  }

  byte(): number {
    const value = this.bytes[this.at++];
    if (value === undefined) throw codecError("KV:Codec:Io", "a lock or write record is cut");
    return value;
  }

  take(length: number): Uint8Array {
    const end = this.at + length;
    if (end > this.bytes.length) {
      throw codecError("KV:Codec:Io", "a lock or write record is cut");
    }
    const taken = this.bytes.slice(this.at, end);
    this.at = end;
    return taken;
  }

  u64(): bigint {
    return decodeU64(this.take(8));
  }

  varU64(): bigint {
    const { value, end } = decodeVarU64(this.bytes, this.at);
    this.at = end;
    return value;
  }

  /** The number of items of at least one byte each that follow. */
  count(): number {
    const count = this.varU64();
    if (count > BigInt(this.bytes.length - this.at)) {
      throw codecError("KV:Codec:Io", "a lock record lists more items than it has bytes");
    }
    return Number(count);
  }

  compactBytes(): Uint8Array {
    const { value, end } = decodeVarI64(this.bytes, this.at);
    this.at = end;
    if (value < 0n || value > BigInt(this.bytes.length)) {
      throw codecError("KV:Codec:Io", `a field of ${value} bytes`);
    }
    return this.take(Number(value));
  }
}
