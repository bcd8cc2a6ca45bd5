/**
 * Which version of each key a reader sees, decided over blocks of raw engine entries: write and lock
 * CF together, for ranges (mvccScan) and for lists of keys (mvccPoint); layouts in mvcc_abi.ts.
 * Hot path. Twin: src/kernel/js/mvcc_scan.ts. Not here: how entries get into memory (src/engine),
 * what a client is told (src/mvcc). Source: tikv src/storage/mvcc/reader (the rules).
 *
 * Both calls keep nothing: versions that are too new, locks and rollbacks decide nothing, so a walk
 * that ran out of entries goes on with the next block as if that were its first.
 */
import { CORRUPT, OUT_FULL, SLICE_ABSENT, TS_BYTES } from "./abi";
import { setErrItem, setNeeded } from "./arena";
import { setSlice, sliceLength, slicePtr, sliceRow } from "./block";
import { copyBytes, loadU64Be, storeU64Be } from "./bytes";
import {
  CF_DEFAULT_PREFIX,
  DATA_KEY_PREFIX,
  ENTRY_ROW_BYTES,
  ENTRY_ROW_KEY_LENGTH,
  ENTRY_ROW_VALUE_LENGTH,
  ENTRY_ROW_VALUE_PTR,
  MVCC_CONFLICT_LOCK,
  MVCC_CONFLICT_WRITE,
  MVCC_DEFAULT,
  MVCC_DEFAULTS,
  MVCC_DEFAULTS_DONE,
  MVCC_ERR_CF,
  MVCC_FLAG_KEY_ONLY,
  MVCC_FLAG_LOCKS_END,
  MVCC_FLAG_REVERSE,
  MVCC_FLAG_WRITES_END,
  MVCC_FLAGS,
  MVCC_ISOLATION_MASK,
  MVCC_ITEM_BYTES,
  MVCC_ITEM_COMPLETE,
  MVCC_ITEM_COUNT,
  MVCC_ITEM_FIRST,
  MVCC_ITEM_KEY_LENGTH,
  MVCC_ITEM_READ_TS,
  MVCC_ITEMS,
  MVCC_ITEMS_COUNT,
  MVCC_JUMP,
  MVCC_JUMP_VERSIONS_MIN,
  MVCC_LOCKED,
  MVCC_LOCKS,
  MVCC_LOCKS_COUNT,
  MVCC_LOCKS_DONE,
  MVCC_LOOKED_AT,
  MVCC_MORE,
  MVCC_NONE,
  MVCC_OUT,
  MVCC_OUT_END,
  MVCC_PREFIX_BYTES,
  MVCC_RC,
  MVCC_RC_CHECK_TS,
  MVCC_READ_TS,
  MVCC_ROW_BYTES,
  MVCC_ROW_COMMIT_TS,
  MVCC_ROW_KEY_LENGTH,
  MVCC_ROW_KEY_PTR,
  MVCC_ROW_LOOKED_AT,
  MVCC_ROW_OUTCOME,
  MVCC_ROW_START_TS,
  MVCC_ROW_VALUE_LENGTH,
  MVCC_ROW_VALUE_PTR,
  MVCC_ROWS,
  MVCC_ROWS_CAPACITY,
  MVCC_ROWS_DONE,
  MVCC_SKIP,
  MVCC_SKIP_LENGTH,
  MVCC_SKIP_NEXT,
  MVCC_SKIP_NEXT_LENGTH,
  MVCC_STOP,
  MVCC_STOP_END,
  MVCC_STOP_LOCKS,
  MVCC_STOP_OUT,
  MVCC_STOP_ROWS,
  MVCC_STOP_WRITES,
  MVCC_VALUE,
  MVCC_WRITES,
  MVCC_WRITES_COUNT,
  MVCC_WRITES_DONE,
} from "./mvcc_abi";
import {
  judgeLock,
  LOCK_CONFLICTS,
  LOCK_IS_READ,
  LOCK_PASSES,
  lockPuts,
  lockShort,
  lockShortLength,
  lockStartTs,
  parseLock,
} from "./mvcc_lock";
import {
  lastChangeTs,
  lastChangeVersions,
  parseWrite,
  WRITE_DELETE,
  WRITE_PUT,
  writeFence,
  writeShort,
  writeShortLength,
  writeStartTs,
  writeType,
} from "./mvcc_write";

/** A walk or a lock has not decided what the reader sees. */
const UNDECIDED: i32 = -1;
/** A record is damaged. */
const DAMAGED: i32 = -2;
/** CF prefix, data prefix and timestamp of a write key. */
const WRITE_KEY_EXTRA: usize = 10;

/** What a decision found: a value (pointer 0 = in the default CF) and its timestamps. */
let value: usize = 0;
let valueLength: u32 = 0;
let commitTs: u64 = 0;
let startTs: u64 = 0;
/** Where a walk ended: the entry that decided, or the first one of another key. */
let walkEnd: u32 = 0;
let lookedAt: u32 = 0;
/** The version that the last Lock or Rollback of a walk points to; 0 = too near, or unknown. */
let jumpTs: u64 = 0;
/** Output so far. */
let rowsDone: u32 = 0;
let defaultsDone: u32 = 0;
let outAt: usize = 0;

// @ts-ignore: decorator
@inline
/** Row `index` of a block. */
function entryRow(block: usize, index: u32): usize {
  return block + <usize>index * ENTRY_ROW_BYTES;
}

/** Whether two strings of one length are equal; looks at their ends first, where keys differ. */
function equalBytes(a: usize, b: usize, length: usize): bool {
  while (length >= 8) {
    length -= 8;
    if (load<u64>(a + length) != load<u64>(b + length)) return false;
  }
  if (length == 0) return true;
  const mask = ((<u64>1) << (<u64>length << 3)) - 1;
  return ((load<u64>(a) ^ load<u64>(b)) & mask) == 0;
}

// @ts-ignore: decorator
@inline
/** Whether a row of the write block is a version of `key`. */
function isVersionOf(row: usize, key: usize, length: usize): bool {
  if (<usize>load<u32>(row, ENTRY_ROW_KEY_LENGTH) != length + WRITE_KEY_EXTRA) return false;
  return equalBytes(<usize>load<u32>(row) + MVCC_PREFIX_BYTES, key, length);
}

/** Order of two strings: negative, 0, positive. */
function compareBytes(a: usize, aLength: usize, b: usize, bLength: usize): i32 {
  const common = min<usize>(aLength, bLength);
  let i: usize = 0;
  for (; i + 8 <= common; i += 8) {
    const left = loadU64Be(a + i);
    const right = loadU64Be(b + i);
    if (left != right) return left < right ? -1 : 1;
  }
  for (; i < common; i++) {
    const left = load<u8>(a + i);
    const right = load<u8>(b + i);
    if (left != right) return left < right ? -1 : 1;
  }
  return <i32>aLength - <i32>bLength;
}

/**
 * Looks at one version. Returns an outcome, or UNDECIDED for one that the reader passes over.
 * A fenced version, or a lock that has no data below, ends the walk with nothing.
 */
// @ts-ignore: decorator
@inline
function lookAt(row: usize, readTs: u64, isolation: u32): i32 {
  lookedAt++;
  const keyEnd = <usize>load<u32>(row) + <usize>load<u32>(row, ENTRY_ROW_KEY_LENGTH);
  commitTs = ~loadU64Be(keyEnd - TS_BYTES);
  if (commitTs > readTs && isolation != MVCC_RC_CHECK_TS) return UNDECIDED;
  const record = <usize>load<u32>(row, ENTRY_ROW_VALUE_PTR);
  if (!parseWrite(record, <usize>load<u32>(row, ENTRY_ROW_VALUE_LENGTH))) return DAMAGED;
  if (commitTs > readTs) {
    startTs = writeStartTs;
    return MVCC_CONFLICT_WRITE;
  }
  if (writeFence != 0 && writeFence <= readTs) return MVCC_NONE;
  if (writeType == WRITE_PUT) {
    value = writeShort;
    valueLength = writeShortLength;
    startTs = writeStartTs;
    return MVCC_VALUE;
  }
  if (writeType == WRITE_DELETE) return MVCC_NONE;
  if (lastChangeTs == 0 && lastChangeVersions != 0) return MVCC_NONE;
  const isFar = lastChangeVersions >= <u64>MVCC_JUMP_VERSIONS_MIN;
  jumpTs = lastChangeTs != 0 && isFar ? lastChangeTs : 0;
  return UNDECIDED;
}

/**
 * Walks the versions of `key` from `first` on, newest first, at most up to `end`. Returns an
 * outcome; UNDECIDED when the entries ended, NONE when another key begins.
 */
function walk(
  writes: usize,
  first: u32,
  end: u32,
  key: usize,
  length: usize,
  readTs: u64,
  isolation: u32,
): i32 {
  lookedAt = 0;
  jumpTs = 0;
  let at = first;
  let outcome = UNDECIDED;
  for (; at < end; at++) {
    const row = entryRow(writes, at);
    if (!isVersionOf(row, key, length)) {
      outcome = MVCC_NONE;
      break;
    }
    outcome = lookAt(row, readTs, isolation);
    if (outcome != UNDECIDED) break;
  }
  walkEnd = at;
  return outcome;
}

/** As `walk`, over the entries [first, end) of one key that stand oldest first, and are complete. */
function walkBack(writes: usize, first: u32, end: u32, readTs: u64, isolation: u32): i32 {
  lookedAt = 0;
  let at = end;
  while (at > first) {
    at--;
    const outcome = lookAt(entryRow(writes, at), readTs, isolation);
    walkEnd = at;
    if (outcome != UNDECIDED) return outcome;
  }
  return MVCC_NONE;
}

/** Judges a lock record on `key`: an outcome, UNDECIDED when it does not matter, or DAMAGED. */
function readLock(
  params: usize,
  readTs: u64,
  record: usize,
  recordLength: usize,
  key: usize,
  length: usize,
): i32 {
  if ((load<u32>(params, MVCC_FLAGS) & MVCC_ISOLATION_MASK) == MVCC_RC) return UNDECIDED;
  if (!parseLock(record, recordLength)) return DAMAGED;
  const judgement = judgeLock(params, readTs, key, length);
  if (judgement == LOCK_PASSES) return UNDECIDED;
  commitTs = 0;
  startTs = lockStartTs;
  if (judgement == LOCK_IS_READ) {
    value = lockShort;
    valueLength = lockShortLength;
    return lockPuts() ? MVCC_VALUE : MVCC_NONE;
  }
  value = record;
  valueLength = <u32>recordLength;
  return judgement == LOCK_CONFLICTS ? MVCC_CONFLICT_LOCK : MVCC_LOCKED;
}

/** Builds the default-CF key of the value found. Returns false when it does not fit. */
function putDefault(params: usize, key: usize, length: usize, item: u32): bool {
  const needed = length + WRITE_KEY_EXTRA;
  if (needed > <usize>load<u32>(params, MVCC_OUT_END) - outAt) {
    setNeeded(item, needed);
    return false;
  }
  setSlice(sliceRow(<usize>load<u32>(params, MVCC_DEFAULTS), defaultsDone), outAt, needed);
  store<u8>(outAt, CF_DEFAULT_PREFIX);
  store<u8>(outAt, DATA_KEY_PREFIX, 1);
  outAt = copyBytes(outAt + MVCC_PREFIX_BYTES, key, length);
  storeU64Be(outAt, ~startTs);
  outAt += TS_BYTES;
  return true;
}

/** Writes the next row. Returns false, and writes none, when the default key does not fit. */
function putRow(params: usize, outcome: i32, key: usize, length: usize): bool {
  const row = <usize>load<u32>(params, MVCC_ROWS) + <usize>rowsDone * MVCC_ROW_BYTES;
  let at = value;
  let bytes = valueLength;
  if (outcome == MVCC_VALUE) {
    if ((load<u32>(params, MVCC_FLAGS) & MVCC_FLAG_KEY_ONLY) != 0) {
      at = 0;
      bytes = 0;
    } else if (at == 0) {
      if (!putDefault(params, key, length, rowsDone)) return false;
      outcome = MVCC_DEFAULT;
      at = defaultsDone++;
    }
  } else if (outcome != MVCC_LOCKED && outcome != MVCC_CONFLICT_LOCK) {
    at = 0;
    bytes = 0;
    if (outcome != MVCC_CONFLICT_WRITE) {
      commitTs = 0;
      startTs = outcome == MVCC_JUMP ? jumpTs : 0;
    }
  }
  store<u32>(row, outcome, MVCC_ROW_OUTCOME);
  store<u32>(row, <u32>key, MVCC_ROW_KEY_PTR);
  store<u32>(row, <u32>length, MVCC_ROW_KEY_LENGTH);
  store<u32>(row, <u32>at, MVCC_ROW_VALUE_PTR);
  store<u32>(row, bytes, MVCC_ROW_VALUE_LENGTH);
  store<u32>(row, lookedAt, MVCC_ROW_LOOKED_AT);
  store<u64>(row, commitTs, MVCC_ROW_COMMIT_TS);
  store<u64>(row, startTs, MVCC_ROW_START_TS);
  rowsDone++;
  return true;
}

/** Sets the output registers to nothing. */
function begin(params: usize): void {
  rowsDone = 0;
  defaultsDone = 0;
  outAt = <usize>load<u32>(params, MVCC_OUT);
}

/** Leaves the results that both calls have. */
function finish(params: usize, looked: u32): void {
  store<u32>(params, rowsDone, MVCC_ROWS_DONE);
  store<u32>(params, defaultsDone, MVCC_DEFAULTS_DONE);
  store<u32>(params, looked, MVCC_LOOKED_AT);
}

/** Names a damaged entry: the index, and 0 for the write CF, 1 for the lock CF. */
function damaged(params: usize, item: u32, cf: u32): i32 {
  setErrItem(item);
  store<u32>(params, cf, MVCC_ERR_CF);
  return DAMAGED;
}

/** The scan: where it stands in its blocks, and the key that it decides. */
let write: u32 = 0;
let lock: u32 = 0;
let keyAt: usize = 0;
let keyLength: usize = 0;
/** Whether the key has a lock, entries in the write block. */
let hasLock: bool = false;
let hasWrites: bool = false;
/** First entry behind those of the key that were used. */
let nextWrite: u32 = 0;

/** Answers of `pickKey` and `decideKey` beside outcomes. */
const ENDED: i32 = -3;
const WANTS_WRITES: i32 = -4;

/** Index behind the entries of `key` that start at `first`. */
function groupEnd(writes: usize, first: u32, end: u32, key: usize, length: usize): u32 {
  while (first < end && isVersionOf(entryRow(writes, first), key, length)) first++;
  return first;
}

/** Takes the key of the next entry of the write block. Returns false when it is too short. */
function pickWriteKey(params: usize): bool {
  const row = entryRow(<usize>load<u32>(params, MVCC_WRITES), write);
  const length = <usize>load<u32>(row, ENTRY_ROW_KEY_LENGTH);
  keyAt = <usize>load<u32>(row) + MVCC_PREFIX_BYTES;
  keyLength = length - WRITE_KEY_EXTRA;
  hasWrites = true;
  return length >= WRITE_KEY_EXTRA;
}

/**
 * Picks the next key: of the write block, of the lock block, or both, and judges its lock. Returns
 * an outcome, UNDECIDED when the versions decide, ENDED behind the last key, or DAMAGED.
 */
function pickKey(params: usize, flags: u32): i32 {
  hasWrites = false;
  hasLock = false;
  lookedAt = 0;
  if (write < load<u32>(params, MVCC_WRITES_COUNT) && !pickWriteKey(params)) {
    return damaged(params, write, 0);
  }
  if (lock == load<u32>(params, MVCC_LOCKS_COUNT)) return hasWrites ? UNDECIDED : ENDED;
  const row = entryRow(<usize>load<u32>(params, MVCC_LOCKS), lock);
  const length = <usize>load<u32>(row, ENTRY_ROW_KEY_LENGTH);
  if (length < <usize>MVCC_PREFIX_BYTES) return damaged(params, lock, 1);
  const at = <usize>load<u32>(row) + MVCC_PREFIX_BYTES;
  if (hasWrites) {
    const order = compareBytes(at, length - MVCC_PREFIX_BYTES, keyAt, keyLength);
    if ((flags & MVCC_FLAG_REVERSE) != 0 ? order < 0 : order > 0) return UNDECIDED;
    hasWrites = order == 0;
  }
  hasLock = true;
  keyAt = at;
  keyLength = length - MVCC_PREFIX_BYTES;
  const record = <usize>load<u32>(row, ENTRY_ROW_VALUE_PTR);
  const recordLength = <usize>load<u32>(row, ENTRY_ROW_VALUE_LENGTH);
  const readTs = load<u64>(params, MVCC_READ_TS);
  const outcome = readLock(params, readTs, record, recordLength, keyAt, keyLength);
  return outcome == DAMAGED ? damaged(params, lock, 1) : outcome;
}

/** Decides the key from its versions. Returns an outcome, WANTS_WRITES, or DAMAGED. */
function decideKey(params: usize, flags: u32): i32 {
  if (!hasWrites) return MVCC_NONE;
  const readTs = load<u64>(params, MVCC_READ_TS);
  const isolation = flags & MVCC_ISOLATION_MASK;
  const writes = <usize>load<u32>(params, MVCC_WRITES);
  const count = load<u32>(params, MVCC_WRITES_COUNT);
  const ends = (flags & MVCC_FLAG_WRITES_END) != 0;
  let outcome: i32;
  if ((flags & MVCC_FLAG_REVERSE) != 0) {
    const end = groupEnd(writes, write, count, keyAt, keyLength);
    // The newest versions come last.
    if (end == count && !ends) return WANTS_WRITES;
    outcome = walkBack(writes, write, end, readTs, isolation);
    nextWrite = end;
  } else {
    outcome = walk(writes, write, count, keyAt, keyLength, readTs, isolation);
    nextWrite = walkEnd;
    if (outcome == UNDECIDED) {
      if (ends) outcome = MVCC_NONE;
      else if (jumpTs != 0) outcome = MVCC_JUMP;
      else write = nextWrite;
    }
  }
  if (outcome == DAMAGED) return damaged(params, walkEnd, 0);
  return outcome == UNDECIDED ? WANTS_WRITES : outcome;
}

/** Why a scan cannot take another key, or -1 when it can. */
function stopBefore(params: usize, flags: u32): i32 {
  if (rowsDone == load<u32>(params, MVCC_ROWS_CAPACITY)) return MVCC_STOP_ROWS;
  if (write == load<u32>(params, MVCC_WRITES_COUNT) && (flags & MVCC_FLAG_WRITES_END) == 0) {
    return MVCC_STOP_WRITES;
  }
  const noLocks = lock == load<u32>(params, MVCC_LOCKS_COUNT);
  return noLocks && (flags & MVCC_FLAG_LOCKS_END) == 0 ? MVCC_STOP_LOCKS : -1;
}

/** Passes over the entries of a key that was decided. Returns false when the block ends in them. */
function skipKey(params: usize, flags: u32, key: usize, length: usize): bool {
  const count = load<u32>(params, MVCC_WRITES_COUNT);
  write = groupEnd(<usize>load<u32>(params, MVCC_WRITES), write, count, key, length);
  return write < count || (flags & MVCC_FLAG_WRITES_END) != 0;
}

/**
 * Decides the keys of a range from the block of its write CF and that of its lock CF; a lock on a key
 * without versions counts. Keys of which nothing is visible make no row. Returns the rows done and
 * leaves in the parameters why it ended and where to go on; OUT_FULL when the first default key does
 * not fit; CORRUPT for a record that does not parse, the rows before it done.
 */
export function mvccScan(params: usize): i32 {
  const flags = load<u32>(params, MVCC_FLAGS);
  let skip = <usize>load<u32>(params, MVCC_SKIP);
  let skipLength = <usize>load<u32>(params, MVCC_SKIP_LENGTH);
  let looked: u32 = 0;
  let stop: i32 = -1;
  let code: i32 = 0;
  begin(params);
  write = 0;
  lock = 0;
  while (true) {
    if (skipLength != 0) {
      if (!skipKey(params, flags, skip, skipLength)) {
        stop = MVCC_STOP_WRITES;
        break;
      }
      skipLength = 0;
    }
    stop = stopBefore(params, flags);
    if (stop >= 0) break;
    let outcome = pickKey(params, flags);
    nextWrite = write;
    if (outcome == UNDECIDED) outcome = decideKey(params, flags);
    looked += lookedAt;
    if (outcome < 0) {
      stop = outcome == WANTS_WRITES ? MVCC_STOP_WRITES : MVCC_STOP_END;
      if (outcome == DAMAGED) code = CORRUPT;
      break;
    }
    if (outcome != MVCC_NONE && !putRow(params, outcome, keyAt, keyLength)) {
      stop = MVCC_STOP_OUT;
      if (rowsDone == 0) code = OUT_FULL;
      break;
    }
    write = nextWrite;
    if (hasLock) lock++;
    if (hasWrites) {
      skip = keyAt;
      skipLength = keyLength;
    }
  }
  store<u32>(params, stop, MVCC_STOP);
  store<u32>(params, write, MVCC_WRITES_DONE);
  store<u32>(params, lock, MVCC_LOCKS_DONE);
  store<u32>(params, <u32>skip, MVCC_SKIP_NEXT);
  store<u32>(params, <u32>skipLength, MVCC_SKIP_NEXT_LENGTH);
  finish(params, looked);
  return code == 0 ? <i32>rowsDone : code;
}

/** Decides item `item`; see mvccPoint. Returns an outcome or DAMAGED. */
function readItem(params: usize, item: u32, key: usize, length: usize): i32 {
  const locks = <usize>load<u32>(params, MVCC_LOCKS);
  const row = <usize>load<u32>(params, MVCC_ITEMS) + <usize>item * MVCC_ITEM_BYTES;
  const readTs = load<u64>(row, MVCC_ITEM_READ_TS);
  lookedAt = 0;
  if (locks != 0) {
    const slice = sliceRow(locks, item);
    if (<u32>sliceLength(slice) != SLICE_ABSENT) {
      const record = slicePtr(slice);
      const outcome = readLock(params, readTs, record, sliceLength(slice), key, length);
      if (outcome == DAMAGED) damaged(params, item, 1);
      if (outcome != UNDECIDED) return outcome;
    }
  }
  const first = load<u32>(row, MVCC_ITEM_FIRST);
  const count = load<u32>(row, MVCC_ITEM_COUNT);
  const end = first + (count & ~<u32>MVCC_ITEM_COMPLETE);
  const isolation = load<u32>(params, MVCC_FLAGS) & MVCC_ISOLATION_MASK;
  const writes = <usize>load<u32>(params, MVCC_WRITES);
  const outcome = walk(writes, first, end, key, length, readTs, isolation);
  if (outcome == DAMAGED) damaged(params, walkEnd, 0);
  if (outcome != UNDECIDED) return outcome;
  if ((count & <u32>MVCC_ITEM_COMPLETE) != 0) return MVCC_NONE;
  return jumpTs != 0 ? MVCC_JUMP : MVCC_MORE;
}

/**
 * Decides each item from its entries in the write block and its lock; makes a row for each. Returns
 * items done, OUT_FULL, or CORRUPT for a record that does not parse: the error item is the write
 * entry or, for a lock, the item; the rows before it are done.
 */
export function mvccPoint(params: usize): i32 {
  const items = <usize>load<u32>(params, MVCC_ITEMS);
  const count = load<u32>(params, MVCC_ITEMS_COUNT);
  let looked: u32 = 0;
  let code: i32 = 0;
  begin(params);
  for (let item: u32 = 0; item < count; item++) {
    const row = items + <usize>item * MVCC_ITEM_BYTES;
    const key = <usize>load<u32>(row);
    const length = <usize>load<u32>(row, MVCC_ITEM_KEY_LENGTH);
    const outcome = readItem(params, item, key, length);
    looked += lookedAt;
    if (outcome == DAMAGED) {
      code = CORRUPT;
      break;
    }
    if (!putRow(params, outcome, key, length)) {
      if (item == 0) code = OUT_FULL;
      break;
    }
  }
  finish(params, looked);
  return code == 0 ? <i32>rowsDone : code;
}
