/**
 * Write records, the values of the write CF: who committed what at the timestamp of the key, or who
 * rolled back. Unknown trailing fields are tolerated as in locks.
 * Source: tikv components/txn_types/src/write.rs.
 *
 *   type(1) · varu64 start_ts · v short value (u8 length) · R overlapped rollback ·
 *   F gc_fence u64 · l last_change (u64, varu64) · S txn_source varu64
 */
import { assert } from "../base/index.js";
import { codecError } from "./error.js";
import {
  LAST_CHANGE_UNKNOWN,
  type LastChange,
  readLastChange,
  SHORT_VALUE_MAX_BYTES,
} from "./lock.js";
import { RecordReader } from "./record_reader.js";
import { RecordWriter } from "./record_writer.js";

/** PERSISTED: do not renumber. */
export const WRITE_TYPE = { put: 0x50, delete: 0x44, lock: 0x4c, rollback: 0x52 } as const;
export type WriteType = (typeof WRITE_TYPE)[keyof typeof WRITE_TYPE];

/** The short value of a rollback record that must not be collapsed. */
const PROTECTED = Uint8Array.of(0x70);

export interface Write {
  readonly type: WriteType;
  readonly startTs: bigint;
  readonly shortValue: Uint8Array | undefined;
  /** This commit also stands for the protected rollback of the transaction with startTs = its commit_ts. */
  readonly hasOverlappedRollback: boolean;
  /** undefined = none; 0n = rewritten, nothing newer then; else the commit_ts of the next newer data. */
  readonly gcFence: bigint | undefined;
  readonly lastChange: LastChange;
  readonly txnSource: bigint;
}

/** Returns a write record with all optional fields absent, changed by `fields`. */
export function newWrite(fields: Pick<Write, "type" | "startTs"> & Partial<Write>): Write {
  return {
    shortValue: undefined,
    hasOverlappedRollback: false,
    gcFence: undefined,
    lastChange: LAST_CHANGE_UNKNOWN,
    txnSource: 0n,
    ...fields,
  };
}

/** Returns a rollback record; a protected one survives later rollbacks of the same key. */
export function newRollback(startTs: bigint, isProtected: boolean): Write {
  const shortValue = isProtected ? PROTECTED : undefined;
  return newWrite({ type: WRITE_TYPE.rollback, startTs, shortValue });
}

/** Whether a record is a rollback that must not be collapsed. */
export function isProtectedRollback({ type, shortValue }: Write): boolean {
  return type === WRITE_TYPE.rollback && shortValue?.length === 1 && shortValue[0] === PROTECTED[0];
}

const tag = (letter: string): number => letter.charCodeAt(0);
const TAG = {
  shortValue: tag("v"),
  overlappedRollback: tag("R"),
  gcFence: tag("F"),
  lastChange: tag("l"),
  txnSource: tag("S"),
} as const;

const WRITE_TYPES: ReadonlySet<number> = new Set(Object.values(WRITE_TYPE));

/** Returns the record of a write. */
export function encodeWrite(write: Write): Uint8Array {
  const { shortValue, gcFence, lastChange, txnSource } = write;
  const out = new RecordWriter().byte(write.type).varU64(write.startTs);
  if (shortValue !== undefined) {
    assert(shortValue.length <= SHORT_VALUE_MAX_BYTES, "a value in a record is short");
    out.byte(TAG.shortValue).byte(shortValue.length).raw(shortValue);
  }
  if (write.hasOverlappedRollback) out.byte(TAG.overlappedRollback);
  if (gcFence !== undefined) out.byte(TAG.gcFence).u64(gcFence);
  if (lastChange.ts !== 0n || lastChange.versions !== 0n) {
    out.byte(TAG.lastChange).u64(lastChange.ts).varU64(lastChange.versions);
  }
  if (txnSource !== 0n) out.byte(TAG.txnSource).varU64(txnSource);
  return out.finish();
}

/**
 * Returns the write of a record; its value is a view of the record. Throws KV:Codec:Io for bytes that
 * are cut or of no known type.
 */
export function parseWrite(record: Uint8Array): Write {
  const reader = new RecordReader(record);
  const type = reader.byte();
  if (!WRITE_TYPES.has(type)) throw codecError("KV:Codec:Io", `a write of unknown type ${type}`);
  const fields: { -readonly [F in keyof Write]: Write[F] } = newWrite({
    type: type as WriteType,
    startTs: reader.varU64(),
  });
  while (!reader.ended && readField(reader, fields));
  return fields;
}

/** Reads one tagged field. Returns false at an unknown tag, where parsing stops. */
function readField(
  reader: RecordReader,
  fields: { -readonly [F in keyof Write]: Write[F] },
): boolean {
  switch (reader.byte()) {
    case TAG.shortValue:
      fields.shortValue = reader.take(reader.byte());
      return true;
    case TAG.overlappedRollback:
      fields.hasOverlappedRollback = true;
      return true;
    case TAG.gcFence:
      fields.gcFence = reader.u64();
      return true;
    case TAG.lastChange:
      fields.lastChange = readLastChange(reader);
      return true;
    case TAG.txnSource:
      fields.txnSource = reader.varU64();
      return true;
    default:
      return false;
  }
}
