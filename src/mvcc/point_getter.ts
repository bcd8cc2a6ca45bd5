/**
 * Reads keys at a timestamp: KvGet and KvBatchGet. Max_ts and the locks in memory are the caller's
 * to check before it takes the snapshot. Source: tikv src/storage/mvcc/reader/point_getter.rs.
 * Hot path.
 */
import { assert, EMPTY_BYTES } from "../base/index.js";
import { isVersionOf, keyAppendTs, keyTs, parseLock, parseWrite, TS_MAX } from "../codec/index.js";
import { EntryCursor } from "./entry_cursor.js";
import { checkTsConflict, type ReadPoint, rcConflict } from "./lock_check.js";
import type { MvccSnapshot } from "./snapshot.js";
import type { Statistics } from "./statistics.js";
import {
  pairsOf,
  type ReadPair,
  type ReadSource,
  rowOfLock,
  rowOfVersion,
  type VersionRow,
} from "./version_scan.js";
import { settleVersion, tsSuffix, versioned } from "./visible.js";

/** Keys are encoded. Close it before its snapshot. */
export class PointGetter {
  private cursor: EntryCursor | undefined;
  private readonly finder: VersionFinder;
  private readonly keyOnly: boolean;

  constructor(
    readonly snapshot: MvccSnapshot,
    readonly statistics: Statistics,
    private readonly point: ReadPoint,
    options: { readonly keyOnly: boolean } = { keyOnly: false },
  ) {
    this.finder = new VersionFinder(this, point);
    this.keyOnly = options.keyOnly;
  }

  /** Returns what the reader sees of a key; undefined = nothing. */
  get(key: Uint8Array): ReadPair | undefined {
    const row = this.row(key);
    return row && pairsOf(this, [row], this.keyOnly)[0];
  }

  /** As `get`, with a long value still to be loaded. */
  row(key: Uint8Array): VersionRow | undefined {
    return this.judge(key, this.checksLocks ? this.snapshot.get("lock", key) : undefined);
  }

  /** As `get` for each key, in the order given; the keys' records are fetched in batches. */
  getMany(keys: readonly Uint8Array[]): (ReadPair | undefined)[] {
    const locks = this.checksLocks ? this.snapshot.multiGet("lock", keys) : [];
    const rows = keys.map((key, i) => this.judge(key, locks[i]));
    const pairs = pairsOf(
      this,
      rows.filter((row) => row !== undefined),
      this.keyOnly,
    );
    let next = 0;
    return rows.map((row) => (row === undefined ? undefined : pairs[next++]));
  }

  close(): void {
    this.cursor?.close();
    this.cursor = undefined;
  }

  private get checksLocks(): boolean {
    return this.point.isolation !== "rc";
  }

  private judge(key: Uint8Array, lockRecord: Uint8Array | undefined): VersionRow | undefined {
    if (this.checksLocks) this.statistics.lock.get++;
    if (lockRecord !== undefined) {
      const found = rowOfLockRecord(this, key, lockRecord, this.point);
      if (found !== "pass") return found;
    }
    this.cursor ??= new EntryCursor(
      this.snapshot.cursor("write", { lower: EMPTY_BYTES, upper: EMPTY_BYTES }),
      this.statistics.write,
      { reverse: false, firstBlock: 1 },
    );
    return this.finder.find(this.cursor, key);
  }
}

/**
 * Judges the stored lock of a key. Returns "pass" when the read goes on to the key's versions,
 * else its row: an error, or what the lock is about to commit (undefined: it deletes the key).
 */
export function rowOfLockRecord(
  { statistics }: ReadSource,
  key: Uint8Array,
  record: Uint8Array,
  point: ReadPoint,
): VersionRow | undefined | "pass" {
  const lock = parseLock(record);
  const check = checkTsConflict(key, lock, point);
  if (check === "pass") return "pass";
  statistics.lock.processedKeys++;
  return check === "readFromLock" ? rowOfLock(key, lock) : { type: "error", key, error: check };
}

/** Finds what a reader sees in the versions of a key, with a forward cursor of the write CF. */
export class VersionFinder {
  private readonly suffix: Uint8Array;

  constructor(
    private readonly source: ReadSource,
    private readonly point: ReadPoint,
  ) {
    assert(point.ts >= 0n, "a read has a timestamp");
    this.suffix = tsSuffix(point.ts);
  }

  /** Returns the row of an encoded key; undefined: there is nothing to see. */
  find(cursor: EntryCursor, key: Uint8Array): VersionRow | undefined {
    const { point } = this;
    if (point.isolation === "rcCheckTs") {
      const newer = this.newerThanRead(cursor, key);
      if (newer !== undefined) return newer;
    }
    let on = cursor.seek(versioned(key, this.suffix));
    while (on && isVersionOf(cursor.key, key)) {
      const version = { commitTs: keyTs(cursor.key), write: parseWrite(cursor.value) };
      const settled = settleVersion(this.source, key, version, point.ts);
      if (settled !== "older") return settled && rowOfVersion(key, settled);
      on = cursor.next();
    }
    return undefined;
  }

  /** A record of any type above the read's timestamp ends an rcCheckTs read. */
  private newerThanRead(cursor: EntryCursor, key: Uint8Array): VersionRow | undefined {
    const { ts } = this.point;
    const found = cursor.seek(keyAppendTs(key, TS_MAX)) && isVersionOf(cursor.key, key);
    const commitTs = found ? keyTs(cursor.key) : 0n;
    if (commitTs <= ts) return undefined;
    const { startTs } = parseWrite(cursor.value);
    return { type: "error", key, error: rcConflict(key, ts, { startTs, commitTs }) };
  }
}
