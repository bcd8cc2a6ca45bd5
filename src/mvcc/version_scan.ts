/**
 * The seam between what a read finds in the write and lock CF and what is made of it: rows. Two
 * things produce them: the walks of this folder, and the kernel over blocks of raw entries.
 */
import { EMPTY_BYTES } from "../base/index.js";
import { keyAppendTs, keyToRaw, LOCK_TYPE, type Lock, type Write } from "../codec/index.js";
import type { ReadError, ReadPoint } from "./lock_check.js";
import type { MvccSnapshot } from "./snapshot.js";
import type { Statistics } from "./statistics.js";

/** What a read found for one key that has something to tell. `key` is encoded. */
export type VersionRow =
  | {
      readonly type: "value";
      readonly key: Uint8Array;
      readonly commitTs: bigint;
      readonly value: Uint8Array;
    }
  /** The value is in the default CF, at `startTs`. */
  | {
      readonly type: "long";
      readonly key: Uint8Array;
      readonly commitTs: bigint;
      readonly startTs: bigint;
    }
  | { readonly type: "error"; readonly key: Uint8Array; readonly error: ReadError };

/** A key with its value, or with what keeps the read from it. `commitTs` 0n: a lock's value. */
export type ReadPair =
  | { readonly key: Uint8Array; readonly value: Uint8Array; readonly commitTs: bigint }
  | { readonly key: Uint8Array; readonly error: ReadError };

/** What a read works on. */
export interface ReadSource {
  readonly snapshot: MvccSnapshot;
  readonly statistics: Statistics;
}

/** `[lower, upper)` in encoded keys, empty upper = the end of the region. */
export interface ScanRange {
  readonly lower: Uint8Array;
  readonly upper: Uint8Array;
  readonly reverse: boolean;
  /** Values are not wanted; a scan may leave them out of its rows. */
  readonly keyOnly?: boolean;
}

/** A walk through a range that finds the row of each key, in key order or against it. */
export interface VersionScan {
  /** Whether the range is at its end. */
  readonly done: boolean;
  /**
   * Goes on and returns the rows of the next keys: at most `maxRows`, and no further key once
   * about `maxEntries` entries were looked at. No rows and not done: a slice without any.
   */
  step(maxEntries: number, maxRows: number): VersionRow[];
  /** Closes the cursors; before the snapshot, once. */
  close(): void;
}

/** Opens a scan; scanner.ts takes one that suits it. */
export type OpenVersionScan = (
  source: ReadSource,
  range: ScanRange,
  point: ReadPoint,
) => VersionScan;

/** Returns the row of a Put. */
export function rowOfVersion(
  key: Uint8Array,
  { commitTs, write }: { commitTs: bigint; write: Pick<Write, "shortValue" | "startTs"> },
): VersionRow {
  const { shortValue: value, startTs } = write;
  if (value === undefined) return { type: "long", key, commitTs, startTs };
  return { type: "value", key, commitTs, value };
}

/** Returns the row of a lock that is read as committed data; undefined: it deletes the key. */
export function rowOfLock(key: Uint8Array, lock: Lock): VersionRow | undefined {
  if (lock.type !== LOCK_TYPE.put) return undefined;
  return rowOfVersion(key, { commitTs: 0n, write: lock });
}

/** Makes pairs of rows: loads the long values in one batch, or none with `keyOnly`. */
export function pairsOf(
  source: ReadSource,
  rows: readonly VersionRow[],
  keyOnly: boolean,
): ReadPair[] {
  const values = keyOnly ? [] : longValues(source, rows);
  const statistics = source.statistics;
  let next = 0;
  return rows.map((row): ReadPair => {
    const { key } = row;
    if (row.type === "error") return { key, error: row.error };
    const long = row.type === "long" && !keyOnly ? values[next++] : undefined;
    if (row.type === "long" && !keyOnly && long === undefined) {
      return { key, error: { kind: "defaultNotFound", key: keyToRaw(key) } };
    }
    const found = row.type === "value" ? row.value : (long ?? EMPTY_BYTES);
    const value = keyOnly ? EMPTY_BYTES : found;
    statistics.write.processedKeys++;
    statistics.processedSize += key.length + value.length;
    return { key, value, commitTs: row.commitTs };
  });
}

function longValues(
  { snapshot, statistics }: ReadSource,
  rows: readonly VersionRow[],
): (Uint8Array | undefined)[] {
  const keys: Uint8Array[] = [];
  for (const row of rows) if (row.type === "long") keys.push(keyAppendTs(row.key, row.startTs));
  if (keys.length === 0) return [];
  statistics.default.get += keys.length;
  statistics.default.processedKeys += keys.length;
  return snapshot.multiGet("default", keys);
}
