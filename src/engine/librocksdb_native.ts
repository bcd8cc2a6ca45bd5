/**
 * One open librocksdb database: handles, the scratch block that arguments and results pass through,
 * and the translation of RocksDB's error texts. Shared by the engine, its snapshots and iterators;
 * synchronous calls of one thread use the scratch one after the other. Hot path.
 *
 *   scratch   ┌──────┬──────┬──────┬───────────┬──────────────────────────────┐
 *   offset    0 err  8 len  16 u64 24 async err 64 …                 BLOCK_BYTES
 *                                               keys, values, pointer arrays
 */
import { assert, TikvError, utf8Decode } from "../base/index.js";
import { CF_PREFIX } from "./cf.js";
import { addressOf, allocateFixed, type FixedBlock, type Librocksdb } from "./librocksdb_api.js";
import type { CfName } from "./types.js";

const ERROR_AT = 0;
const LENGTH_AT = 8;
const ASYNC_ERROR_AT = 24;
/** First byte that calls may use. */
export const SCRATCH_AT = 64;
export const BLOCK_BYTES = 1 << 20;
const TWO_32 = 0x1_0000_0000;

/** Returns the u64 at a byte offset as a Number; for addresses and lengths. */
export function loadU64(words: Uint32Array, offset: number): number {
  const at = offset >>> 2;
  return (words[at] as number) + (words[at + 1] as number) * TWO_32;
}

/** Stores a Number below 2^53 as u64. */
export function storeU64(words: Uint32Array, offset: number, value: number): void {
  const at = offset >>> 2;
  words[at] = value >>> 0;
  words[at + 1] = Math.floor(value / TWO_32);
}

/** Returns the TikvError for a status text of RocksDB. */
export function statusError(path: string, text: string): TikvError {
  const where = path === "" ? "" : `${path}: `;
  if (/^Corruption/.test(text)) {
    return new TikvError("RUTILE:Engine:Corruption", `${where}${text}`);
  }
  if (/^IO error/.test(text)) return new TikvError("RUTILE:Engine:Io", `${where}${text}`);
  return new TikvError("KV:Engine:Engine", `${where}${text}`);
}

/** Linear memory and its address; a grown memory has another buffer. */
export interface PlacedMemory {
  readonly buffer: ArrayBufferLike;
  readonly address: number;
  readonly words: Uint32Array;
}

/** A key in native memory, with its CF prefix. */
export interface NativeKey {
  readonly address: number;
  readonly length: number;
}

/** See the head of the file. */
export class NativeDatabase {
  readonly api: Librocksdb;
  readonly path: string;
  readonly db: number;
  /** The scratch. Reachable from every pending callback, so it outlives asynchronous calls. */
  readonly block: FixedBlock = allocateFixed(BLOCK_BYTES);
  /** Keeps the bytes of the last oversize key reachable while RocksDB reads them. */
  private readonly spilled: Uint8Array[] = [];
  /** The linear memory seen last. */
  private placed: PlacedMemory | undefined;

  constructor(api: Librocksdb, path: string, db: number) {
    this.api = api;
    this.path = path;
    this.db = db;
  }

  /** Where a synchronous call leaves its error text. */
  get errorAddress(): number {
    return this.block.address + ERROR_AT;
  }

  /** Where a synchronous call leaves a length. */
  get lengthAddress(): number {
    return this.block.address + LENGTH_AT;
  }

  get lengthFound(): number {
    return loadU64(this.block.words, LENGTH_AT);
  }

  /** Throws the error that the last synchronous call left, if any. */
  check(): void {
    const words = this.block.words;
    if (words[0] === 0 && words[1] === 0) return;
    throw this.takeError(ERROR_AT);
  }

  /** As `check`; returns false where the call says that it gave up at a limit. */
  checkComplete(): boolean {
    const words = this.block.words;
    if (words[0] === 0 && words[1] === 0) return true;
    const error = this.takeError(ERROR_AT);
    if (/Result incomplete/.test(error.message)) return false;
    throw error;
  }

  /** Runs a call whose last argument is an error pointer on the thread pool. One at a time. */
  callAsync(name: "rocksdb_write" | "rocksdb_flush_wal", ...args: number[]): Promise<void> {
    const errorAddress = this.block.address + ASYNC_ERROR_AT;
    return new Promise((resolve, reject) => {
      this.api[name].async(...args, errorAddress, (error: Error | null) => {
        if (error !== null) reject(error);
        else if (loadU64(this.block.words, ASYNC_ERROR_AT) !== 0) {
          reject(this.takeError(ASYNC_ERROR_AT));
        } else resolve();
      });
    });
  }

  private takeError(offset: number): TikvError {
    const address = loadU64(this.block.words, offset);
    storeU64(this.block.words, offset, 0);
    const text = takeText(this.api, address);
    return statusError(this.path, text);
  }

  /**
   * Puts the CF prefix and `key` into the scratch block, or elsewhere when they do not fit.
   * Valid until the next use of the scratch block.
   */
  placeKey(cf: CfName, key: Uint8Array): NativeKey {
    const length = key.length + 1;
    if (SCRATCH_AT + length <= BLOCK_BYTES) {
      this.block.bytes[SCRATCH_AT] = CF_PREFIX[cf];
      this.block.bytes.set(key, SCRATCH_AT + 1);
      return { address: this.block.address + SCRATCH_AT, length };
    }
    const spill = new Uint8Array(length);
    spill[0] = CF_PREFIX[cf];
    spill.set(key, 1);
    this.spilled[0] = spill;
    return { address: addressOf(spill), length };
  }

  /** Returns the address of a linear memory; it is looked up once for each buffer. */
  placeMemory(memory: Uint8Array): PlacedMemory {
    let placed = this.placed;
    if (placed === undefined || placed.buffer !== memory.buffer) {
      assert(memory.byteOffset === 0, "linear memory starts at its buffer's start");
      assert(memory.buffer.byteLength % 4 === 0, "linear memory is whole words");
      const words = new Uint32Array(memory.buffer);
      placed = { buffer: memory.buffer, address: addressOf(memory), words };
      this.placed = placed;
    }
    return placed;
  }

  /** Returns a copy of `length` bytes of native memory. */
  copyOut(address: number, length: number): Uint8Array {
    if (length === 0) return new Uint8Array(0);
    if (SCRATCH_AT + length <= BLOCK_BYTES) {
      this.api.memcpy(this.block.address + SCRATCH_AT, address, length);
      return this.block.bytes.slice(SCRATCH_AT, SCRATCH_AT + length);
    }
    const out = new Uint8Array(length);
    this.api.memcpy(addressOf(out), address, length);
    return out;
  }

  /** Reads one key with the given read options. */
  get(readOptions: number, cf: CfName, key: Uint8Array): Uint8Array | undefined {
    const { address, length } = this.placeKey(cf, key);
    const { errorAddress, lengthAddress } = this;
    const value = this.api.rocksdb_get(
      this.db,
      readOptions,
      address,
      length,
      lengthAddress,
      errorAddress,
    );
    this.check();
    if (value === 0) return undefined;
    const out = this.copyOut(value, this.lengthFound);
    this.api.rocksdb_free(value);
    return out;
  }

  /** Returns a property that is a number, 0 when RocksDB does not know it. */
  property(name: string): number {
    // As text: properties with an argument in their name are no integers to RocksDB.
    const value = this.api.rocksdb_property_value(this.db, name);
    return value === 0 ? 0 : Number(takeText(this.api, value));
  }
}

/** Returns a malloc'ed C string of an error and frees it. */
export function takeText(api: Librocksdb, address: number): string {
  // RocksDB puts file names into its messages, so they are longer than paths may be at most.
  const textBytesMax = 8192;
  const copy = new Uint8Array(textBytesMax);
  const length = api.strnlen(address, textBytesMax);
  api.memcpy(addressOf(copy), address, length);
  api.rocksdb_free(address);
  return utf8Decode(copy.subarray(0, length));
}
