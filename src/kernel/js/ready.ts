/**
 * Twin of assembly/ready.ts and its specification: Readies to one WriteBatch, messages to groups by
 * target store.
 */
import {
  CF_RAFT_PREFIX,
  CORRUPT,
  ENTRY_BYTES,
  ENTRY_ENCODED_LENGTH,
  ENTRY_INDEX,
  HEADER_ERR_ITEM,
  HEADER_NEEDED,
  HEADER_OUT_END,
  OUT_FULL,
  RAFT_LOG_KEY_BYTES,
  RAFT_STATE_KEY_BYTES,
  READY_APPLY_STATE,
  READY_BYTES,
  READY_COMMIT,
  READY_CUT_DELETES_MAX,
  READY_CUT_FROM,
  READY_CUT_TO,
  READY_ENTRY_COUNT,
  READY_ENTRY_FIRST,
  READY_FLAGS,
  READY_LAST_INDEX,
  READY_RAFT_STATE,
  READY_REGION_ID,
  READY_REGION_STATE,
  READY_SNAPSHOT,
  READY_SNAPSHOT_RAFT_STATE,
  READY_TERM,
  READY_VOTE,
  WRITE_BATCH_COUNT_OFFSET,
  WRITE_BATCH_DELETE,
  WRITE_BATCH_DELETE_RANGE,
  WRITE_BATCH_HEADER,
  WRITE_BATCH_PUT,
} from "../abi.js";
import type { LinearMemory } from "../arena.js";
import { copyBytes, fill, put, putByte, putU32Be, use, word } from "./linear.js";
import { varintSize, writeVarint } from "./protobuf.js";
import { entrySize, u64Size, writeEntry, writeU64 } from "./raft_entry.js";

const WORD = 0x1_0000_0000;

/** Log indexes that a row cuts; negative when the cut ends before it starts. Exact below 2^53. */
function cutOf(row: number): number {
  const highs = word(row + READY_CUT_TO + 4) - word(row + READY_CUT_FROM + 4);
  return highs * WORD + word(row + READY_CUT_TO) - word(row + READY_CUT_FROM);
}

function putSize(key: number, value: number): number {
  return 2 + key + varintSize(value, 0) + value;
}

function hardStateSize(row: number): number {
  return u64Size(row + READY_TERM) + u64Size(row + READY_VOTE) + u64Size(row + READY_COMMIT);
}

function raftStateSize(row: number): number {
  return 2 + hardStateSize(row) + u64Size(row + READY_LAST_INDEX);
}

/** Rows of the entries of a Ready. */
function entryRows(row: number, entries: number): { first: number; end: number } {
  const first = entries + word(row + READY_ENTRY_FIRST) * ENTRY_BYTES;
  return { first, end: first + word(row + READY_ENTRY_COUNT) * ENTRY_BYTES };
}

/** Bytes of records that a row makes; sizes of its entries are left in theirs. */
function recordsSize(row: number, entries: number): number {
  const cut = cutOf(row);
  let size = cut * (2 + RAFT_LOG_KEY_BYTES);
  if (cut > READY_CUT_DELETES_MAX) size = 3 + 2 * RAFT_LOG_KEY_BYTES;
  const { first, end } = entryRows(row, entries);
  for (let entry = first; entry < end; entry += ENTRY_BYTES) {
    size += putSize(RAFT_LOG_KEY_BYTES, entrySize(entry));
  }
  const flags = word(row + READY_FLAGS);
  if ((flags & READY_RAFT_STATE) !== 0) size += putSize(RAFT_STATE_KEY_BYTES, raftStateSize(row));
  if ((flags & READY_SNAPSHOT) !== 0) {
    size += putSize(RAFT_STATE_KEY_BYTES, word(row + READY_REGION_STATE + 4));
    size += putSize(RAFT_STATE_KEY_BYTES, word(row + READY_APPLY_STATE + 4));
    size += putSize(RAFT_STATE_KEY_BYTES, word(row + READY_SNAPSHOT_RAFT_STATE + 4));
  }
  return size;
}

/** Writes length and bytes of a key up to its suffix; returns the address behind it. */
function writeKey(to: number, length: number, kind: number, row: number, suffix: number): number {
  putByte(to, length);
  putByte(to + 1, CF_RAFT_PREFIX);
  putByte(to + 2, 0x01);
  putByte(to + 3, kind);
  putU32Be(to + 4, word(row + READY_REGION_ID + 4));
  putU32Be(to + 8, word(row + READY_REGION_ID));
  putByte(to + 12, suffix);
  return to + 13;
}

/** Writes length and bytes of the key of a log entry; returns the address behind it. */
function writeLogKey(to: number, row: number, lowIndex: number, highIndex: number): number {
  const at = writeKey(to, RAFT_LOG_KEY_BYTES, 0x02, row, 0x01);
  putU32Be(at, highIndex);
  putU32Be(at + 4, lowIndex);
  return at + 8;
}

/** Writes the deletion of log indexes [from, to); returns the address behind. */
function writeCut(to: number, row: number): number {
  const cut = cutOf(row);
  let lowIndex = word(row + READY_CUT_FROM);
  let highIndex = word(row + READY_CUT_FROM + 4);
  let at = to;
  if (cut > READY_CUT_DELETES_MAX) {
    putByte(at, WRITE_BATCH_DELETE_RANGE);
    at = writeLogKey(at + 1, row, lowIndex, highIndex);
    return writeLogKey(at, row, word(row + READY_CUT_TO), word(row + READY_CUT_TO + 4));
  }
  for (let i = 0; i < cut; i++) {
    putByte(at, WRITE_BATCH_DELETE);
    at = writeLogKey(at + 1, row, lowIndex, highIndex);
    lowIndex = (lowIndex + 1) >>> 0;
    if (lowIndex === 0) highIndex++;
  }
  return at;
}

/** Writes the put of a state whose slice lies at `slice`. */
function writeState(to: number, row: number, kind: number, suffix: number, slice: number): number {
  putByte(to, WRITE_BATCH_PUT);
  const at = writeKey(to + 1, RAFT_STATE_KEY_BYTES, kind, row, suffix);
  const length = word(slice + 4);
  return copyBytes(writeVarint(at, length), word(slice), length);
}

/** Writes the put of the RaftLocalState: its hard state always, last_index unless it is 0. */
function writeRaftState(to: number, row: number): number {
  putByte(to, WRITE_BATCH_PUT);
  let at = writeKey(to + 1, RAFT_STATE_KEY_BYTES, 0x02, row, 0x02);
  at = writeVarint(at, raftStateSize(row));
  putByte(at, 0x0a);
  putByte(at + 1, hardStateSize(row));
  at = writeU64(at + 2, 0x08, row + READY_TERM);
  at = writeU64(at, 0x10, row + READY_VOTE);
  at = writeU64(at, 0x18, row + READY_COMMIT);
  return writeU64(at, 0x10, row + READY_LAST_INDEX);
}

/** Writes the records of a row; returns the address behind. */
function writeRecords(to: number, row: number, entries: number): number {
  let at = writeCut(to, row);
  const { first, end } = entryRows(row, entries);
  for (let entry = first; entry < end; entry += ENTRY_BYTES) {
    putByte(at, WRITE_BATCH_PUT);
    at = writeLogKey(at + 1, row, word(entry + ENTRY_INDEX), word(entry + ENTRY_INDEX + 4));
    at = writeEntry(writeVarint(at, word(entry + ENTRY_ENCODED_LENGTH)), entry);
  }
  const flags = word(row + READY_FLAGS);
  if ((flags & READY_RAFT_STATE) !== 0) at = writeRaftState(at, row);
  if ((flags & READY_SNAPSHOT) === 0) return at;
  at = writeState(at, row, 0x03, 0x01, row + READY_REGION_STATE);
  at = writeState(at, row, 0x02, 0x03, row + READY_APPLY_STATE);
  return writeState(at, row, 0x02, 0x04, row + READY_SNAPSHOT_RAFT_STATE);
}

/** Records that a row makes. */
function recordsCount(row: number): number {
  const cut = cutOf(row);
  const flags = word(row + READY_FLAGS);
  let count = word(row + READY_ENTRY_COUNT) + (cut > READY_CUT_DELETES_MAX ? 1 : cut);
  if ((flags & READY_RAFT_STATE) !== 0) count += 1;
  if ((flags & READY_SNAPSHOT) !== 0) count += 3;
  return count;
}

/** Twin of the kernel of this name. */
export function readyBatch(
  memory: LinearMemory,
  rows: number,
  count: number,
  entries: number,
  out: number,
  outEnd: number,
): number {
  use(memory);
  if (outEnd - out < WRITE_BATCH_HEADER) {
    put(HEADER_OUT_END, out);
    put(HEADER_ERR_ITEM, 0);
    put(HEADER_NEEDED, WRITE_BATCH_HEADER);
    return OUT_FULL;
  }
  let to = out + WRITE_BATCH_HEADER;
  let records = 0;
  let code = count;
  for (let item = 0; item < count; item++) {
    const row = rows + item * READY_BYTES;
    if (cutOf(row) < 0) {
      put(HEADER_ERR_ITEM, item);
      code = CORRUPT;
      break;
    }
    const size = recordsSize(row, entries);
    if (size > outEnd - to) {
      put(HEADER_ERR_ITEM, item);
      put(HEADER_NEEDED, WRITE_BATCH_HEADER + size);
      code = item === 0 ? OUT_FULL : item;
      break;
    }
    to = writeRecords(to, row, entries);
    records += recordsCount(row);
  }
  fill(out, 0, WRITE_BATCH_COUNT_OFFSET);
  // The batch may start at any address.
  memory.view.setUint32(out + WRITE_BATCH_COUNT_OFFSET, records, true);
  put(HEADER_OUT_END, to);
  return code;
}

/** Twin of the kernel of this name. */
export function readyGroup(
  memory: LinearMemory,
  targets: number,
  count: number,
  stores: number,
  offsets: number,
  order: number,
): number {
  use(memory);
  fill(offsets, 0, (stores + 1) * 4);
  for (let item = 0; item < count; item++) {
    const target = word(targets + item * 4);
    if (target >= stores) {
      put(HEADER_ERR_ITEM, item);
      return CORRUPT;
    }
    // One group further on: what is summed up below is then where each group starts.
    const at = offsets + (target + 1) * 4;
    put(at, word(at) + 1);
  }
  for (let group = 1; group <= stores; group++) {
    put(offsets + group * 4, word(offsets + group * 4) + word(offsets + (group - 1) * 4));
  }
  const next = memory.u32.slice(offsets >>> 2, (offsets >>> 2) + stores);
  for (let item = 0; item < count; item++) {
    const target = word(targets + item * 4);
    const place = next[target] as number;
    put(order + place * 4, item);
    next[target] = place + 1;
  }
  return count;
}
