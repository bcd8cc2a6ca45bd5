/**
 * Which record of a key a reader at a timestamp sees, shared by commands and client reads.
 * Source: tikv src/storage/mvcc/reader/{reader,point_getter}.rs, txn_types/src/write.rs. Hot path.
 */
import { assert, EMPTY_BYTES } from "../base/index.js";
import { keyAppendTs, parseWrite, WRITE_TYPE, type Write } from "../codec/index.js";
import { SEEK_BOUND } from "./entry_cursor.js";
import type { MvccSnapshot } from "./snapshot.js";
import type { Statistics } from "./statistics.js";

/** A record of the write CF and the timestamp of its key. */
export interface Version {
  readonly commitTs: bigint;
  readonly write: Write;
}

/**
 * Whether a record that was found as the newest one at `readTs` may be believed. A fence at or
 * below `readTs` says that a newer version was there and is gone: this record came back by itself.
 *
 * Without the fence: T1 commits Put at 10, T2 deletes the key at 20. A protected rollback of the
 * transaction that started at 10 rewrites the record at 10. GC removes both records on one replica
 * and a replica that lags applies the rewrite after its GC: the deleted value would be back.
 */
export function isFenceValid({ gcFence }: Pick<Write, "gcFence">, readTs: bigint): boolean {
  return gcFence === undefined || gcFence === 0n || gcFence > readTs;
}

/**
 * Follows a version to what a reader sees: itself (a Put), undefined (nothing), or "older" when it
 * says nothing about data and the reader walks on below it. Far data is fetched by its last_change.
 * `fenceLimit` is the timestamp up to which fences count; 0n = they do not.
 */
export function settleVersion(
  source: { readonly snapshot: MvccSnapshot; readonly statistics: Statistics },
  key: Uint8Array,
  version: Version,
  fenceLimit: bigint,
): Version | undefined | "older" {
  const { write } = version;
  if (!isFenceValid(write, fenceLimit)) return undefined;
  if (write.type === WRITE_TYPE.put) return version;
  if (write.type === WRITE_TYPE.delete) return undefined;
  const { ts, versions } = write.lastChange;
  if (ts === 0n) return versions > 0n ? undefined : "older";
  if (versions < BigInt(SEEK_BOUND)) return "older";
  const data = dataAt(source, key, ts);
  return data === undefined ? undefined : settleVersion(source, key, data, fenceLimit);
}

/** The data record that a last_change points to; undefined when GC took it. */
function dataAt(
  source: { readonly snapshot: MvccSnapshot; readonly statistics: Statistics },
  key: Uint8Array,
  commitTs: bigint,
): Version | undefined {
  source.statistics.write.get++;
  const record = source.snapshot.get("write", keyAppendTs(key, commitTs));
  if (record === undefined) return undefined;
  const write = parseWrite(record);
  assert(
    write.type === WRITE_TYPE.put || write.type === WRITE_TYPE.delete,
    "last_change points to a Put or Delete",
  );
  return { commitTs, write };
}

/** Returns the bytes that stand behind the encoded key of a version at `ts`. */
export function tsSuffix(ts: bigint): Uint8Array {
  return keyAppendTs(EMPTY_BYTES, ts);
}

/** Returns `key` followed by `suffix`. */
export function versioned(key: Uint8Array, suffix: Uint8Array): Uint8Array {
  const out = new Uint8Array(key.length + suffix.length);
  out.set(key);
  out.set(suffix, key.length);
  return out;
}
