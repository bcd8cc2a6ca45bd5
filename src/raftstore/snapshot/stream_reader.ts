/**
 * Reads and checks a stream (format.ts), chunk by chunk: when it arrives, and again when the file
 * is applied. Input may be anything: what is not exactly a stream of the expected region ends in a
 * text that says what is wrong, never in an exception.
 */
import { compareBytes, concatBytes, EMPTY_BYTES, equalBytes } from "../../base/index.js";
import {
  CHUNK_HEADER_BYTES,
  CHUNK_KIND,
  CHUNK_MAGIC,
  CHUNK_MAX_BYTES,
  CHUNK_TRAILER_BYTES,
  DATA_CFS,
  type DataCf,
  FORMAT_VERSION,
  headPayload,
  KEY_MAX_BYTES,
  type StreamHead,
  VALUE_MAX_BYTES,
} from "./format.js";
import { xxh64 } from "./hash.js";

const CHUNK_MIN_BYTES = CHUNK_HEADER_BYTES + CHUNK_TRAILER_BYTES;

/** Gets the entries of a chunk; views into it, or the joined parts of a long value. */
export type EntryVisitor = (cf: DataCf, key: Uint8Array, value: Uint8Array) => void;

/** What a damaged stream is left with, inside this file. */
class Damage extends Error {}

/**
 * Returns the length of the chunk that starts at `offset`; undefined when more bytes are needed to
 * know, or to have it whole. A string says why no chunk starts there.
 */
export function chunkLength(bytes: Uint8Array, offset: number): number | string | undefined {
  if (bytes.length - offset < CHUNK_HEADER_BYTES) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset + offset);
  if (view.getUint32(0, true) !== CHUNK_MAGIC) return "no chunk where one should begin";
  const length = view.getUint32(8, true);
  if (length < CHUNK_MIN_BYTES || length > CHUNK_MAX_BYTES) return `a chunk of ${length} bytes`;
  return bytes.length - offset < length ? undefined : length;
}

export class StreamReader {
  private number = 0;
  private hash = 0n;
  private cf = 0;
  private lastKey: Uint8Array | undefined;
  private entriesCount = 0;
  private dataBytes = 0;
  private ended = false;
  private problem: string | undefined;
  private long:
    | { readonly key: Uint8Array; rest: number; readonly parts: Uint8Array[] }
    | undefined;
  private readonly expectedHead: Uint8Array;

  /** `visit` undefined: only checks, and keeps no value. */
  constructor(
    private readonly head: StreamHead,
    private readonly visit?: EntryVisitor,
  ) {
    this.expectedHead = headPayload(head);
  }

  /** Whether the end was read. */
  get complete(): boolean {
    return this.ended;
  }

  /**
   * Takes the next chunk; entries have been visited when it returns, and the chunk is the caller's
   * again. Returns what is wrong with
   * the stream, also when asked again; entries visited in the failing call are void.
   */
  push(chunk: Uint8Array): string | undefined {
    if (this.problem !== undefined) return this.problem;
    try {
      // A plain view: `slice` of a Buffer would not copy.
      this.take(new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength));
    } catch (error) {
      if (!(error instanceof Damage)) throw error;
      this.problem = `chunk ${this.number}: ${error.message}`;
    }
    return this.problem;
  }

  /** Returns what is missing when no more chunks come. */
  finish(): string | undefined {
    if (this.problem === undefined && !this.ended) {
      this.problem = `the stream ends after ${this.number} chunks`;
    }
    return this.problem;
  }

  private take(chunk: Uint8Array): void {
    if (this.ended) throw new Damage("more data behind the end");
    const { kind, cf, payload } = this.unwrap(chunk);
    if ((kind === CHUNK_KIND.Head) !== (this.number === 0)) throw new Damage("head out of place");
    if ((kind === CHUNK_KIND.Part) !== (this.long !== undefined)) {
      throw new Damage("part of a value out of place");
    }
    if (cf < this.cf && kind !== CHUNK_KIND.End) throw new Damage("column families out of order");
    if (kind === CHUNK_KIND.Head) this.takeHead(payload);
    else if (kind === CHUNK_KIND.Entries) this.takeEntries(this.enterCf(cf), payload);
    else if (kind === CHUNK_KIND.Long) this.takeLong(this.enterCf(cf), payload);
    else if (kind === CHUNK_KIND.Part) this.takePart(payload);
    else if (kind === CHUNK_KIND.End) this.takeEnd(payload);
    else throw new Damage(`unknown kind ${kind}`);
    this.number++;
  }

  /** Checks everything around the payload. */
  private unwrap(chunk: Uint8Array): {
    readonly kind: number;
    readonly cf: number;
    readonly payload: Payload;
  } {
    if (chunk.length < CHUNK_MIN_BYTES) throw new Damage(`only ${chunk.length} bytes`);
    if (chunk.length > CHUNK_MAX_BYTES) throw new Damage(`${chunk.length} bytes are too many`);
    const view = new DataView(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    if (view.getUint32(0, true) !== CHUNK_MAGIC) throw new Damage("not a Rutile snapshot");
    const version = view.getUint16(4, true);
    if (version !== FORMAT_VERSION) {
      throw new Damage(`snapshot format ${version}, this store reads ${FORMAT_VERSION}`);
    }
    if (view.getUint32(8, true) !== chunk.length) throw new Damage("the length is wrong");
    if (view.getUint32(12, true) !== this.number) {
      throw new Damage(`numbered ${view.getUint32(12, true)}`);
    }
    const end = chunk.length - CHUNK_TRAILER_BYTES;
    const hash = xxh64(chunk.subarray(0, end), this.hash);
    if (view.getBigUint64(end, true) !== hash) throw new Damage("the checksum is wrong");
    this.hash = hash;
    const payload = new Payload(chunk.subarray(CHUNK_HEADER_BYTES, end));
    return { kind: chunk[6] as number, cf: chunk[7] as number, payload };
  }

  private takeHead(payload: Payload): void {
    if (!equalBytes(payload.rest(), this.expectedHead)) {
      throw new Damage("the data of another region, epoch or index");
    }
  }

  private enterCf(cf: number): DataCf {
    const name = DATA_CFS[cf];
    if (name === undefined) throw new Damage(`unknown column family ${cf}`);
    if (cf !== this.cf) {
      this.cf = cf;
      this.lastKey = undefined;
    }
    return name;
  }

  private takeEntries(cf: DataCf, payload: Payload): void {
    const count = payload.u32();
    for (let i = 0; i < count; i++) {
      const keyBytes = payload.varint();
      const valueBytes = payload.varint();
      const key = payload.slice(keyBytes);
      const value = payload.slice(valueBytes);
      this.enterKey(key, value.length);
      this.visit?.(cf, key, value);
    }
    payload.mustEnd();
    // The chunk may be overwritten by the next.
    this.lastKey = this.lastKey?.slice();
  }

  private takeLong(cf: DataCf, payload: Payload): void {
    const keyBytes = payload.varint();
    const valueBytes = payload.varint();
    if (valueBytes > VALUE_MAX_BYTES) throw new Damage(`a value of ${valueBytes} bytes`);
    const key = payload.slice(keyBytes).slice();
    this.enterKey(key, valueBytes);
    this.takeValue(cf, { key, rest: valueBytes, parts: [] }, payload.rest());
  }

  private takePart(payload: Payload): void {
    const long = this.long as NonNullable<typeof this.long>;
    const bytes = payload.rest();
    if (bytes.length === 0) throw new Damage("an empty part");
    this.takeValue(DATA_CFS[this.cf] as DataCf, long, bytes);
  }

  private takeValue(cf: DataCf, long: NonNullable<typeof this.long>, bytes: Uint8Array): void {
    if (bytes.length > long.rest) throw new Damage("a value longer than said");
    long.rest -= bytes.length;
    if (this.visit !== undefined) long.parts.push(bytes.slice());
    this.long = long.rest === 0 ? undefined : long;
    if (long.rest === 0) this.visit?.(cf, long.key, concatBytes(...long.parts));
  }

  private takeEnd(payload: Payload): void {
    const [entries, bytes] = [payload.u64(), payload.u64()];
    payload.mustEnd();
    if (entries !== BigInt(this.entriesCount)) throw new Damage("the number of entries is wrong");
    if (bytes !== BigInt(this.dataBytes)) throw new Damage("the number of bytes is wrong");
    this.ended = true;
  }

  private enterKey(key: Uint8Array, valueBytes: number): void {
    const { startKey, endKey } = this.head.region;
    if (key.length > KEY_MAX_BYTES) throw new Damage(`a key of ${key.length} bytes`);
    if (this.lastKey !== undefined && compareBytes(this.lastKey, key) >= 0) {
      throw new Damage("keys out of order");
    }
    const inside =
      compareBytes(key, startKey) >= 0 && (endKey.length === 0 || compareBytes(key, endKey) < 0);
    if (!inside) throw new Damage("a key outside of the region");
    this.lastKey = key;
    this.entriesCount++;
    this.dataBytes += key.length + valueBytes;
  }
}

/** Reads a payload; throws Damage where it ends too early. */
class Payload {
  private at = 0;
  private readonly view: DataView;

  constructor(private readonly bytes: Uint8Array) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  u32(): number {
    this.need(4);
    this.at += 4;
    return this.view.getUint32(this.at - 4, true);
  }

  u64(): bigint {
    this.need(8);
    this.at += 8;
    return this.view.getBigUint64(this.at - 8, true);
  }

  varint(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      this.need(1);
      const byte = this.bytes[this.at++] as number;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw new Damage("a length has more than five bytes");
  }

  slice(length: number): Uint8Array {
    this.need(length);
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }

  rest(): Uint8Array {
    return this.at === this.bytes.length ? EMPTY_BYTES : this.slice(this.bytes.length - this.at);
  }

  mustEnd(): void {
    if (this.at !== this.bytes.length) throw new Damage("bytes left over");
  }

  private need(length: number): void {
    if (length > this.bytes.length - this.at) throw new Damage("it ends too early");
  }
}
