/**
 * Twin of assembly/mvcc_scan.ts and its specification: which version of each key a reader sees,
 * over blocks of raw engine entries. Source: tikv src/storage/mvcc/reader (the rules).
 */
import {
  CF_DEFAULT_PREFIX,
  CORRUPT,
  DATA_KEY_PREFIX,
  ENTRY_ROW_BYTES,
  ENTRY_ROW_KEY_LENGTH,
  ENTRY_ROW_VALUE_LENGTH,
  ENTRY_ROW_VALUE_PTR,
  HEADER_ERR_ITEM,
  HEADER_NEEDED,
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
  OUT_FULL,
  SLICE_ABSENT,
  SLICE_BYTES,
  TS_BYTES,
} from "../abi.js";
import type { LinearMemory } from "../arena.js";
import { byteAt, copyBytes, put, putByte, putU32Be, use, word } from "./linear.js";
import {
  judgeLock,
  LOCK_CONFLICTS,
  LOCK_IS_READ,
  LOCK_PASSES,
  lock as lockFound,
  lockPuts,
  parseLock,
} from "./mvcc_lock.js";
import {
  found,
  isGreater,
  isZero,
  loadPairBe,
  parseWrite,
  setPair,
  type U64Pair,
  WRITE_DELETE,
  WRITE_PUT,
} from "./mvcc_write.js";

/** Answers beside outcomes: not decided yet, damaged, behind the last key, more entries wanted. */
const UNDECIDED = -1;
const DAMAGED = -2;
const ENDED = -3;
const WANTS_WRITES = -4;
/** CF prefix, data prefix and timestamp of a write key. */
const WRITE_KEY_EXTRA = 10;

/** The reader. */
const readTs: U64Pair = { low: 0, high: 0 };
let params = 0;
let flags = 0;
let isolation = 0;
/** What a decision found: a value (pointer 0 = in the default CF) and its timestamps. */
let value = 0;
let valueLength = 0;
const commitTs: U64Pair = { low: 0, high: 0 };
const startTs: U64Pair = { low: 0, high: 0 };
/** Where a walk ended, and what it looked at. */
let walkEnd = 0;
let lookedAt = 0;
/** The version that the last Lock or Rollback of a walk points to; 0 = too near, or unknown. */
const jumpTs: U64Pair = { low: 0, high: 0 };
/** Output so far. */
let rowsDone = 0;
let defaultsDone = 0;
let outAt = 0;
/** The scan: where it stands in its blocks, and the key that it decides. */
let write = 0;
let lock = 0;
let keyAt = 0;
let keyLength = 0;
let hasLock = false;
let hasWrites = false;
let nextWrite = 0;

/** Row `index` of a block. */
function entryRow(block: number, index: number): number {
  return block + index * ENTRY_ROW_BYTES;
}

/** Whether a row of the write block is a version of `key`. */
function isVersionOf(row: number, key: number, length: number): boolean {
  if (word(row + ENTRY_ROW_KEY_LENGTH) !== length + WRITE_KEY_EXTRA) return false;
  const at = word(row) + MVCC_PREFIX_BYTES;
  // Keys differ at their ends.
  for (let i = length - 1; i >= 0; i--) if (byteAt(at + i) !== byteAt(key + i)) return false;
  return true;
}

/** Order of two strings: negative, 0, positive. */
function compareBytes(a: number, aLength: number, b: number, bLength: number): number {
  const common = Math.min(aLength, bLength);
  for (let i = 0; i < common; i++) {
    const difference = byteAt(a + i) - byteAt(b + i);
    if (difference !== 0) return difference;
  }
  return aLength - bLength;
}

/**
 * Looks at one version. Returns an outcome, or UNDECIDED for one that the reader passes over.
 * A fenced version, or a lock that has no data below, ends the walk with nothing.
 */
function lookAt(row: number): number {
  lookedAt++;
  loadPairBe(commitTs, word(row) + word(row + ENTRY_ROW_KEY_LENGTH) - TS_BYTES);
  commitTs.low = ~commitTs.low >>> 0;
  commitTs.high = ~commitTs.high >>> 0;
  const isNewer = isGreater(commitTs, readTs);
  if (isNewer && isolation !== MVCC_RC_CHECK_TS) return UNDECIDED;
  if (!parseWrite(word(row + ENTRY_ROW_VALUE_PTR), word(row + ENTRY_ROW_VALUE_LENGTH))) {
    return DAMAGED;
  }
  if (isNewer) {
    setPair(startTs, found.startTs);
    return MVCC_CONFLICT_WRITE;
  }
  const { fence, lastChangeTs, lastChangeVersions } = found;
  if (!isZero(fence) && !isGreater(fence, readTs)) return MVCC_NONE;
  if (found.type === WRITE_PUT) {
    value = found.short;
    valueLength = found.shortLength;
    setPair(startTs, found.startTs);
    return MVCC_VALUE;
  }
  if (found.type === WRITE_DELETE) return MVCC_NONE;
  if (isZero(lastChangeTs) && !isZero(lastChangeVersions)) return MVCC_NONE;
  const isFar = lastChangeVersions.high > 0 || lastChangeVersions.low >= MVCC_JUMP_VERSIONS_MIN;
  jumpTs.low = isFar ? lastChangeTs.low : 0;
  jumpTs.high = isFar ? lastChangeTs.high : 0;
  return UNDECIDED;
}

/**
 * Walks the versions of `key` from `first` on, newest first, at most up to `end`. Returns an
 * outcome; UNDECIDED when the entries ended, NONE when another key begins.
 */
function walk(first: number, end: number, key: number, length: number): number {
  const writes = word(params + MVCC_WRITES);
  lookedAt = 0;
  jumpTs.low = 0;
  jumpTs.high = 0;
  let outcome = UNDECIDED;
  for (walkEnd = first; walkEnd < end; walkEnd++) {
    const row = entryRow(writes, walkEnd);
    if (!isVersionOf(row, key, length)) return MVCC_NONE;
    outcome = lookAt(row);
    if (outcome !== UNDECIDED) break;
  }
  return outcome;
}

/** As `walk`, over the entries [first, end) of one key that stand oldest first, and are complete. */
function walkBack(first: number, end: number): number {
  const writes = word(params + MVCC_WRITES);
  lookedAt = 0;
  for (let at = end - 1; at >= first; at--) {
    const outcome = lookAt(entryRow(writes, at));
    walkEnd = at;
    if (outcome !== UNDECIDED) return outcome;
  }
  return MVCC_NONE;
}

/** Judges a lock record on `key`: an outcome, UNDECIDED when it does not matter, or DAMAGED. */
function readLock(record: number, recordLength: number, key: number, length: number): number {
  if (isolation === MVCC_RC) return UNDECIDED;
  if (!parseLock(record, recordLength)) return DAMAGED;
  const judgement = judgeLock(params, readTs, key, length);
  if (judgement === LOCK_PASSES) return UNDECIDED;
  commitTs.low = 0;
  commitTs.high = 0;
  setPair(startTs, lockFound.startTs);
  if (judgement === LOCK_IS_READ) {
    value = lockFound.short;
    valueLength = lockFound.shortLength;
    return lockPuts() ? MVCC_VALUE : MVCC_NONE;
  }
  value = record;
  valueLength = recordLength;
  return judgement === LOCK_CONFLICTS ? MVCC_CONFLICT_LOCK : MVCC_LOCKED;
}

/** Builds the default-CF key of the value found. Returns false when it does not fit. */
function putDefault(key: number, length: number): boolean {
  const needed = length + WRITE_KEY_EXTRA;
  if (needed > word(params + MVCC_OUT_END) - outAt) {
    put(HEADER_ERR_ITEM, rowsDone);
    put(HEADER_NEEDED, needed);
    return false;
  }
  const slice = word(params + MVCC_DEFAULTS) + defaultsDone * SLICE_BYTES;
  put(slice, outAt);
  put(slice + 4, needed);
  putByte(outAt, CF_DEFAULT_PREFIX);
  putByte(outAt + 1, DATA_KEY_PREFIX);
  outAt = copyBytes(outAt + MVCC_PREFIX_BYTES, key, length);
  putU32Be(outAt, ~startTs.high);
  putU32Be(outAt + 4, ~startTs.low);
  outAt += TS_BYTES;
  return true;
}

/** Writes a row. */
function fillRow(outcome: number, key: number, length: number, at: number, bytes: number): void {
  const row = word(params + MVCC_ROWS) + rowsDone * MVCC_ROW_BYTES;
  put(row + MVCC_ROW_OUTCOME, outcome);
  put(row + MVCC_ROW_KEY_PTR, key);
  put(row + MVCC_ROW_KEY_LENGTH, length);
  put(row + MVCC_ROW_VALUE_PTR, at);
  put(row + MVCC_ROW_VALUE_LENGTH, bytes);
  put(row + MVCC_ROW_LOOKED_AT, lookedAt);
  put(row + MVCC_ROW_COMMIT_TS, commitTs.low);
  put(row + MVCC_ROW_COMMIT_TS + 4, commitTs.high);
  put(row + MVCC_ROW_START_TS, startTs.low);
  put(row + MVCC_ROW_START_TS + 4, startTs.high);
  rowsDone++;
}

/** Writes the next row. Returns false, and writes none, when the default key does not fit. */
function putRow(outcome: number, key: number, length: number): boolean {
  if (outcome === MVCC_VALUE) {
    if ((flags & MVCC_FLAG_KEY_ONLY) !== 0) fillRow(outcome, key, length, 0, 0);
    else if (value !== 0) fillRow(outcome, key, length, value, valueLength);
    else {
      if (!putDefault(key, length)) return false;
      fillRow(MVCC_DEFAULT, key, length, defaultsDone, valueLength);
      defaultsDone++;
    }
    return true;
  }
  if (outcome === MVCC_LOCKED || outcome === MVCC_CONFLICT_LOCK) {
    fillRow(outcome, key, length, value, valueLength);
    return true;
  }
  if (outcome !== MVCC_CONFLICT_WRITE) {
    commitTs.low = 0;
    commitTs.high = 0;
    startTs.low = outcome === MVCC_JUMP ? jumpTs.low : 0;
    startTs.high = outcome === MVCC_JUMP ? jumpTs.high : 0;
  }
  fillRow(outcome, key, length, 0, 0);
  return true;
}

/** Loads the reader and sets the output to nothing. */
function begin(memory: LinearMemory, at: number): void {
  use(memory);
  params = at;
  flags = word(at + MVCC_FLAGS);
  isolation = flags & MVCC_ISOLATION_MASK;
  readTs.low = word(at + MVCC_READ_TS);
  readTs.high = word(at + MVCC_READ_TS + 4);
  rowsDone = 0;
  defaultsDone = 0;
  outAt = word(at + MVCC_OUT);
}

/** Leaves the results that both calls have. */
function finish(looked: number): void {
  put(params + MVCC_ROWS_DONE, rowsDone);
  put(params + MVCC_DEFAULTS_DONE, defaultsDone);
  put(params + MVCC_LOOKED_AT, looked);
}

/** Names a damaged entry: the index, and 0 for the write CF, 1 for the lock CF. */
function damaged(item: number, cf: number): number {
  put(HEADER_ERR_ITEM, item);
  put(params + MVCC_ERR_CF, cf);
  return DAMAGED;
}

/** Index behind the entries of `key` that start at `first`. */
function groupEnd(first: number, key: number, length: number): number {
  const writes = word(params + MVCC_WRITES);
  const end = word(params + MVCC_WRITES_COUNT);
  let at = first;
  while (at < end && isVersionOf(entryRow(writes, at), key, length)) at++;
  return at;
}

/** Takes the key of the next entry of the write block. Returns false when it is too short. */
function pickWriteKey(): boolean {
  const row = entryRow(word(params + MVCC_WRITES), write);
  const length = word(row + ENTRY_ROW_KEY_LENGTH);
  keyAt = word(row) + MVCC_PREFIX_BYTES;
  keyLength = length - WRITE_KEY_EXTRA;
  hasWrites = true;
  return length >= WRITE_KEY_EXTRA;
}

/**
 * Picks the next key: of the write block, of the lock block, or both, and judges its lock. Returns
 * an outcome, UNDECIDED when the versions decide, ENDED behind the last key, or DAMAGED.
 */
function pickKey(): number {
  hasWrites = false;
  hasLock = false;
  lookedAt = 0;
  if (write < word(params + MVCC_WRITES_COUNT) && !pickWriteKey()) return damaged(write, 0);
  if (lock === word(params + MVCC_LOCKS_COUNT)) return hasWrites ? UNDECIDED : ENDED;
  const row = entryRow(word(params + MVCC_LOCKS), lock);
  const length = word(row + ENTRY_ROW_KEY_LENGTH);
  if (length < MVCC_PREFIX_BYTES) return damaged(lock, 1);
  const at = word(row) + MVCC_PREFIX_BYTES;
  if (hasWrites) {
    const order = compareBytes(at, length - MVCC_PREFIX_BYTES, keyAt, keyLength);
    if ((flags & MVCC_FLAG_REVERSE) !== 0 ? order < 0 : order > 0) return UNDECIDED;
    hasWrites = order === 0;
  }
  hasLock = true;
  keyAt = at;
  keyLength = length - MVCC_PREFIX_BYTES;
  const record = word(row + ENTRY_ROW_VALUE_PTR);
  const outcome = readLock(record, word(row + ENTRY_ROW_VALUE_LENGTH), keyAt, keyLength);
  return outcome === DAMAGED ? damaged(lock, 1) : outcome;
}

/** Decides the key from its versions. Returns an outcome, WANTS_WRITES, or DAMAGED. */
function decideKey(): number {
  if (!hasWrites) return MVCC_NONE;
  const count = word(params + MVCC_WRITES_COUNT);
  const ends = (flags & MVCC_FLAG_WRITES_END) !== 0;
  let outcome: number;
  if ((flags & MVCC_FLAG_REVERSE) !== 0) {
    nextWrite = groupEnd(write, keyAt, keyLength);
    // The newest versions come last.
    if (nextWrite === count && !ends) return WANTS_WRITES;
    outcome = walkBack(write, nextWrite);
  } else {
    outcome = walk(write, count, keyAt, keyLength);
    nextWrite = walkEnd;
    if (outcome === UNDECIDED) {
      if (ends) outcome = MVCC_NONE;
      else if (!isZero(jumpTs)) outcome = MVCC_JUMP;
      else write = nextWrite;
    }
  }
  if (outcome === DAMAGED) return damaged(walkEnd, 0);
  return outcome === UNDECIDED ? WANTS_WRITES : outcome;
}

/** Why a scan cannot take another key, or -1 when it can. */
function stopBefore(): number {
  if (rowsDone === word(params + MVCC_ROWS_CAPACITY)) return MVCC_STOP_ROWS;
  const noWrites = write === word(params + MVCC_WRITES_COUNT);
  if (noWrites && (flags & MVCC_FLAG_WRITES_END) === 0) return MVCC_STOP_WRITES;
  const noLocks = lock === word(params + MVCC_LOCKS_COUNT);
  return noLocks && (flags & MVCC_FLAG_LOCKS_END) === 0 ? MVCC_STOP_LOCKS : -1;
}

/** Twin of the kernel of this name. */
export function mvccScan(memory: LinearMemory, at: number): number {
  begin(memory, at);
  const count = word(at + MVCC_WRITES_COUNT);
  let skip = word(at + MVCC_SKIP);
  let skipLength = word(at + MVCC_SKIP_LENGTH);
  let looked = 0;
  let stop = MVCC_STOP_END;
  let code = 0;
  write = 0;
  lock = 0;
  while (true) {
    if (skipLength !== 0) {
      write = groupEnd(write, skip, skipLength);
      if (write === count && (flags & MVCC_FLAG_WRITES_END) === 0) {
        stop = MVCC_STOP_WRITES;
        break;
      }
      skipLength = 0;
    }
    stop = stopBefore();
    if (stop >= 0) break;
    let outcome = pickKey();
    nextWrite = write;
    if (outcome === UNDECIDED) outcome = decideKey();
    looked += lookedAt;
    if (outcome < 0) {
      stop = outcome === WANTS_WRITES ? MVCC_STOP_WRITES : MVCC_STOP_END;
      if (outcome === DAMAGED) code = CORRUPT;
      break;
    }
    if (outcome !== MVCC_NONE && !putRow(outcome, keyAt, keyLength)) {
      stop = MVCC_STOP_OUT;
      if (rowsDone === 0) code = OUT_FULL;
      break;
    }
    write = nextWrite;
    if (hasLock) lock++;
    if (hasWrites) {
      skip = keyAt;
      skipLength = keyLength;
    }
  }
  put(at + MVCC_STOP, stop);
  put(at + MVCC_WRITES_DONE, write);
  put(at + MVCC_LOCKS_DONE, lock);
  put(at + MVCC_SKIP_NEXT, skip);
  put(at + MVCC_SKIP_NEXT_LENGTH, skipLength);
  finish(looked);
  return code === 0 ? rowsDone : code;
}

/** Decides item `item`; see mvccPoint. Returns an outcome or DAMAGED. */
function readItem(item: number, row: number): number {
  const key = word(row);
  const length = word(row + MVCC_ITEM_KEY_LENGTH);
  const locks = word(params + MVCC_LOCKS);
  readTs.low = word(row + MVCC_ITEM_READ_TS);
  readTs.high = word(row + MVCC_ITEM_READ_TS + 4);
  lookedAt = 0;
  if (locks !== 0) {
    const slice = locks + item * SLICE_BYTES;
    if (word(slice + 4) !== SLICE_ABSENT) {
      const outcome = readLock(word(slice), word(slice + 4), key, length);
      if (outcome === DAMAGED) damaged(item, 1);
      if (outcome !== UNDECIDED) return outcome;
    }
  }
  const first = word(row + MVCC_ITEM_FIRST);
  const count = word(row + MVCC_ITEM_COUNT);
  const isComplete = (count & MVCC_ITEM_COMPLETE) !== 0;
  const outcome = walk(first, first + (count & ~MVCC_ITEM_COMPLETE), key, length);
  if (outcome === DAMAGED) damaged(walkEnd, 0);
  if (outcome !== UNDECIDED) return outcome;
  if (isComplete) return MVCC_NONE;
  return isZero(jumpTs) ? MVCC_MORE : MVCC_JUMP;
}

/** Twin of the kernel of this name. */
export function mvccPoint(memory: LinearMemory, at: number): number {
  begin(memory, at);
  const items = word(at + MVCC_ITEMS);
  const count = word(at + MVCC_ITEMS_COUNT);
  let looked = 0;
  let code = 0;
  for (let item = 0; item < count; item++) {
    const row = items + item * MVCC_ITEM_BYTES;
    const outcome = readItem(item, row);
    looked += lookedAt;
    if (outcome === DAMAGED) {
      code = CORRUPT;
      break;
    }
    if (!putRow(outcome, word(row), word(row + MVCC_ITEM_KEY_LENGTH))) {
      if (item === 0) code = OUT_FULL;
      break;
    }
  }
  finish(looked);
  return code === 0 ? rowsDone : code;
}
