/**
 * Twin of assembly/raft_entry.ts and its specification: eraftpb.Entry and eraftpb.Message between
 * tables and the wire.
 */
import {
  CORRUPT,
  ENTRY_BYTES,
  ENTRY_CONTEXT_LENGTH,
  ENTRY_CONTEXT_PTR,
  ENTRY_DATA_LENGTH,
  ENTRY_DATA_PTR,
  ENTRY_ENCODED_LENGTH,
  ENTRY_ENCODED_PTR,
  ENTRY_INDEX,
  ENTRY_SYNC_LOG,
  ENTRY_TERM,
  ENTRY_TYPE,
  HEADER_ERR_ITEM,
  HEADER_NEEDED,
  HEADER_OUT_END,
  MESSAGE_BYTES,
  MESSAGE_COMMIT,
  MESSAGE_COMMIT_TERM,
  MESSAGE_CONTEXT_LENGTH,
  MESSAGE_CONTEXT_PTR,
  MESSAGE_DEPRECATED_PRIORITY,
  MESSAGE_ENCODED_LENGTH,
  MESSAGE_ENTRY_COUNT,
  MESSAGE_ENTRY_FIRST,
  MESSAGE_FROM,
  MESSAGE_INDEX,
  MESSAGE_LOG_TERM,
  MESSAGE_PRIORITY,
  MESSAGE_REJECT,
  MESSAGE_REJECT_HINT,
  MESSAGE_REQUEST_SNAPSHOT,
  MESSAGE_SNAPSHOT_LENGTH,
  MESSAGE_SNAPSHOT_PTR,
  MESSAGE_TERM,
  MESSAGE_TO,
  MESSAGE_TYPE,
  OUT_FULL,
  SLICE_ABSENT,
  SLICE_BYTES,
} from "../abi.js";
import type { LinearMemory } from "../arena.js";
import { copyBytes, fill, put, putByte, use, word } from "./linear.js";
import {
  high,
  low,
  pos,
  readLength,
  readTag,
  readVarint,
  seek,
  skipField,
  varintSize,
  writeVarint,
  writeVarint64,
} from "./protobuf.js";

/** Varint fields of a Message, beside msg_type and reject, in order of their numbers. */
const VARINT_FIELDS: readonly (readonly [field: number, offset: number])[] = [
  [2, MESSAGE_TO],
  [3, MESSAGE_FROM],
  [4, MESSAGE_TERM],
  [5, MESSAGE_LOG_TERM],
  [6, MESSAGE_INDEX],
  [8, MESSAGE_COMMIT],
  [11, MESSAGE_REJECT_HINT],
  [13, MESSAGE_REQUEST_SNAPSHOT],
  [14, MESSAGE_DEPRECATED_PRIORITY],
  [15, MESSAGE_COMMIT_TERM],
  [16, MESSAGE_PRIORITY],
];
const OFFSETS = new Map(VARINT_FIELDS);

/** High word of an enum's varint: protobuf sends negative ones sign-extended. */
function signOf(value: number): number {
  return (value | 0) < 0 ? 0xffff_ffff : 0;
}

function enumSize(value: number): number {
  return value === 0 ? 0 : 1 + varintSize(value, signOf(value));
}

/** Size of the u64 field at `at`, with a tag of one byte; 0 when it is 0. */
export function u64Size(at: number): number {
  const lowWord = word(at);
  const highWord = word(at + 4);
  return (lowWord | highWord) === 0 ? 0 : 1 + varintSize(lowWord, highWord);
}

function bytesSize(length: number): number {
  return length === 0 ? 0 : 1 + varintSize(length, 0) + length;
}

/** Writes a u64 field unless it is 0. */
export function writeU64(to: number, tag: number, at: number): number {
  const lowWord = word(at);
  const highWord = word(at + 4);
  if ((lowWord | highWord) === 0) return to;
  putByte(to, tag);
  return writeVarint64(to + 1, lowWord, highWord);
}

function writeEnum(to: number, tag: number, value: number): number {
  if (value === 0) return to;
  putByte(to, tag);
  return writeVarint64(to + 1, value, signOf(value));
}

function writeBytes(to: number, tag: number, ptr: number, length: number): number {
  putByte(to, tag);
  return copyBytes(writeVarint(to + 1, length), ptr, length);
}

function writeTrue(to: number, tag: number): number {
  putByte(to, tag);
  putByte(to + 1, 1);
  return to + 2;
}

/** Returns the size of an entry and leaves it in its row. */
export function entrySize(row: number): number {
  if (word(row + ENTRY_ENCODED_PTR) !== 0) return word(row + ENTRY_ENCODED_LENGTH);
  let size = enumSize(word(row + ENTRY_TYPE));
  size += u64Size(row + ENTRY_TERM) + u64Size(row + ENTRY_INDEX);
  size += bytesSize(word(row + ENTRY_DATA_LENGTH));
  if (word(row + ENTRY_SYNC_LOG) !== 0) size += 2;
  size += bytesSize(word(row + ENTRY_CONTEXT_LENGTH));
  put(row + ENTRY_ENCODED_LENGTH, size);
  return size;
}

/** Writes an entry whose size is known; returns the address behind it. */
export function writeEntry(to: number, row: number): number {
  const encoded = word(row + ENTRY_ENCODED_PTR);
  if (encoded !== 0) return copyBytes(to, encoded, word(row + ENTRY_ENCODED_LENGTH));
  let at = writeEnum(to, 0x08, word(row + ENTRY_TYPE));
  at = writeU64(at, 0x10, row + ENTRY_TERM);
  at = writeU64(at, 0x18, row + ENTRY_INDEX);
  const data = word(row + ENTRY_DATA_LENGTH);
  if (data !== 0) at = writeBytes(at, 0x22, word(row + ENTRY_DATA_PTR), data);
  if (word(row + ENTRY_SYNC_LOG) !== 0) at = writeTrue(at, 0x28);
  const context = word(row + ENTRY_CONTEXT_LENGTH);
  return context === 0 ? at : writeBytes(at, 0x32, word(row + ENTRY_CONTEXT_PTR), context);
}

/** Says where the output ends and, unless all is done, what stopped the call. */
function stop(item: number, count: number, end: number, needed: number): number {
  put(HEADER_OUT_END, end);
  if (item === count) return count;
  put(HEADER_ERR_ITEM, item);
  put(HEADER_NEEDED, needed);
  return item === 0 ? OUT_FULL : item;
}

/** Twin of the kernel of this name. */
export function raftEntryEncode(
  memory: LinearMemory,
  rows: number,
  count: number,
  outTable: number,
  out: number,
  outEnd: number,
): number {
  use(memory);
  let to = out;
  for (let item = 0; item < count; item++) {
    const row = rows + item * ENTRY_BYTES;
    const size = entrySize(row);
    if (size > outEnd - to) return stop(item, count, to, size);
    put(outTable + item * SLICE_BYTES, to);
    put(outTable + item * SLICE_BYTES + 4, size);
    to = writeEntry(to, row);
  }
  return stop(count, count, to, 0);
}

/** Fills a row from the entry at [ptr, end); false when it is malformed. */
function decodeEntry(row: number, ptr: number, end: number): boolean {
  fill(row, 0, ENTRY_BYTES);
  put(row + ENTRY_ENCODED_PTR, ptr);
  put(row + ENTRY_ENCODED_LENGTH, end - ptr);
  seek(ptr);
  while (pos < end) {
    if (!readTag(end)) return false;
    const tag = low;
    if (tag === 0x08 || tag === 0x28) {
      if (!readVarint(end)) return false;
      if (tag === 0x08) put(row + ENTRY_TYPE, low);
      else put(row + ENTRY_SYNC_LOG, (low | high) === 0 ? 0 : 1);
    } else if (tag === 0x10 || tag === 0x18) {
      if (!readVarint(end)) return false;
      const at = row + (tag === 0x10 ? ENTRY_TERM : ENTRY_INDEX);
      put(at, low);
      put(at + 4, high);
    } else if (tag === 0x22 || tag === 0x32) {
      if (!readLength(end)) return false;
      const at = row + (tag === 0x22 ? ENTRY_DATA_PTR : ENTRY_CONTEXT_PTR);
      put(at, pos);
      put(at + 4, low);
      seek(pos + low);
    } else if (!skipField(tag, end, 0)) return false;
  }
  return true;
}

/** Twin of the kernel of this name. */
export function raftEntryDecode(
  memory: LinearMemory,
  table: number,
  count: number,
  rows: number,
): number {
  use(memory);
  for (let item = 0; item < count; item++) {
    const ptr = word(table + item * SLICE_BYTES);
    const end = ptr + word(table + item * SLICE_BYTES + 4);
    if (!decodeEntry(rows + item * ENTRY_BYTES, ptr, end)) {
      put(HEADER_ERR_ITEM, item);
      return CORRUPT;
    }
  }
  return count;
}

/** Rows of the entries of a message. */
function entryRows(row: number, entries: number): { first: number; end: number } {
  const first = entries + word(row + MESSAGE_ENTRY_FIRST) * ENTRY_BYTES;
  return { first, end: first + word(row + MESSAGE_ENTRY_COUNT) * ENTRY_BYTES };
}

/** Returns the size of a message and leaves it in its row, and those of its entries in theirs. */
function messageSize(row: number, entries: number): number {
  let size = enumSize(word(row + MESSAGE_TYPE));
  for (const [field, offset] of VARINT_FIELDS) {
    const fieldSize = u64Size(row + offset);
    // The tag of field 16 takes two bytes.
    size += fieldSize !== 0 && field === 16 ? fieldSize + 1 : fieldSize;
  }
  const { first, end } = entryRows(row, entries);
  for (let entry = first; entry < end; entry += ENTRY_BYTES) {
    const entryBytes = entrySize(entry);
    size += 1 + varintSize(entryBytes, 0) + entryBytes;
  }
  const snapshot = word(row + MESSAGE_SNAPSHOT_LENGTH);
  if (snapshot !== SLICE_ABSENT) size += 1 + varintSize(snapshot, 0) + snapshot;
  if (word(row + MESSAGE_REJECT) !== 0) size += 2;
  size += bytesSize(word(row + MESSAGE_CONTEXT_LENGTH));
  put(row + MESSAGE_ENCODED_LENGTH, size);
  return size;
}

/** Writes a message whose size is known; returns the address behind it. */
function writeMessage(to: number, row: number, entries: number): number {
  let at = writeEnum(to, 0x08, word(row + MESSAGE_TYPE));
  at = writeU64(at, 0x10, row + MESSAGE_TO);
  at = writeU64(at, 0x18, row + MESSAGE_FROM);
  at = writeU64(at, 0x20, row + MESSAGE_TERM);
  at = writeU64(at, 0x28, row + MESSAGE_LOG_TERM);
  at = writeU64(at, 0x30, row + MESSAGE_INDEX);
  const { first, end } = entryRows(row, entries);
  for (let entry = first; entry < end; entry += ENTRY_BYTES) {
    putByte(at, 0x3a);
    at = writeEntry(writeVarint(at + 1, word(entry + ENTRY_ENCODED_LENGTH)), entry);
  }
  at = writeU64(at, 0x40, row + MESSAGE_COMMIT);
  const snapshot = word(row + MESSAGE_SNAPSHOT_LENGTH);
  if (snapshot !== SLICE_ABSENT) {
    at = writeBytes(at, 0x4a, word(row + MESSAGE_SNAPSHOT_PTR), snapshot);
  }
  if (word(row + MESSAGE_REJECT) !== 0) at = writeTrue(at, 0x50);
  at = writeU64(at, 0x58, row + MESSAGE_REJECT_HINT);
  const context = word(row + MESSAGE_CONTEXT_LENGTH);
  if (context !== 0) at = writeBytes(at, 0x62, word(row + MESSAGE_CONTEXT_PTR), context);
  at = writeU64(at, 0x68, row + MESSAGE_REQUEST_SNAPSHOT);
  at = writeU64(at, 0x70, row + MESSAGE_DEPRECATED_PRIORITY);
  at = writeU64(at, 0x78, row + MESSAGE_COMMIT_TERM);
  const behind = writeU64(at + 1, 0x01, row + MESSAGE_PRIORITY);
  if (behind === at + 1) return at;
  putByte(at, 0x80);
  return behind;
}

/** Twin of the kernel of this name. */
export function raftMessageEncode(
  memory: LinearMemory,
  messages: number,
  order: number,
  count: number,
  entries: number,
  outTable: number,
  out: number,
  outEnd: number,
): number {
  use(memory);
  let to = out;
  for (let item = 0; item < count; item++) {
    const index = order === 0 ? item : word(order + item * 4);
    const row = messages + index * MESSAGE_BYTES;
    const size = messageSize(row, entries);
    if (size > outEnd - to) return stop(item, count, to, size);
    put(outTable + item * SLICE_BYTES, to);
    put(outTable + item * SLICE_BYTES + 4, size);
    to = writeMessage(to, row, entries);
  }
  return stop(count, count, to, 0);
}

/** Stores the varint field that was read into low and high. */
function onVarint(row: number, field: number): void {
  const offset = OFFSETS.get(field);
  if (offset !== undefined) {
    put(row + offset, low);
    put(row + offset + 4, high);
  } else if (field === 1) put(row + MESSAGE_TYPE, low);
  else if (field === 10) put(row + MESSAGE_REJECT, (low | high) === 0 ? 0 : 1);
}

/** Fills a row from the message at [pos, end); entries beyond `capacity` are counted only. */
function decodeMessage(
  row: number,
  end: number,
  entries: number,
  first: number,
  capacity: number,
): boolean {
  fill(row, 0, MESSAGE_BYTES);
  put(row + MESSAGE_SNAPSHOT_LENGTH, SLICE_ABSENT);
  put(row + MESSAGE_ENTRY_FIRST, first);
  let next = first;
  while (pos < end) {
    if (!readTag(end)) return false;
    const tag = low;
    if ((tag & 7) === 0) {
      if (!readVarint(end)) return false;
      onVarint(row, tag >>> 3);
    } else if (tag === 0x3a || tag === 0x4a || tag === 0x62) {
      if (!readLength(end)) return false;
      const inner = pos + low;
      if (tag === 0x3a) {
        if (next < capacity && !decodeEntry(entries + next * ENTRY_BYTES, pos, inner)) return false;
        next++;
      } else {
        const at = row + (tag === 0x4a ? MESSAGE_SNAPSHOT_PTR : MESSAGE_CONTEXT_PTR);
        put(at, pos);
        put(at + 4, low);
      }
      seek(inner);
    } else if (!skipField(tag, end, 0)) return false;
  }
  put(row + MESSAGE_ENTRY_COUNT, next - first);
  return true;
}

/** Twin of the kernel of this name. */
export function raftMessageDecode(
  memory: LinearMemory,
  table: number,
  count: number,
  messages: number,
  entries: number,
  capacity: number,
): number {
  use(memory);
  let used = 0;
  put(HEADER_OUT_END, entries);
  for (let item = 0; item < count; item++) {
    const ptr = word(table + item * SLICE_BYTES);
    const row = messages + item * MESSAGE_BYTES;
    seek(ptr);
    const end = ptr + word(table + item * SLICE_BYTES + 4);
    if (!decodeMessage(row, end, entries, used, capacity)) {
      put(HEADER_ERR_ITEM, item);
      return CORRUPT;
    }
    const entryCount = word(row + MESSAGE_ENTRY_COUNT);
    if (used + entryCount > capacity) {
      return stop(item, count, entries + used * ENTRY_BYTES, entryCount * ENTRY_BYTES);
    }
    used += entryCount;
    put(HEADER_OUT_END, entries + used * ENTRY_BYTES);
  }
  return count;
}
