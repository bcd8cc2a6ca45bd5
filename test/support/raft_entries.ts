/** Log entries as bytes, by the static protobuf code. */
import { eraftpb } from "../../src/pb/index.js";
import { type Entry, EntryType, entryToWire } from "../../src/raft/index.js";

export { type Entry, EntryType };

/** Returns the bytes of an entry as a log holds them. */
export function encodeEntryForTest(entry: Entry): Uint8Array {
  return eraftpb.Entry.encode(entryToWire(entry)).finish();
}
