/**
 * Reads the records of single keys for commands: locks, versions, who committed what. Cursors are
 * opened when first needed and kept until `close`. Reads at a timestamp for clients are
 * point_getter.ts and the scanners. Source: tikv src/storage/mvcc/reader/reader.rs. Hot path.
 */
import { compareBytes, EMPTY_BYTES } from "../base/index.js";
import {
  isVersionOf,
  keyAppendTs,
  keySplitTs,
  keyTruncateTs,
  keyTs,
  type Lock,
  parseLock,
  parseWrite,
  TS_MAX,
  TS_ZERO,
  WRITE_TYPE,
  type Write,
} from "../codec/index.js";
import { EntryCursor } from "./entry_cursor.js";
import { DefaultNotFoundError } from "./errors.js";
import type { MvccCf, MvccSnapshot } from "./snapshot.js";
import type { Statistics } from "./statistics.js";
import { settleVersion, type Version } from "./visible.js";

/** The commit of another transaction at the start_ts of one that is to be rolled back. */
export interface OverlappedWrite {
  readonly write: Write;
  /** commit_ts of the next newer Put or Delete; 0n = none. */
  readonly gcFence: bigint;
}

/** What the write CF says about a transaction and a key. */
export type TxnCommitRecord =
  /** Its own record: a commit, or a rollback. */
  | { readonly type: "singleRecord"; readonly commitTs: bigint; readonly write: Write }
  /** It was rolled back, and another transaction's commit at its start_ts says so. */
  | { readonly type: "overlappedRollback"; readonly commitTs: bigint }
  | { readonly type: "none"; readonly overlappedWrite: OverlappedWrite | undefined };

/** A stored lock; `key` is encoded. */
export interface KeyedLock {
  readonly key: Uint8Array;
  readonly lock: Lock;
}

/** Locks in key order. With `hasRemaining`, further ones may follow at `nextKey` or behind it. */
export interface ScannedLocks {
  readonly locks: readonly KeyedLock[];
  readonly hasRemaining: boolean;
  /** Encoded; empty without remaining ones. */
  readonly nextKey: Uint8Array;
}

/** The result of a search through a region that may end early. */
export type SeekTsResult =
  | { readonly type: "found"; readonly key: Uint8Array }
  | { readonly type: "none" }
  /** As many entries as allowed were looked at; go on from `nextKey` (versioned). */
  | { readonly type: "more"; readonly nextKey: Uint8Array };

/** Keys are encoded. Close it before its snapshot. */
export class MvccReader {
  private writeCursor: EntryCursor | undefined;
  private lockCursor: EntryCursor | undefined;

  constructor(
    readonly snapshot: MvccSnapshot,
    readonly statistics: Statistics,
  ) {}

  /** Returns the lock of a key, in memory or stored. */
  loadLock(key: Uint8Array): Lock | undefined {
    const inMemory = this.snapshot.memoryLocks?.get(key);
    if (inMemory !== undefined) return inMemory;
    const { lock } = this.statistics;
    lock.get++;
    const first = this.snapshot.firstReads?.of(key);
    const record = first === undefined ? this.snapshot.get("lock", key) : first.lock;
    if (record === undefined) return undefined;
    lock.processedKeys++;
    return parseLock(record);
  }

  /** Returns the newest record with commit_ts <= ts, of any type. */
  seekWrite(key: Uint8Array, ts: bigint): Version | undefined {
    const first = ts === TS_MAX ? this.snapshot.firstReads?.of(key) : undefined;
    if (first !== undefined && first.newest !== "unread") {
      this.statistics.write.seek++;
      const { newest } = first;
      return newest && { commitTs: newest.commitTs, write: parseWrite(newest.record) };
    }
    const cursor = this.writes();
    if (!cursor.seek(keyAppendTs(key, ts)) || !isVersionOf(cursor.key, key)) return undefined;
    return { commitTs: keyTs(cursor.key), write: parseWrite(cursor.value) };
  }

  /**
   * Returns the newest Put with commit_ts <= ts, unless a Delete or a fence hides it.
   * `fenceLimit` is the timestamp up to which fences count; 0n = they do not.
   */
  getWrite(key: Uint8Array, ts: bigint, fenceLimit: bigint = ts): Version | undefined {
    let found = this.seekWrite(key, ts);
    while (found !== undefined) {
      const settled = settleVersion(this, key, found, fenceLimit);
      if (settled !== "older") return settled;
      if (found.commitTs === TS_ZERO) return undefined;
      found = this.seekWrite(key, found.commitTs - 1n);
    }
    return undefined;
  }

  /**
   * Returns what became of the transaction `startTs` on a key. The walk starts at the newest
   * record: a transaction that locks pessimistically may commit above one that started later.
   */
  getTxnCommitRecord(key: Uint8Array, startTs: bigint): TxnCommitRecord {
    let gcFence = 0n;
    let found = this.seekWrite(key, TS_MAX);
    while (found !== undefined) {
      const { commitTs, write } = found;
      if (write.startTs === startTs) return { type: "singleRecord", commitTs, write };
      if (commitTs === startTs) {
        if (write.hasOverlappedRollback) return { type: "overlappedRollback", commitTs };
        return { type: "none", overlappedWrite: { write, gcFence } };
      }
      if (write.type === WRITE_TYPE.put || write.type === WRITE_TYPE.delete) gcFence = commitTs;
      if (commitTs < startTs) break;
      found = this.seekWrite(key, commitTs - 1n);
    }
    return { type: "none", overlappedWrite: undefined };
  }

  /** Returns the value of a Put. Throws DefaultNotFoundError when it is not where it must be. */
  loadData(key: Uint8Array, write: Pick<Write, "startTs" | "shortValue">): Uint8Array {
    if (write.shortValue !== undefined) return write.shortValue;
    const { default: statistics } = this.statistics;
    statistics.get++;
    const value = this.snapshot.get("default", keyAppendTs(key, write.startTs));
    if (value === undefined) throw new DefaultNotFoundError(key, write.startTs);
    statistics.processedKeys++;
    return value;
  }

  /**
   * Returns the locks in `[start, end)`, empty end = +inf, that `filter` takes: at most `limit`
   * (0 = all) after looking at no more than `scannedMax` (0 = all) stored ones.
   */
  scanLocks(
    start: Uint8Array,
    end: Uint8Array,
    filter: (key: Uint8Array, lock: Lock) => boolean,
    limit: number,
    scannedMax = 0,
  ): ScannedLocks {
    const locks: KeyedLock[] = [];
    const cursor = this.locks();
    const memory = this.snapshot.memoryLocks?.range(start, end) ?? [];
    let [memoryAt, scanned] = [0, 0];
    cursor.seek(start);
    for (;;) {
      const stored = cursor.valid && isBelow(cursor.key, end) ? cursor.key : undefined;
      const held = memory[memoryAt];
      if (stored === undefined && held === undefined) break;
      const order = compareOptional(stored, held?.key);
      const key = (order <= 0 ? stored : held?.key) as Uint8Array;
      if ((limit > 0 && locks.length >= limit) || (scannedMax > 0 && scanned >= scannedMax)) {
        return { locks, hasRemaining: true, nextKey: key };
      }
      // A lock in memory hides the stored one of its key.
      const lock = order < 0 ? parseLock(cursor.value) : (held as KeyedLock).lock;
      if (filter(key, lock)) locks.push({ key, lock });
      scanned++;
      if (order >= 0) memoryAt++;
      if (order <= 0) cursor.next();
    }
    this.statistics.lock.processedKeys += locks.length;
    return { locks, hasRemaining: false, nextKey: EMPTY_BYTES };
  }

  /** Returns everything that is stored of a key, newest first. */
  mvccInfo(key: Uint8Array): {
    readonly lock: Lock | undefined;
    readonly writes: readonly Version[];
    readonly values: readonly { readonly startTs: bigint; readonly value: Uint8Array }[];
  } {
    const writes = this.versionsOf("write", key).map(({ ts, value }) => ({
      commitTs: ts,
      write: parseWrite(value),
    }));
    const values = this.versionsOf("default", key).map(({ ts, value }) => ({ startTs: ts, value }));
    return { lock: this.loadLock(key), writes, values };
  }

  /**
   * Searches the region for a record of the transaction `startTs`, from the versioned key `from`
   * on, through at most `scannedMax` entries (0 = all). Returns the first key that it wrote.
   */
  seekTs(startTs: bigint, from: Uint8Array = EMPTY_BYTES, scannedMax = 0): SeekTsResult {
    const cursor = this.writes();
    let scanned = 0;
    for (let on = cursor.seek(from); on; on = cursor.next()) {
      if (scannedMax > 0 && scanned >= scannedMax) return { type: "more", nextKey: cursor.key };
      scanned++;
      if (parseWrite(cursor.value).startTs === startTs) {
        return { type: "found", key: keyTruncateTs(cursor.key).slice() };
      }
    }
    return { type: "none" };
  }

  close(): void {
    this.writeCursor?.close();
    this.lockCursor?.close();
    this.writeCursor = undefined;
    this.lockCursor = undefined;
  }

  private versionsOf(cf: MvccCf, key: Uint8Array): { ts: bigint; value: Uint8Array }[] {
    const cursor = this.open(cf);
    const found: { ts: bigint; value: Uint8Array }[] = [];
    for (let on = cursor.seek(keyAppendTs(key, TS_MAX)); on; on = cursor.next()) {
      if (!isVersionOf(cursor.key, key)) break;
      found.push({ ts: keySplitTs(cursor.key).ts, value: cursor.value });
    }
    cursor.close();
    return found;
  }

  private writes(): EntryCursor {
    this.writeCursor ??= this.open("write");
    return this.writeCursor;
  }

  private locks(): EntryCursor {
    this.lockCursor ??= this.open("lock");
    return this.lockCursor;
  }

  private open(cf: MvccCf): EntryCursor {
    const cursor = this.snapshot.cursor(cf, { lower: EMPTY_BYTES, upper: EMPTY_BYTES });
    return new EntryCursor(cursor, this.statistics.of(cf), { reverse: false, firstBlock: 1 });
  }
}

function isBelow(key: Uint8Array, end: Uint8Array): boolean {
  return end.length === 0 || compareBytes(key, end) < 0;
}

/** Compares two keys of which at least one is there; a missing one is the greatest. */
function compareOptional(a: Uint8Array | undefined, b: Uint8Array | undefined): number {
  if (a === undefined) return 1;
  return b === undefined ? -1 : compareBytes(a, b);
}
