/**
 * Lock records, the values of the lock CF. Unknown trailing fields are tolerated: parsing stops at
 * the first unknown tag and keeps what it read. Source: tikv components/txn_types/src/lock.rs.
 *
 *   type(1) · compact bytes primary · varu64 start_ts · varu64 ttl · tagged fields, in this order:
 *   v short value (u8 length) · f for_update_ts u64 · t txn_size u64 · c min_commit_ts u64 ·
 *   a async commit (varu64 n, n compact bytes) · r rollback_ts (varu64 n, n u64) ·
 *   l last_change (u64, varu64) · s txn_source varu64 · F locked with conflict · g generation u64
 *
 * A shared lock is a list of the locks of those who share it, in any order:
 *
 *   H · i flags(1), if there are any · h varu64 n, n compact bytes, each a record as above
 */
import { assert } from "../base/index.js";
import { codecError } from "./error.js";
import { RecordReader } from "./record_reader.js";
import { RecordWriter } from "./record_writer.js";

/** PERSISTED: do not renumber. `shared` locks ("H") are parsed, and written by tests alone. */
export const LOCK_TYPE = {
  put: 0x50,
  delete: 0x44,
  lock: 0x4c,
  pessimistic: 0x53,
  shared: 0x48,
} as const;
export type LockType = (typeof LOCK_TYPE)[keyof typeof LOCK_TYPE];

/** Longest value that is kept inside a lock or write record, bytes. */
export const SHORT_VALUE_MAX_BYTES = 255;

/**
 * Where the last Put or Delete below a Lock or Rollback record is. (0, 0) is unknown and not
 * written; (0, > 0) says that there is none; (ts, n) says that it is n versions below, at ts.
 */
export interface LastChange {
  readonly ts: bigint;
  readonly versions: bigint;
}
export const LAST_CHANGE_UNKNOWN: LastChange = { ts: 0n, versions: 0n };

/** A lock. Optional fields that are absent are 0, empty, false or undefined. */
export interface Lock {
  readonly type: LockType;
  /** A user key, not encoded. */
  readonly primary: Uint8Array;
  readonly startTs: bigint;
  /** Milliseconds after the physical part of startTs. */
  readonly ttl: bigint;
  readonly shortValue: Uint8Array | undefined;
  /** Not 0: the transaction is pessimistic. */
  readonly forUpdateTs: bigint;
  readonly txnSize: bigint;
  readonly minCommitTs: bigint;
  readonly useAsyncCommit: boolean;
  /** User keys; on the primary of an async commit only. */
  readonly secondaries: readonly Uint8Array[];
  /** Protected rollbacks of other transactions that this lock's commit record may fall on. */
  readonly rollbackTs: readonly bigint[];
  readonly lastChange: LastChange;
  readonly txnSource: bigint;
  readonly isLockedWithConflict: boolean;
  readonly generation: bigint;
  /** Of a shared lock alone: who shares it. Its other fields are those of the oldest of them. */
  readonly sharedBy?: readonly Lock[];
  /** In memory alone: the lock belongs to a 1PC prewrite under way. Never encoded. */
  readonly useOnePc: boolean;
}

/** Returns a lock with all optional fields absent, changed by `fields`. */
export function newLock(
  fields: Pick<Lock, "type" | "primary" | "startTs" | "ttl"> & Partial<Lock>,
): Lock {
  return {
    shortValue: undefined,
    forUpdateTs: 0n,
    txnSize: 0n,
    minCommitTs: 0n,
    useAsyncCommit: false,
    secondaries: [],
    rollbackTs: [],
    lastChange: LAST_CHANGE_UNKNOWN,
    txnSource: 0n,
    isLockedWithConflict: false,
    generation: 0n,
    useOnePc: false,
    ...fields,
  };
}

const tag = (letter: string): number => letter.charCodeAt(0);
const TAG = {
  shortValue: tag("v"),
  forUpdateTs: tag("f"),
  txnSize: tag("t"),
  minCommitTs: tag("c"),
  asyncCommit: tag("a"),
  rollbackTs: tag("r"),
  lastChange: tag("l"),
  txnSource: tag("s"),
  conflict: tag("F"),
  generation: tag("g"),
  sharedFlags: tag("i"),
  sharedBy: tag("h"),
} as const;

const LOCK_TYPES: ReadonlySet<number> = new Set(Object.values(LOCK_TYPE));

/** Returns the record of a lock. */
export function encodeLock(lock: Lock): Uint8Array {
  if (lock.type === LOCK_TYPE.shared) return encodeShared(lock);
  const { shortValue, secondaries, rollbackTs, lastChange } = lock;
  const out = new RecordWriter().byte(lock.type).compactBytes(lock.primary);
  out.varU64(lock.startTs).varU64(lock.ttl);
  if (shortValue !== undefined) {
    assert(shortValue.length <= SHORT_VALUE_MAX_BYTES, "a value in a record is short");
    out.byte(TAG.shortValue).byte(shortValue.length).raw(shortValue);
  }
  if (lock.forUpdateTs !== 0n) out.byte(TAG.forUpdateTs).u64(lock.forUpdateTs);
  if (lock.txnSize !== 0n) out.byte(TAG.txnSize).u64(lock.txnSize);
  if (lock.minCommitTs !== 0n) out.byte(TAG.minCommitTs).u64(lock.minCommitTs);
  if (lock.useAsyncCommit) {
    out.byte(TAG.asyncCommit).varU64(BigInt(secondaries.length));
    for (const key of secondaries) out.compactBytes(key);
  }
  if (rollbackTs.length > 0) {
    out.byte(TAG.rollbackTs).varU64(BigInt(rollbackTs.length));
    for (const ts of rollbackTs) out.u64(ts);
  }
  if (lastChange.ts !== 0n || lastChange.versions !== 0n) {
    out.byte(TAG.lastChange).u64(lastChange.ts).varU64(lastChange.versions);
  }
  if (lock.txnSource !== 0n) out.byte(TAG.txnSource).varU64(lock.txnSource);
  if (lock.isLockedWithConflict) out.byte(TAG.conflict);
  if (lock.generation !== 0n) out.byte(TAG.generation).u64(lock.generation);
  return out.finish();
}

function encodeShared({ sharedBy, ...lock }: Lock): Uint8Array {
  const locks = sharedBy ?? [{ ...lock, type: LOCK_TYPE.pessimistic }];
  // First: all writers write into one buffer.
  const records = locks.map(encodeLock);
  const out = new RecordWriter().byte(LOCK_TYPE.shared).byte(TAG.sharedBy);
  out.varU64(BigInt(records.length));
  for (const record of records) out.compactBytes(record);
  return out.finish();
}

/** Reads a shared lock behind its type. */
function readShared(reader: RecordReader): Lock {
  const sharedBy: Lock[] = [];
  for (let known = true; known && !reader.ended; ) {
    const field = reader.byte();
    if (field === TAG.sharedFlags) reader.byte();
    else if (field === TAG.sharedBy) {
      for (let left = reader.count(); left > 0; left--) sharedBy.push(readSharer(reader));
    } else known = false;
  }
  const oldest = sharedBy.reduce<Lock | undefined>(
    (least, one) => (least === undefined || one.startTs < least.startTs ? one : least),
    undefined,
  );
  const { primary, startTs, ttl } = oldest ?? NOBODY;
  return { ...newLock({ type: LOCK_TYPE.shared, primary, startTs, ttl }), sharedBy };
}

const NOBODY = { primary: new Uint8Array(0), startTs: 0n, ttl: 0n };

function readSharer(reader: RecordReader): Lock {
  const record = reader.compactBytes();
  if (record[0] === LOCK_TYPE.shared) {
    throw codecError("KV:Codec:Io", "a shared lock inside of a shared lock");
  }
  return parseLock(record);
}

/**
 * Returns the lock of a record; its bytes are views of the record. Throws KV:Codec:Io for bytes that
 * are cut or of no known type.
 */
export function parseLock(record: Uint8Array): Lock {
  const reader = new RecordReader(record);
  const type = reader.byte();
  if (!LOCK_TYPES.has(type)) throw codecError("KV:Codec:Io", `a lock of unknown type ${type}`);
  if (type === LOCK_TYPE.shared) return readShared(reader);
  const primary = reader.compactBytes();
  const startTs = reader.varU64();
  const ttl = reader.ended ? 0n : reader.varU64();
  const fields: { -readonly [F in keyof Lock]: Lock[F] } = newLock({
    type: type as LockType,
    primary,
    startTs,
    ttl,
  });
  while (!reader.ended && readField(reader, fields));
  return fields;
}

/** Reads one tagged field. Returns false at an unknown tag, where parsing stops. */
function readField(
  reader: RecordReader,
  fields: { -readonly [F in keyof Lock]: Lock[F] },
): boolean {
  switch (reader.byte()) {
    case TAG.shortValue:
      fields.shortValue = reader.take(reader.byte());
      return true;
    case TAG.forUpdateTs:
      fields.forUpdateTs = reader.u64();
      return true;
    case TAG.txnSize:
      fields.txnSize = reader.u64();
      return true;
    case TAG.minCommitTs:
      fields.minCommitTs = reader.u64();
      return true;
    case TAG.asyncCommit:
      fields.useAsyncCommit = true;
      fields.secondaries = Array.from({ length: reader.count() }, () => reader.compactBytes());
      return true;
    case TAG.rollbackTs:
      fields.rollbackTs = Array.from({ length: reader.count() }, () => reader.u64());
      return true;
    case TAG.lastChange:
      fields.lastChange = readLastChange(reader);
      return true;
    case TAG.txnSource:
      fields.txnSource = reader.varU64();
      return true;
    case TAG.conflict:
      fields.isLockedWithConflict = true;
      return true;
    case TAG.generation:
      fields.generation = reader.u64();
      return true;
    default:
      return false;
  }
}

/** Reads the two numbers of a last_change field. */
export function readLastChange(reader: RecordReader): LastChange {
  return { ts: reader.u64(), versions: reader.varU64() };
}
