/**
 * Raft log entries and messages (eraftpb.Entry, eraftpb.Message) between tables and the wire;
 * layouts in raft_abi.ts. Hot path. Twin: src/kernel/js/raft_entry.ts.
 * Not here: eraftpb.Snapshot, whose bytes pass unread, and the RaftMessage around a message.
 */
import { CORRUPT, OUT_FULL, SLICE_ABSENT } from "./abi";
import { setErrItem, setNeeded, setOutEnd } from "./arena";
import { setSlice, sliceLength, slicePtr, sliceRow } from "./block";
import { copyBytes } from "./bytes";
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
} from "./protobuf";
import {
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
} from "./raft_abi";

// @ts-ignore: decorator
@inline
/** High word of an enum's varint: protobuf sends negative ones sign-extended. */
function signOf(value: u32): u32 {
  return <u32>((<i32>value) >> 31);
}

// @ts-ignore: decorator
@inline
/** Size of an enum field whose tag takes one byte; 0 when it is 0. */
function enumSize(value: u32): u32 {
  return value == 0 ? 0 : 1 + varintSize(value, signOf(value));
}

// @ts-ignore: decorator
@inline
/** Size of the u64 field at `at`, with a tag of one byte; 0 when it is 0. */
export function u64Size(at: usize): u32 {
  const lowWord = load<u32>(at);
  const highWord = load<u32>(at, 4);
  return (lowWord | highWord) == 0 ? 0 : 1 + varintSize(lowWord, highWord);
}

// @ts-ignore: decorator
@inline
/** Size of a bytes field of that length, with a tag of one byte; 0 when it is empty. */
function bytesSize(length: u32): u32 {
  return length == 0 ? 0 : 1 + varintSize(length, 0) + length;
}

// @ts-ignore: decorator
@inline
/** Writes a u64 field unless it is 0. */
export function writeU64(to: usize, tag: u32, at: usize): usize {
  const lowWord = load<u32>(at);
  const highWord = load<u32>(at, 4);
  if ((lowWord | highWord) == 0) return to;
  store<u8>(to, tag);
  return writeVarint64(to + 1, lowWord, highWord);
}

/** Writes an enum field unless it is 0. */
function writeEnum(to: usize, tag: u32, value: u32): usize {
  if (value == 0) return to;
  store<u8>(to, tag);
  return writeVarint64(to + 1, value, signOf(value));
}

// @ts-ignore: decorator
@inline
/** Writes a bytes field, also an empty one. */
function writeBytes(to: usize, tag: u32, ptr: usize, length: u32): usize {
  store<u8>(to, tag);
  to = writeVarint(to + 1, length);
  return copyBytes(to, ptr, length);
}

/** Returns the size of an entry and leaves it in its row. */
export function entrySize(row: usize): u32 {
  if (load<u32>(row, ENTRY_ENCODED_PTR) != 0) return load<u32>(row, ENTRY_ENCODED_LENGTH);
  let size = enumSize(load<u32>(row, ENTRY_TYPE));
  size += u64Size(row + ENTRY_TERM) + u64Size(row + ENTRY_INDEX);
  size += bytesSize(load<u32>(row, ENTRY_DATA_LENGTH));
  if (load<u32>(row, ENTRY_SYNC_LOG) != 0) size += 2;
  size += bytesSize(load<u32>(row, ENTRY_CONTEXT_LENGTH));
  store<u32>(row, size, ENTRY_ENCODED_LENGTH);
  return size;
}

/** Writes an entry whose size is known; returns the address behind it. */
export function writeEntry(to: usize, row: usize): usize {
  const encoded = <usize>load<u32>(row, ENTRY_ENCODED_PTR);
  if (encoded != 0) return copyBytes(to, encoded, load<u32>(row, ENTRY_ENCODED_LENGTH));
  to = writeEnum(to, 0x08, load<u32>(row, ENTRY_TYPE));
  to = writeU64(to, 0x10, row + ENTRY_TERM);
  to = writeU64(to, 0x18, row + ENTRY_INDEX);
  const dataLength = load<u32>(row, ENTRY_DATA_LENGTH);
  if (dataLength != 0) to = writeBytes(to, 0x22, load<u32>(row, ENTRY_DATA_PTR), dataLength);
  if (load<u32>(row, ENTRY_SYNC_LOG) != 0) {
    store<u16>(to, 0x0128);
    to += 2;
  }
  const contextLength = load<u32>(row, ENTRY_CONTEXT_LENGTH);
  if (contextLength == 0) return to;
  return writeBytes(to, 0x32, load<u32>(row, ENTRY_CONTEXT_PTR), contextLength);
}

/**
 * Encodes `count` entries one behind the other; outTable gets their slices. Returns entries done;
 * OUT_FULL when the first does not fit.
 */
export function raftEntryEncode(
  rows: usize,
  count: i32,
  outTable: usize,
  out: usize,
  outEnd: usize,
): i32 {
  let to = out;
  for (let item = 0; item < count; item++) {
    const row = rows + <usize>item * ENTRY_BYTES;
    const size = <usize>entrySize(row);
    if (size > outEnd - to) {
      setNeeded(item, size);
      setOutEnd(to);
      return item == 0 ? OUT_FULL : item;
    }
    setSlice(sliceRow(outTable, item), to, size);
    to = writeEntry(to, row);
  }
  setOutEnd(to);
  return count;
}

/** Fills a row from the entry at [ptr, end); false when it is malformed. */
function decodeEntry(row: usize, ptr: usize, end: usize): bool {
  memory.fill(row, 0, ENTRY_BYTES);
  store<u32>(row, <u32>ptr, ENTRY_ENCODED_PTR);
  store<u32>(row, <u32>(end - ptr), ENTRY_ENCODED_LENGTH);
  seek(ptr);
  while (pos < end) {
    if (!readTag(end)) return false;
    const tag = low;
    if (tag == 0x08 || tag == 0x28) {
      if (!readVarint(end)) return false;
      if (tag == 0x08) store<u32>(row, low, ENTRY_TYPE);
      else store<u32>(row, <u32>((low | high) != 0), ENTRY_SYNC_LOG);
    } else if (tag == 0x10 || tag == 0x18) {
      if (!readVarint(end)) return false;
      const at = row + <usize>(tag == 0x10 ? ENTRY_TERM : ENTRY_INDEX);
      store<u32>(at, low);
      store<u32>(at, high, 4);
    } else if (tag == 0x22 || tag == 0x32) {
      if (!readLength(end)) return false;
      const at = row + <usize>(tag == 0x22 ? ENTRY_DATA_PTR : ENTRY_CONTEXT_PTR);
      setSlice(at, pos, low);
      seek(pos + <usize>low);
    } else if (!skipField(tag, end, 0)) return false;
  }
  return true;
}

/** Decodes the entries of a slice table into rows. Returns count, or CORRUPT with the item. */
export function raftEntryDecode(table: usize, count: i32, rows: usize): i32 {
  for (let item = 0; item < count; item++) {
    const slice = sliceRow(table, item);
    const ptr = slicePtr(slice);
    if (!decodeEntry(rows + <usize>item * ENTRY_BYTES, ptr, ptr + sliceLength(slice))) {
      setErrItem(item);
      return CORRUPT;
    }
  }
  return count;
}

/** Returns the size of a message and leaves it in its row, and those of its entries in theirs. */
function messageSize(row: usize, entries: usize): u32 {
  let size = enumSize(load<u32>(row, MESSAGE_TYPE));
  for (let at = row + MESSAGE_TO; at < row + MESSAGE_PRIORITY; at += 8) size += u64Size(at);
  const priority = u64Size(row + MESSAGE_PRIORITY);
  // The tag of field 16 takes two bytes.
  if (priority != 0) size += priority + 1;
  const first = <usize>load<u32>(row, MESSAGE_ENTRY_FIRST);
  const count = <usize>load<u32>(row, MESSAGE_ENTRY_COUNT);
  let entry = entries + first * ENTRY_BYTES;
  for (const end = entry + count * ENTRY_BYTES; entry < end; entry += ENTRY_BYTES) {
    const entryBytes = entrySize(entry);
    size += 1 + varintSize(entryBytes, 0) + entryBytes;
  }
  const snapshot = load<u32>(row, MESSAGE_SNAPSHOT_LENGTH);
  if (snapshot != SLICE_ABSENT) size += 1 + varintSize(snapshot, 0) + snapshot;
  if (load<u32>(row, MESSAGE_REJECT) != 0) size += 2;
  size += bytesSize(load<u32>(row, MESSAGE_CONTEXT_LENGTH));
  store<u32>(row, size, MESSAGE_ENCODED_LENGTH);
  return size;
}

/** Writes a message whose size is known; returns the address behind it. */
function writeMessage(to: usize, row: usize, entries: usize): usize {
  to = writeEnum(to, 0x08, load<u32>(row, MESSAGE_TYPE));
  to = writeU64(to, 0x10, row + MESSAGE_TO);
  to = writeU64(to, 0x18, row + MESSAGE_FROM);
  to = writeU64(to, 0x20, row + MESSAGE_TERM);
  to = writeU64(to, 0x28, row + MESSAGE_LOG_TERM);
  to = writeU64(to, 0x30, row + MESSAGE_INDEX);
  const first = <usize>load<u32>(row, MESSAGE_ENTRY_FIRST);
  const count = <usize>load<u32>(row, MESSAGE_ENTRY_COUNT);
  let entry = entries + first * ENTRY_BYTES;
  for (const end = entry + count * ENTRY_BYTES; entry < end; entry += ENTRY_BYTES) {
    store<u8>(to, 0x3a);
    to = writeVarint(to + 1, load<u32>(entry, ENTRY_ENCODED_LENGTH));
    to = writeEntry(to, entry);
  }
  to = writeU64(to, 0x40, row + MESSAGE_COMMIT);
  const snapshot = load<u32>(row, MESSAGE_SNAPSHOT_LENGTH);
  if (snapshot != SLICE_ABSENT) {
    to = writeBytes(to, 0x4a, load<u32>(row, MESSAGE_SNAPSHOT_PTR), snapshot);
  }
  if (load<u32>(row, MESSAGE_REJECT) != 0) {
    store<u16>(to, 0x0150);
    to += 2;
  }
  to = writeU64(to, 0x58, row + MESSAGE_REJECT_HINT);
  const context = load<u32>(row, MESSAGE_CONTEXT_LENGTH);
  if (context != 0) to = writeBytes(to, 0x62, load<u32>(row, MESSAGE_CONTEXT_PTR), context);
  to = writeU64(to, 0x68, row + MESSAGE_REQUEST_SNAPSHOT);
  to = writeU64(to, 0x70, row + MESSAGE_DEPRECATED_PRIORITY);
  to = writeU64(to, 0x78, row + MESSAGE_COMMIT_TERM);
  const lowWord = load<u32>(row, MESSAGE_PRIORITY);
  const highWord = load<u32>(row, MESSAGE_PRIORITY + 4);
  if ((lowWord | highWord) == 0) return to;
  store<u16>(to, 0x0180);
  return writeVarint64(to + 2, lowWord, highWord);
}

/**
 * Encodes `count` messages one behind the other, those that `order` (u32 indexes, 0: as they lie)
 * names; outTable gets their slices. Returns messages done; OUT_FULL when the first does not fit.
 */
export function raftMessageEncode(
  messages: usize,
  order: usize,
  count: i32,
  entries: usize,
  outTable: usize,
  out: usize,
  outEnd: usize,
): i32 {
  let to = out;
  for (let item = 0; item < count; item++) {
    const index = order == 0 ? <u32>item : load<u32>(order + (<usize>item << 2));
    const row = messages + <usize>index * MESSAGE_BYTES;
    const size = <usize>messageSize(row, entries);
    if (size > outEnd - to) {
      setNeeded(item, size);
      setOutEnd(to);
      return item == 0 ? OUT_FULL : item;
    }
    setSlice(sliceRow(outTable, item), to, size);
    to = writeMessage(to, row, entries);
  }
  setOutEnd(to);
  return count;
}

/** Offset of a varint field in a row; -1 for a field that is none. */
function offsetOf(field: u32): i32 {
  if (field >= 2 && field <= 6) return MESSAGE_TO + <i32>(field - 2) * 8;
  switch (field) {
    case 8:
      return MESSAGE_COMMIT;
    case 11:
      return MESSAGE_REJECT_HINT;
    case 13:
      return MESSAGE_REQUEST_SNAPSHOT;
    case 14:
      return MESSAGE_DEPRECATED_PRIORITY;
    case 15:
      return MESSAGE_COMMIT_TERM;
    case 16:
      return MESSAGE_PRIORITY;
    default:
      return -1;
  }
}

/** Stores the varint field that was read into low and high. */
function onVarint(row: usize, field: u32): void {
  const offset = offsetOf(field);
  if (offset >= 0) {
    store<u32>(row + <usize>offset, low);
    store<u32>(row + <usize>offset, high, 4);
  } else if (field == 1) store<u32>(row, low, MESSAGE_TYPE);
  else if (field == 10) store<u32>(row, <u32>((low | high) != 0), MESSAGE_REJECT);
}

/**
 * Fills a row from the message at [pos, end); its entries go to rows `first`.. as far as there are
 * any below `capacity`, and are counted beyond it. False when it is malformed.
 */
function decodeMessage(row: usize, end: usize, entries: usize, first: u32, capacity: u32): bool {
  memory.fill(row, 0, MESSAGE_BYTES);
  store<u32>(row, SLICE_ABSENT, MESSAGE_SNAPSHOT_LENGTH);
  store<u32>(row, first, MESSAGE_ENTRY_FIRST);
  let next = first;
  while (pos < end) {
    if (!readTag(end)) return false;
    const tag = low;
    if ((tag & 7) == 0) {
      if (!readVarint(end)) return false;
      onVarint(row, tag >>> 3);
    } else if (tag == 0x3a || tag == 0x4a || tag == 0x62) {
      if (!readLength(end)) return false;
      const inner = pos + <usize>low;
      if (tag == 0x4a) setSlice(row + MESSAGE_SNAPSHOT_PTR, pos, low);
      else if (tag == 0x62) setSlice(row + MESSAGE_CONTEXT_PTR, pos, low);
      else {
        if (next < capacity && !decodeEntry(entries + <usize>next * ENTRY_BYTES, pos, inner)) {
          return false;
        }
        next++;
      }
      seek(inner);
    } else if (!skipField(tag, end, 0)) return false;
  }
  store<u32>(row, next - first, MESSAGE_ENTRY_COUNT);
  return true;
}

/**
 * Decodes the messages of a slice table into rows, and their entries into a table of `capacity`
 * rows. Returns messages done, fewer when the entries are full (out end: the entry rows in use);
 * OUT_FULL when those of the first message alone do not fit; CORRUPT with the item.
 */
export function raftMessageDecode(
  table: usize,
  count: i32,
  messages: usize,
  entries: usize,
  capacity: i32,
): i32 {
  let used: u32 = 0;
  setOutEnd(entries);
  for (let item = 0; item < count; item++) {
    const slice = sliceRow(table, item);
    const row = messages + <usize>item * MESSAGE_BYTES;
    seek(slicePtr(slice));
    if (!decodeMessage(row, slicePtr(slice) + sliceLength(slice), entries, used, capacity)) {
      setErrItem(item);
      return CORRUPT;
    }
    const entryCount = load<u32>(row, MESSAGE_ENTRY_COUNT);
    if (used + entryCount > <u32>capacity) {
      setNeeded(item, <usize>entryCount * ENTRY_BYTES);
      return item == 0 ? OUT_FULL : item;
    }
    used += entryCount;
    setOutEnd(entries + <usize>used * ENTRY_BYTES);
  }
  return count;
}
