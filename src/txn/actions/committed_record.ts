/**
 * Whether a prewrite that failed comes after its own commit: a client that lost an answer sends
 * its request again, and must not be told of a conflict then. GC ends this memory.
 * Source: tikv src/storage/txn/actions/common.rs.
 */
import { WRITE_TYPE } from "../../codec/index.js";
import type { MvccReader } from "../../mvcc/index.js";

/** Returns the commit_ts of the transaction on an encoded key; undefined: not committed. */
export function committedTsOf(
  reader: MvccReader,
  key: Uint8Array,
  startTs: bigint,
): bigint | undefined {
  const record = reader.getTxnCommitRecord(key, startTs);
  const committed = record.type === "singleRecord" && record.write.type !== WRITE_TYPE.rollback;
  return committed ? record.commitTs : undefined;
}
