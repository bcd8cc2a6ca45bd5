/**
 * Where the last Put or Delete is, for the Lock and pessimistic records written above it.
 * Source: tikv src/storage/txn/actions/common.rs.
 */
import { type LastChange, WRITE_TYPE } from "../../codec/index.js";
import type { MvccReader, Version } from "../../mvcc/index.js";

/** There is no Put or Delete below. */
export const LAST_CHANGE_NONE: LastChange = { ts: 0n, versions: 1n };

/**
 * Returns the last change below a record that the transaction `startTs` would write above a
 * key's newest one. Records of old stores do not know theirs: they are walked.
 */
export function nextLastChange(
  reader: MvccReader,
  key: Uint8Array,
  { commitTs, write }: Version,
  startTs: bigint,
): LastChange {
  if (write.type === WRITE_TYPE.put || write.type === WRITE_TYPE.delete) {
    return { ts: commitTs, versions: 1n };
  }
  const { ts, versions } = write.lastChange;
  if (ts !== 0n) return { ts, versions: versions + 1n };
  if (versions !== 0n) return LAST_CHANGE_NONE;
  const walked = reader.statistics.write.next;
  const found = reader.getWrite(key, commitTs, startTs);
  if (found === undefined) return LAST_CHANGE_NONE;
  return { ts: found.commitTs, versions: BigInt(reader.statistics.write.next - walked) + 1n };
}
