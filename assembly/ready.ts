/**
 * Ready aggregation: from the Readies of one poll round, one WriteBatch of raft logs and states, and
 * the round's messages grouped by target store; layouts in raft_abi.ts. Hot path.
 * Twin: src/kernel/js/ready.ts. Not here: what a peer's Ready says (src/raft), encoding messages.
 */
import {
  CORRUPT,
  OUT_FULL,
  WRITE_BATCH_COUNT_OFFSET,
  WRITE_BATCH_DELETE,
  WRITE_BATCH_DELETE_RANGE,
  WRITE_BATCH_HEADER,
  WRITE_BATCH_PUT,
} from "./abi";
import { setErrItem, setNeeded, setOutEnd } from "./arena";
import { sliceLength, slicePtr } from "./block";
import { copyBytes, storeU64Be, storeVarint32, varint32Length } from "./bytes";
import {
  CF_RAFT_PREFIX,
  ENTRY_BYTES,
  ENTRY_ENCODED_LENGTH,
  ENTRY_INDEX,
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
} from "./raft_abi";
import { entrySize, u64Size, writeEntry, writeU64 } from "./raft_entry";

// @ts-ignore: decorator
@inline
/** Loads a u64 that is aligned to 4 bytes. */
function u64At(at: usize): u64 {
  return load<u64>(at);
}

/** Size of the HardState of a row. */
function hardStateSize(row: usize): u32 {
  return u64Size(row + READY_TERM) + u64Size(row + READY_VOTE) + u64Size(row + READY_COMMIT);
}

// @ts-ignore: decorator
@inline
/** Size of a put whose key takes `key` bytes. */
function putSize(key: u32, value: u32): u32 {
  return 2 + key + <u32>varint32Length(value) + value;
}

// @ts-ignore: decorator
@inline
/** Size of the put of a state whose slice lies at `at`. */
function stateSize(at: usize): u32 {
  return putSize(RAFT_STATE_KEY_BYTES, <u32>sliceLength(at));
}

/** Size of the RaftLocalState of a row: the hard state always, last_index unless it is 0. */
function raftStateSize(row: usize): u32 {
  return 2 + hardStateSize(row) + u64Size(row + READY_LAST_INDEX);
}

/** Bytes of records that a row makes; sizes of its entries are left in theirs. */
function recordsSize(row: usize, entries: usize): usize {
  let size: usize = 0;
  const cut = u64At(row + READY_CUT_TO) - u64At(row + READY_CUT_FROM);
  if (cut > <u64>READY_CUT_DELETES_MAX) size += 3 + 2 * RAFT_LOG_KEY_BYTES;
  else size += <usize>cut * (2 + RAFT_LOG_KEY_BYTES);
  let entry = entries + <usize>load<u32>(row, READY_ENTRY_FIRST) * ENTRY_BYTES;
  const end = entry + <usize>load<u32>(row, READY_ENTRY_COUNT) * ENTRY_BYTES;
  for (; entry < end; entry += ENTRY_BYTES) size += putSize(RAFT_LOG_KEY_BYTES, entrySize(entry));
  const flags = load<u32>(row, READY_FLAGS);
  if ((flags & READY_RAFT_STATE) != 0) size += putSize(RAFT_STATE_KEY_BYTES, raftStateSize(row));
  if ((flags & READY_SNAPSHOT) != 0) {
    size += stateSize(row + READY_REGION_STATE) + stateSize(row + READY_APPLY_STATE);
    size += stateSize(row + READY_SNAPSHOT_RAFT_STATE);
  }
  return size;
}

// @ts-ignore: decorator
@inline
/** Writes tag, key length and the key up to its suffix: CF · 01 · kind · region id · suffix. */
function writeKey(to: usize, tag: u32, length: u32, kind: u32, row: usize, suffix: u32): usize {
  store<u8>(to, tag);
  store<u8>(to, length, 1);
  store<u8>(to, CF_RAFT_PREFIX, 2);
  store<u8>(to, 0x01, 3);
  store<u8>(to, kind, 4);
  storeU64Be(to + 5, u64At(row + READY_REGION_ID));
  store<u8>(to, suffix, 13);
  return to + 14;
}

// @ts-ignore: decorator
@inline
/** Writes tag, key length and the key of log entry `index`. */
function writeLogKey(to: usize, tag: u32, row: usize, index: u64): usize {
  to = writeKey(to, tag, RAFT_LOG_KEY_BYTES, 0x02, row, 0x01);
  storeU64Be(to, index);
  return to + 8;
}

/** Writes the deletion of log indexes [from, to); returns the address behind. */
function writeCut(to: usize, row: usize): usize {
  const from = u64At(row + READY_CUT_FROM);
  const end = u64At(row + READY_CUT_TO);
  if (end - from <= <u64>READY_CUT_DELETES_MAX) {
    for (let index = from; index < end; index++) {
      to = writeLogKey(to, WRITE_BATCH_DELETE, row, index);
    }
    return to;
  }
  to = writeLogKey(to, WRITE_BATCH_DELETE_RANGE, row, from);
  // The second string has no tag in front: put one over the last byte of the first, then that back.
  const last = load<u8>(to - 1);
  const behind = writeLogKey(to - 1, 0, row, end);
  store<u8>(to - 1, last);
  return behind;
}

/** Writes the put of a state whose slice lies at `at`. */
function writeState(to: usize, row: usize, kind: u32, suffix: u32, at: usize): usize {
  to = writeKey(to, WRITE_BATCH_PUT, RAFT_STATE_KEY_BYTES, kind, row, suffix);
  const length = sliceLength(at);
  return copyBytes(storeVarint32(to, <u32>length), slicePtr(at), length);
}

/** Writes the put of the RaftLocalState. */
function writeRaftState(to: usize, row: usize): usize {
  to = writeKey(to, WRITE_BATCH_PUT, RAFT_STATE_KEY_BYTES, 0x02, row, 0x02);
  to = storeVarint32(to, raftStateSize(row));
  store<u8>(to, 0x0a);
  store<u8>(to, hardStateSize(row), 1);
  to = writeU64(to + 2, 0x08, row + READY_TERM);
  to = writeU64(to, 0x10, row + READY_VOTE);
  to = writeU64(to, 0x18, row + READY_COMMIT);
  return writeU64(to, 0x10, row + READY_LAST_INDEX);
}

/** Writes the records of a row; returns the address behind. */
function writeRecords(to: usize, row: usize, entries: usize): usize {
  to = writeCut(to, row);
  let entry = entries + <usize>load<u32>(row, READY_ENTRY_FIRST) * ENTRY_BYTES;
  const end = entry + <usize>load<u32>(row, READY_ENTRY_COUNT) * ENTRY_BYTES;
  for (; entry < end; entry += ENTRY_BYTES) {
    to = writeLogKey(to, WRITE_BATCH_PUT, row, u64At(entry + ENTRY_INDEX));
    to = storeVarint32(to, load<u32>(entry, ENTRY_ENCODED_LENGTH));
    to = writeEntry(to, entry);
  }
  const flags = load<u32>(row, READY_FLAGS);
  if ((flags & READY_RAFT_STATE) != 0) to = writeRaftState(to, row);
  if ((flags & READY_SNAPSHOT) == 0) return to;
  to = writeState(to, row, 0x03, 0x01, row + READY_REGION_STATE);
  to = writeState(to, row, 0x02, 0x03, row + READY_APPLY_STATE);
  return writeState(to, row, 0x02, 0x04, row + READY_SNAPSHOT_RAFT_STATE);
}

/** Records that a row makes. */
function recordsCount(row: usize): u32 {
  const cut = u64At(row + READY_CUT_TO) - u64At(row + READY_CUT_FROM);
  let count: u32 = cut > <u64>READY_CUT_DELETES_MAX ? 1 : <u32>cut;
  count += load<u32>(row, READY_ENTRY_COUNT);
  const flags = load<u32>(row, READY_FLAGS);
  if ((flags & READY_RAFT_STATE) != 0) count += 1;
  if ((flags & READY_SNAPSHOT) != 0) count += 3;
  return count;
}

/**
 * Builds one WriteBatch at `out` from `count` Readies. Returns rows done, each whole; what was built
 * from them is complete in any case. OUT_FULL: header and first row do not fit. CORRUPT: a cut that
 * ends before it starts, with the item.
 */
export function readyBatch(
  rows: usize,
  count: i32,
  entries: usize,
  out: usize,
  outEnd: usize,
): i32 {
  if (outEnd - out < <usize>WRITE_BATCH_HEADER) {
    setOutEnd(out);
    setNeeded(0, WRITE_BATCH_HEADER);
    return OUT_FULL;
  }
  store<u64>(out, 0);
  let to = out + WRITE_BATCH_HEADER;
  let records: u32 = 0;
  let code = count;
  for (let item = 0; item < count; item++) {
    const row = rows + <usize>item * READY_BYTES;
    if (u64At(row + READY_CUT_TO) < u64At(row + READY_CUT_FROM)) {
      setErrItem(item);
      code = CORRUPT;
      break;
    }
    const size = recordsSize(row, entries);
    if (size > outEnd - to) {
      setNeeded(item, <usize>WRITE_BATCH_HEADER + size);
      code = item == 0 ? OUT_FULL : item;
      break;
    }
    to = writeRecords(to, row, entries);
    records += recordsCount(row);
  }
  store<u32>(out, records, WRITE_BATCH_COUNT_OFFSET);
  setOutEnd(to);
  return code;
}

/**
 * Groups `count` messages by target: `targets` holds a dense store index (u32) for each. `offsets`
 * (u32 × (stores + 1)) gets where each store's group starts in `order` (u32 × count), which gets the
 * message indexes, in their order within a store. Returns count; CORRUPT for a target beyond stores.
 */
export function readyGroup(
  targets: usize,
  count: i32,
  stores: i32,
  offsets: usize,
  order: usize,
): i32 {
  memory.fill(offsets, 0, (<usize>stores + 1) << 2);
  for (let item = 0; item < count; item++) {
    const target = load<u32>(targets + (<usize>item << 2));
    if (target >= <u32>stores) {
      setErrItem(item);
      return CORRUPT;
    }
    const at = offsets + (<usize>target << 2);
    store<u32>(at, load<u32>(at) + 1);
  }
  let start: u32 = 0;
  for (let group = 0; group <= stores; group++) {
    const at = offsets + (<usize>group << 2);
    const length = load<u32>(at);
    store<u32>(at, start);
    start += length;
  }
  // Each offset moves to its group's end while the group fills; then all move back by one group.
  for (let item = 0; item < count; item++) {
    const at = offsets + (<usize>load<u32>(targets + (<usize>item << 2)) << 2);
    const place = load<u32>(at);
    store<u32>(order + (<usize>place << 2), item);
    store<u32>(at, place + 1);
  }
  for (let group = stores; group > 0; group--) {
    const at = offsets + (<usize>group << 2);
    store<u32>(at, load<u32>(at - 4));
  }
  store<u32>(offsets, 0);
  return count;
}
