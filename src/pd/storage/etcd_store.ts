/**
 * Keys with revisions, as etcd's KV service shows them: the newest version of each key, in memory in
 * key order and on disk. No history: what a past revision held is not known. Small by design: what
 * clients keep here are owners, safe points and names.
 *
 * Changes happen in memory at once; `commit` hands over what must be written. Whoever reads waits
 * for the writes before him (the caller's part).
 */
import { assert, compareBytes, errorMessage, fromHex, TikvError, toHex } from "../../base/index.js";
import { fromBigInt, mvccpb, toBigInt } from "../../pb/index.js";
import { loadU64, u64Bytes } from "./endpoint/u64_value.js";
import type { Kv, KvChange } from "./kv.js";

/** PERSISTED. Keys are any bytes, paths are text: hex keeps the order. */
const KEY_PREFIX = "/rutile/etcd/kv/";
const REVISION_PATH = "/rutile/etcd/revision";

/** The revision of an etcd that holds nothing. */
const FIRST_REVISION = 1n;

export interface EtcdEntry {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  readonly createRevision: bigint;
  readonly modRevision: bigint;
  /** Puts since the key was made. */
  readonly version: bigint;
}

/** Bounds of the store. */
export interface EtcdLimits {
  readonly keysMax: number;
  /** Of keys and values together. */
  readonly bytesMax: number;
}

export const ETCD_LIMITS: EtcdLimits = { keysMax: 65_536, bytesMax: 64 * 1024 * 1024 };

/** The end that stands for "all keys from the start on". */
const OPEN_END = Uint8Array.of(0);

function sizeOf({ key, value }: EtcdEntry): number {
  return key.length + value.length;
}

export class EtcdStore {
  /** Invariant: in key order, no key twice. */
  private readonly entries: EtcdEntry[] = [];
  private bytes = 0;
  private current: bigint;
  private pending: KvChange[] = [];

  /** Loads what the directory holds. Err KV:Engine:Codec thrown for damaged records. */
  constructor(
    kv: Kv,
    private readonly limits: EtcdLimits = ETCD_LIMITS,
  ) {
    this.current = loadU64(kv, REVISION_PATH) ?? FIRST_REVISION;
    kv.loadPrefix(KEY_PREFIX, (path, bytes) => {
      const entry = decoded(path, bytes);
      this.entries.push(entry);
      this.bytes += sizeOf(entry);
    });
  }

  /** Of the last change; 1 before the first. */
  get revision(): bigint {
    return this.current;
  }

  get count(): number {
    return this.entries.length;
  }

  /**
   * Returns the entries of one key (`end` empty), of `[key, end)`, or from `key` on (`end` is one
   * zero byte; with a `key` of one zero byte: all).
   */
  range(key: Uint8Array, end: Uint8Array): readonly EtcdEntry[] {
    const [from, to] = this.span(key, end);
    return this.entries.slice(from, to);
  }

  /** Returns whether so much more fits. */
  hasRoom(keys: number, bytes: number): boolean {
    const { keysMax, bytesMax } = this.limits;
    return this.entries.length + keys <= keysMax && this.bytes + bytes <= bytesMax;
  }

  /** Sets a key, at the revision that `commit` will end. Returns what was there. */
  put(key: Uint8Array, value: Uint8Array): EtcdEntry | undefined {
    const [at, to] = this.span(key, new Uint8Array(0));
    const old = to > at ? this.entries[at] : undefined;
    const modRevision = this.current + 1n;
    const entry: EtcdEntry = {
      key,
      value,
      createRevision: old?.createRevision ?? modRevision,
      modRevision,
      version: (old?.version ?? 0n) + 1n,
    };
    this.entries.splice(at, to - at, entry);
    this.bytes += sizeOf(entry) - (old === undefined ? 0 : sizeOf(old));
    this.pending.push({ key: KEY_PREFIX + toHex(key), value: encoded(entry) });
    return old;
  }

  /** Removes a range, see `range`. Returns what was there. */
  deleteRange(key: Uint8Array, end: Uint8Array): readonly EtcdEntry[] {
    const [from, to] = this.span(key, end);
    const gone = this.entries.splice(from, to - from);
    for (const entry of gone) {
      this.bytes -= sizeOf(entry);
      this.pending.push({ key: KEY_PREFIX + toHex(entry.key), value: undefined });
    }
    return gone;
  }

  /** Ends a revision, if anything changed; returns what must be written, all of it or nothing. */
  commit(): readonly KvChange[] {
    if (this.pending.length === 0) return [];
    this.current += 1n;
    const changes = [...this.pending, { key: REVISION_PATH, value: u64Bytes(this.current) }];
    this.pending = [];
    return changes;
  }

  private span(key: Uint8Array, end: Uint8Array): [number, number] {
    const from = this.lowerBound(key);
    if (end.length === 0) {
      const found = this.entries[from];
      const isHit = found !== undefined && compareBytes(found.key, key) === 0;
      return [from, isHit ? from + 1 : from];
    }
    if (compareBytes(end, OPEN_END) === 0) return [from, this.entries.length];
    return [from, Math.max(from, this.lowerBound(end))];
  }

  /** The index of the first key that is not below `key`. */
  private lowerBound(key: Uint8Array): number {
    let low = 0;
    let high = this.entries.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const entry = this.entries[middle];
      assert(entry !== undefined, "the middle is inside");
      if (compareBytes(entry.key, key) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function encoded(entry: EtcdEntry): Uint8Array {
  return mvccpb.KeyValue.encode({
    key: entry.key,
    value: entry.value,
    createRevision: fromBigInt(entry.createRevision),
    modRevision: fromBigInt(entry.modRevision),
    version: fromBigInt(entry.version),
  }).finish();
}

function decoded(path: string, bytes: Uint8Array): EtcdEntry {
  try {
    const pair = mvccpb.KeyValue.decode(bytes);
    return {
      key: fromHex(path.slice(KEY_PREFIX.length)),
      value: pair.value,
      createRevision: toBigInt(pair.createRevision),
      modRevision: toBigInt(pair.modRevision),
      version: toBigInt(pair.version),
    };
  } catch (cause) {
    const text = `PD's data is damaged: ${path}: ${errorMessage(cause)}`;
    throw new TikvError("KV:Engine:Codec", text, { cause });
  }
}
