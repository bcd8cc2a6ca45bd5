/**
 * A cursor over protobuf's wire format, for messages that are taken apart without building objects
 * for their fields. Accepts what the decode kernels accept. Trusts nothing that it reads.
 */

/** Groups within groups before a message counts as malformed. */
const DEPTH_MAX = 100;
/** From here on a value is not exact as a Number: bits 53 to 63 of a varint, in its high word. */
const HIGH_UNSAFE = 0x20_0000;
const TWO_32 = 0x1_0000_0000;

/** Thrown by WireReader: the bytes are no protobuf message. */
export class MalformedWire extends Error {
  override readonly name = "MalformedWire";
}

/** Reads the bytes in `[at, end)`; all methods throw MalformedWire. */
export class WireReader {
  at: number;
  /** Bits 0..31 and 32..63 of the varint that was read last, unsigned. */
  low = 0;
  high = 0;

  constructor(
    private readonly bytes: Uint8Array,
    at = 0,
    public end = bytes.length,
  ) {
    this.at = at;
  }

  /** Whether something is left. */
  get more(): boolean {
    return this.at < this.end;
  }

  /** Reads a varint of at most ten bytes into low and high. */
  varint(): void {
    let low = 0;
    let high = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      if (this.at >= this.end) throw new MalformedWire();
      const byte = this.bytes[this.at++] as number;
      const part = byte & 0x7f;
      if (shift < 28) low |= part << shift;
      else if (shift === 28) {
        low |= part << 28;
        high = part >>> 4;
      } else high |= (shift === 63 ? part & 1 : part) << (shift - 32);
      if (byte < 0x80) {
        this.low = low >>> 0;
        this.high = high >>> 0;
        return;
      }
    }
    throw new MalformedWire();
  }

  /** Reads a varint as a Number; -1 when it is above 2^53 - 1. */
  number(): number {
    this.varint();
    return this.high >= HIGH_UNSAFE ? -1 : this.high * TWO_32 + this.low;
  }

  /** Reads a varint as a u64. */
  u64(): bigint {
    this.varint();
    return this.high === 0 ? BigInt(this.low) : (BigInt(this.high) << 32n) | BigInt(this.low);
  }

  /** Returns the content of a length-delimited field as a view. */
  bytesField(): Uint8Array {
    const end = this.inner();
    const view = this.bytes.subarray(this.at, end);
    this.at = end;
    return view;
  }

  /** Reads a tag: field number times 8, plus wire type. */
  tag(): number {
    this.varint();
    if (this.high !== 0 || this.low >>> 3 === 0) throw new MalformedWire();
    return this.low;
  }

  /** Reads the length of a length-delimited field; returns where its content ends. */
  inner(): number {
    this.varint();
    if (this.high !== 0 || this.low > this.end - this.at) throw new MalformedWire();
    return this.at + this.low;
  }

  /** Returns a reader of a length-delimited field, which is skipped here. */
  enter(): WireReader {
    const end = this.inner();
    const inner = new WireReader(this.bytes, this.at, end);
    this.at = end;
    return inner;
  }

  /** Returns the unread bytes as a view. */
  view(): Uint8Array {
    return this.bytes.subarray(this.at, this.end);
  }

  /** Skips the content of a field whose tag was read. */
  skip(tag: number, depth = 0): void {
    const wireType = tag & 7;
    if (wireType === 0) this.varint();
    else if (wireType === 2) this.at = this.inner();
    else if (wireType === 1 || wireType === 5) {
      const width = wireType === 1 ? 8 : 4;
      if (this.end - this.at < width) throw new MalformedWire();
      this.at += width;
    } else if (wireType !== 3 || depth >= DEPTH_MAX) throw new MalformedWire();
    else this.skipGroup(tag >>> 3, depth);
  }

  private skipGroup(field: number, depth: number): void {
    for (;;) {
      const tag = this.tag();
      if ((tag & 7) === 4) {
        if (tag >>> 3 !== field) throw new MalformedWire();
        return;
      }
      this.skip(tag, depth + 1);
    }
  }
}
