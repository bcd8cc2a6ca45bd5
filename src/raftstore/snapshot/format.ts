/**
 * The stream of a region's data: chunks of at most 1 MiB that keep their bounds on the way, one
 * after the other the bytes of the received file. It is Rutile's own; TiKV's is SST files, and
 * each refuses the other's. Little endian. PERSISTED, and spoken between stores: a change needs a
 * new FORMAT_VERSION.
 *
 *   chunk    0 magic "RSNP" · 4 u16 format version · 6 u8 kind · 7 u8 cf
 *            8 u32 length of the whole chunk · 12 u32 number in the stream, from 0
 *            16 payload … · last 8: u64 XXH64 of all before it
 *   head     u64 region id · term · index · conf ver · version · bytes start key · bytes end key
 *   entries  u32 count · count × (varint key length · varint value length · key · value)
 *   long     varint key length · varint value length · key · first bytes of the value
 *   part     more bytes of that value
 *   end      u64 entries · u64 bytes of keys and values
 *
 * The seed of a chunk's hash is the hash of the chunk before it. So one pass over the bytes finds
 * damage, a missing, doubled or exchanged chunk, and the last hash covers the whole stream; `end`
 * says that nothing is missing behind.
 *
 * Keys are region keys, without the data prefix: per CF ascending, CFs in the order of DATA_CFS.
 * Here: layout and writing. Reading and checking: stream_reader.ts.
 */
import { assert, EMPTY_BYTES } from "../../base/index.js";
import type { CfName } from "../../engine/index.js";
import type { RegionInfo } from "../region.js";
import { xxh64 } from "./hash.js";
import type { SnapKey } from "./types.js";

/** Bytes 52 53 4e 50, "RSNP". */
export const CHUNK_MAGIC = 0x504e_5352;
export const FORMAT_VERSION = 1;
/** No chunk is longer, bytes. */
export const CHUNK_MAX_BYTES = 1 << 20;
/** Bytes after which a chunk of entries is closed: what one turn reads and hashes. A guess. */
export const CHUNK_TARGET_BYTES = 256 << 10;
export const CHUNK_HEADER_BYTES = 16;
export const CHUNK_TRAILER_BYTES = 8;
const PAYLOAD_MAX_BYTES = CHUNK_MAX_BYTES - CHUNK_HEADER_BYTES - CHUNK_TRAILER_BYTES;
/** Two varints and the count in front of an entry. */
const ENTRY_OVERHEAD_BYTES = 16;
/** Keys and values above these are a bug of the writer, and refused by the reader. */
export const KEY_MAX_BYTES = 256 << 10;
export const VALUE_MAX_BYTES = 512 << 20;

// PERSISTED: do not renumber.
export const CHUNK_KIND = { Head: 0, Entries: 1, Long: 2, Part: 3, End: 4 } as const;
export type ChunkKind = (typeof CHUNK_KIND)[keyof typeof CHUNK_KIND];

/** The CFs of a region's data, in the order of the stream; their place is the cf byte. PERSISTED. */
export const DATA_CFS = ["default", "lock", "write"] as const satisfies readonly CfName[];
export type DataCf = (typeof DATA_CFS)[number];

/** Which state of which region a stream holds. */
export interface StreamHead {
  readonly key: SnapKey;
  readonly region: RegionInfo;
}

/** Returns whether an entry has to travel in parts. */
export function isLongEntry(key: Uint8Array, value: Uint8Array): boolean {
  return key.length + value.length + ENTRY_OVERHEAD_BYTES > PAYLOAD_MAX_BYTES / 2;
}

/** Returns the payload of the first chunk: the reader compares it as bytes. */
export function headPayload({ key, region }: StreamHead): Uint8Array {
  const { startKey, endKey } = region;
  const payload = new Uint8Array(5 * 8 + 4 + startKey.length + 4 + endKey.length);
  const view = new DataView(payload.buffer);
  const numbers = [region.id, BigInt(key.term), BigInt(key.index), region.confVer, region.version];
  assert(region.id === BigInt(key.regionId), "a snapshot's key names its region");
  numbers.forEach((number, i) => {
    view.setBigUint64(i * 8, number, true);
  });
  let at = numbers.length * 8;
  for (const bound of [startKey, endKey]) {
    view.setUint32(at, bound.length, true);
    payload.set(bound, at + 4);
    at += 4 + bound.length;
  }
  return payload;
}

/** Makes the chunks of one stream, in order. Each call returns one chunk, the caller's. */
export class StreamWriter {
  private number = 0;
  private hash = 0n;
  private entriesCount = 0;
  private dataBytes = 0;
  /** What is still to come of a long value. */
  private rest = { cf: 0, bytes: EMPTY_BYTES };

  head(head: StreamHead): Uint8Array {
    const payload = headPayload(head);
    return this.chunk(CHUNK_KIND.Head, 0, payload.length, (out, at) => out.set(payload, at));
  }

  /**
   * Writes entries `[from, …)` until CHUNK_TARGET_BYTES are reached, a long entry comes or the
   * lists end; `to` is where the next chunk goes on. Entry `from` is not long.
   */
  entries(
    cf: number,
    keys: readonly Uint8Array[],
    values: readonly Uint8Array[],
    from: number,
  ): { readonly chunk: Uint8Array; readonly to: number } {
    let to = from;
    let length = 4;
    for (; to < keys.length && length < CHUNK_TARGET_BYTES; to++) {
      const [key, value] = [keys[to] as Uint8Array, values[to] as Uint8Array];
      if (isLongEntry(key, value)) break;
      assert(key.length <= KEY_MAX_BYTES, "a key fits into a chunk");
      length += varintBytes(key.length) + varintBytes(value.length) + key.length + value.length;
      this.dataBytes += key.length + value.length;
    }
    assert(to > from, "a chunk of entries is not empty");
    this.entriesCount += to - from;
    const chunk = this.chunk(CHUNK_KIND.Entries, cf, length, (out, start, view) => {
      view.setUint32(start, to - from, true);
      let at = start + 4;
      for (let i = from; i < to; i++) {
        const [key, value] = [keys[i] as Uint8Array, values[i] as Uint8Array];
        at = putVarint(out, putVarint(out, at, key.length), value.length);
        out.set(key, at);
        out.set(value, at + key.length);
        at += key.length + value.length;
      }
    });
    return { chunk, to };
  }

  /** Begins an entry that travels in parts; the caller keeps `value` as it is until the last. */
  long(cf: number, key: Uint8Array, value: Uint8Array): Uint8Array {
    assert(key.length <= KEY_MAX_BYTES, "a key fits into a chunk");
    assert(value.length <= VALUE_MAX_BYTES, "a value of a snapshot has a bound");
    const fixed = varintBytes(key.length) + varintBytes(value.length) + key.length;
    const taken = Math.min(value.length, CHUNK_TARGET_BYTES);
    this.entriesCount++;
    this.dataBytes += key.length + value.length;
    this.rest = { cf, bytes: value.subarray(taken) };
    return this.chunk(CHUNK_KIND.Long, cf, fixed + taken, (out, start) => {
      const at = putVarint(out, putVarint(out, start, key.length), value.length);
      out.set(key, at);
      out.set(value.subarray(0, taken), at + key.length);
    });
  }

  /** Whether `part` has to be called next. */
  get insideLong(): boolean {
    return this.rest.bytes.length > 0;
  }

  /** Writes more of the long value. */
  part(): Uint8Array {
    const { cf, bytes } = this.rest;
    assert(bytes.length > 0, "a part brings bytes");
    const taken = bytes.subarray(0, CHUNK_TARGET_BYTES);
    this.rest = { cf, bytes: bytes.subarray(taken.length) };
    return this.chunk(CHUNK_KIND.Part, cf, taken.length, (out, at) => out.set(taken, at));
  }

  end(): Uint8Array {
    assert(!this.insideLong, "a long value is complete before the end");
    return this.chunk(CHUNK_KIND.End, 0, 16, (_out, at, view) => {
      view.setBigUint64(at, BigInt(this.entriesCount), true);
      view.setBigUint64(at + 8, BigInt(this.dataBytes), true);
    });
  }

  private chunk(
    kind: ChunkKind,
    cf: number,
    payloadBytes: number,
    fill: (out: Uint8Array, at: number, view: DataView) => void,
  ): Uint8Array {
    const length = CHUNK_HEADER_BYTES + payloadBytes + CHUNK_TRAILER_BYTES;
    assert(length <= CHUNK_MAX_BYTES, "a chunk stays within its bound");
    const out = new Uint8Array(length);
    const view = new DataView(out.buffer);
    view.setUint32(0, CHUNK_MAGIC, true);
    view.setUint16(4, FORMAT_VERSION, true);
    out[6] = kind;
    out[7] = cf;
    view.setUint32(8, length, true);
    view.setUint32(12, this.number++, true);
    fill(out, CHUNK_HEADER_BYTES, view);
    const end = length - CHUNK_TRAILER_BYTES;
    this.hash = xxh64(out.subarray(0, end), this.hash);
    view.setBigUint64(end, this.hash, true);
    return out;
  }
}

function varintBytes(value: number): number {
  let bytes = 1;
  for (let rest = value; rest >= 0x80; rest >>>= 7) bytes++;
  return bytes;
}

function putVarint(out: Uint8Array, at: number, value: number): number {
  let rest = value;
  let end = at;
  while (rest >= 0x80) {
    out[end++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  out[end++] = rest;
  return end;
}
