/**
 * Which records a safe point lets go, a slice of the region at a time. Per key, from the newest
 * version at or below the safe point on: Lock and Rollback records go until a Put or Delete; a Put
 * stays, a Delete goes last, and everything older goes. Locks at or below the safe point are
 * resolved before it is published. Source: tikv src/storage/txn/actions/gc.rs.
 */
import {
  isVersionOf,
  keyAppendTs,
  keyTruncateTs,
  parseWrite,
  WRITE_TYPE,
  type Write,
} from "../codec/index.js";
import { EntryCursor } from "./entry_cursor.js";
import type { Modify } from "./modify.js";
import type { ReadSource } from "./version_scan.js";
import { tsSuffix, versioned } from "./visible.js";

export interface GcRequest {
  /** Encoded; empty = the start of the region. */
  readonly from: Uint8Array;
  /** Encoded, exclusive; empty = the end of the region. */
  readonly upper: Uint8Array;
  readonly safePoint: bigint;
  /** Keys to look at, at most. */
  readonly maxKeys: number;
  /** The slice ends after the record that brings the bytes of records looked at to this or more. */
  readonly maxBytes: number;
}

export interface GcStats {
  keys: number;
  /** Records at or below the safe point that were looked at, and those that go. */
  foundVersions: number;
  deletedVersions: number;
  /** Of keys and values of the write CF that were looked at. */
  bytes: number;
}

/** Records of one key at or below the safe point, and those that go. */
export interface GcKey {
  readonly foundVersions: number;
  readonly deletedVersions: number;
}

export interface GcSlice {
  /** To be written together, before the next slice takes its snapshot. */
  readonly deletes: readonly Modify[];
  /** Encoded: from where the next slice goes on, perhaps in the same key. undefined = the end. */
  readonly nextKey: Uint8Array | undefined;
  readonly stats: Readonly<GcStats>;
  /** What the slice found of each of its keys; a key that it ends in comes again. */
  readonly keys: readonly GcKey[];
}

/** Entries of a cursor's first block. */
const FIRST_BLOCK = 64;

/** Returns what goes in the next slice. The newest version that a read at the safe point sees stays. */
export function gcSlice(source: ReadSource, request: GcRequest): GcSlice {
  const range = { lower: request.from, upper: request.upper };
  const { snapshot, statistics } = source;
  const options = { reverse: false, firstBlock: FIRST_BLOCK };
  const cursor = new EntryCursor(snapshot.cursor("write", range), statistics.write, options);
  try {
    return new Gc(cursor, request).run();
  } finally {
    cursor.close();
  }
}

class Gc {
  private readonly deletes: Modify[] = [];
  private readonly stats: GcStats = { keys: 0, foundVersions: 0, deletedVersions: 0, bytes: 0 };
  private readonly keys: GcKey[] = [];
  private readonly suffix: Uint8Array;

  constructor(
    private readonly cursor: EntryCursor,
    private readonly request: GcRequest,
  ) {
    this.suffix = tsSuffix(request.safePoint);
  }

  run(): GcSlice {
    const { cursor, stats } = this;
    const { maxKeys, maxBytes } = this.request;
    this.cursor.seekToFirst();
    while (cursor.valid) {
      const key = keyTruncateTs(cursor.key);
      const isFull = stats.keys >= maxKeys || stats.bytes >= maxBytes;
      if ((stats.keys > 0 && isFull) || !this.sweepCounted(key)) return this.slice(key);
    }
    return this.slice(undefined);
  }

  private slice(nextKey: Uint8Array | undefined): GcSlice {
    const { deletes, keys, stats } = this;
    return { deletes, nextKey: nextKey?.slice(), stats, keys };
  }

  private sweepCounted(key: Uint8Array): boolean {
    const { deletedVersions, foundVersions } = this.stats;
    const isDone = this.sweep(key);
    this.keys.push({
      foundVersions: this.stats.foundVersions - foundVersions,
      deletedVersions: this.stats.deletedVersions - deletedVersions,
    });
    return isDone;
  }

  /** Goes through the versions of a key. Returns false when the slice ends before they do. */
  private sweep(key: Uint8Array): boolean {
    const { cursor, stats } = this;
    stats.keys++;
    stats.bytes += cursor.key.length + cursor.value.length;
    let below: "idempotent" | "all" = "idempotent";
    let last: { readonly versionedKey: Uint8Array; readonly write: Write } | undefined;
    for (let on = cursor.seek(versioned(key, this.suffix)); on; on = cursor.next()) {
      const versionedKey = cursor.key;
      if (!isVersionOf(versionedKey, key)) break;
      const write = parseWrite(cursor.value);
      stats.foundVersions++;
      stats.bytes += versionedKey.length + cursor.value.length;
      const isData = write.type === WRITE_TYPE.put || write.type === WRITE_TYPE.delete;
      if (below === "idempotent" && isData) {
        below = "all";
        if (write.type === WRITE_TYPE.delete) last = { versionedKey, write };
        continue;
      }
      this.delete(key, versionedKey, write);
      // The Delete stays while something below it does: without it, that would be visible.
      if (stats.bytes >= this.request.maxBytes) return false;
    }
    if (last !== undefined) this.delete(key, last.versionedKey, last.write);
    return true;
  }

  private delete(key: Uint8Array, versionedKey: Uint8Array, write: Write): void {
    this.deletes.push({ cf: "write", key: versionedKey, value: undefined });
    if (write.type === WRITE_TYPE.put && write.shortValue === undefined) {
      const value = keyAppendTs(key, write.startTs);
      this.deletes.push({ cf: "default", key: value, value: undefined });
    }
    this.stats.deletedVersions++;
  }
}
