/**
 * Twin of assembly/mvcc_lock.ts: lock records, and whether one blocks a reader.
 * Source: tikv txn_types/src/lock.rs check_ts_conflict.
 */
import {
  MVCC_ACCESS,
  MVCC_ACCESS_COUNT,
  MVCC_BYPASS,
  MVCC_BYPASS_COUNT,
  MVCC_FLAG_REPLICA_READ,
  MVCC_FLAGS,
  MVCC_ISOLATION_MASK,
  MVCC_SI,
} from "../abi.js";
import { byteAt, word } from "./linear.js";
import { memcomparableLength } from "./memcomparable.js";
import { found, isGreater, loadPairBe, readVar, setPair, type U64Pair } from "./mvcc_write.js";

const PUT = 0x50;
const DELETE = 0x44;
const LOCK = 0x4c;
const PESSIMISTIC = 0x53;
const SHARED = 0x48;
const U32_MAX = 0xffff_ffff;

/** Answers of `judgeLock`. */
export const LOCK_PASSES = 0;
export const LOCK_BLOCKS = 1;
/** The lock's own value is what the reader sees. */
export const LOCK_IS_READ = 2;
/** RcCheckTs: a write conflict. */
export const LOCK_CONFLICTS = 3;

/** What `parseLock` found last. Short value pointer 0 = none. */
export const lock = {
  type: 0,
  primary: 0,
  primaryLength: 0,
  startTs: { low: 0, high: 0 },
  minCommitTs: { low: 0, high: 0 },
  asyncCommit: false,
  short: 0,
  shortLength: 0,
};
/** The string that `readCompact` read. */
let compact = 0;
let compactLength = 0;

/** Whether the lock parsed last puts a value. */
export function lockPuts(): boolean {
  return lock.type === PUT;
}

/** Reads zig-zag length and bytes. Returns the address behind them, 0 if cut. */
function readCompact(from: number, end: number): number {
  const at = readVar(from, end);
  const { low, high } = found.variable;
  // An odd number is a negative length.
  if (at === 0 || high !== 0 || (low & 1) !== 0 || low >>> 1 > end - at) return 0;
  compact = at;
  compactLength = low >>> 1;
  return at + compactLength;
}

/** Passes over `count` strings, or over that many u64. Returns 0 if cut. */
function skipList(from: number, end: number, strings: boolean): number {
  let at = readVar(from, end);
  const { low, high } = found.variable;
  if (at === 0 || high !== 0 || low > (strings ? end - at : (end - at) / 8)) return 0;
  if (!strings) return at + low * 8;
  for (let left = low; left > 0 && at !== 0; left--) at = readCompact(at, end);
  return at;
}

/** Reads the field of `tag`. Returns the address behind it, 0 if cut; `end` at an unknown tag. */
function readField(tag: number, at: number, end: number): number {
  switch (tag) {
    case 0x76: // v: short value
      if (at === end || byteAt(at) > end - at - 1) return 0;
      lock.short = at + 1;
      lock.shortLength = byteAt(at);
      return at + 1 + lock.shortLength;
    case 0x63: // c: min_commit_ts
      if (end - at < 8) return 0;
      loadPairBe(lock.minCommitTs, at);
      return at + 8;
    case 0x66: // f: for_update_ts
    case 0x74: // t: txn_size
    case 0x67: // g: generation
      return end - at < 8 ? 0 : at + 8;
    case 0x61: // a: async commit
      lock.asyncCommit = true;
      return skipList(at, end, true);
    case 0x72: // r: rollback_ts
      return skipList(at, end, false);
    case 0x6c: // l: last_change
      return end - at < 8 ? 0 : readVar(at + 8, end);
    case 0x73: // s: txn_source
      return readVar(at, end);
    case 0x46: // F: locked with conflict
      return at;
    default:
      return end;
  }
}

function isLockType(type: number): boolean {
  return type === PUT || type === DELETE || type === LOCK || type === PESSIMISTIC;
}

/** Parses a record up to its first unknown tag. Returns false for one that is cut or of no known type. */
export function parseLock(from: number, length: number): boolean {
  const end = from + length;
  if (length === 0) return false;
  if (byteAt(from) === SHARED) {
    // Passed by every reader, whoever shares it: its list is not looked at.
    lock.type = SHARED;
    return true;
  }
  if (!isLockType(byteAt(from))) return false;
  let at = readCompact(from + 1, end);
  if (at === 0) return false;
  lock.primary = compact;
  lock.primaryLength = compactLength;
  at = readVar(at, end);
  if (at === 0) return false;
  lock.type = byteAt(from);
  setPair(lock.startTs, found.variable);
  lock.short = 0;
  lock.shortLength = 0;
  lock.minCommitTs.low = 0;
  lock.minCommitTs.high = 0;
  lock.asyncCommit = false;
  // Old records end before the ttl.
  if (at === end) return true;
  at = readVar(at, end);
  while (at !== 0 && at < end) at = readField(byteAt(at), at + 1, end);
  return at !== 0;
}

/** Whether a u64 table holds the start ts of the lock. */
function holdsStartTs(table: number, count: number): boolean {
  const { low, high } = lock.startTs;
  for (let at = table; at < table + count * 8; at += 8) {
    if (word(at) === low && word(at + 4) === high) return true;
  }
  return false;
}

/** Whether `key`, memcomparable-encoded, is the encoding of the primary. */
function isPrimary(key: number, length: number): boolean {
  const { primary, primaryLength } = lock;
  if (length !== memcomparableLength(primaryLength)) return false;
  for (let group = 0; group * 9 < length; group++) {
    const bytes = Math.min(8, primaryLength - group * 8);
    if (byteAt(key + group * 9 + 8) !== 0xf7 + bytes) return false;
    for (let i = 0; i < 8; i++) {
      const byte = i < bytes ? byteAt(primary + group * 8 + i) : 0;
      if (byteAt(key + group * 9 + i) !== byte) return false;
    }
  }
  return true;
}

/** Judges the lock parsed last, on `key`, for the reader at `readTs` that `params` describes. */
export function judgeLock(params: number, readTs: U64Pair, key: number, length: number): number {
  const flags = word(params + MVCC_FLAGS);
  const writes = lock.type === PUT || lock.type === DELETE;
  const bypass = word(params + MVCC_BYPASS);
  const bypassCount = word(params + MVCC_BYPASS_COUNT);
  if (!writes || holdsStartTs(bypass, bypassCount)) return LOCK_PASSES;
  const si = (flags & MVCC_ISOLATION_MASK) === MVCC_SI;
  if (si) {
    if (isGreater(lock.startTs, readTs) || isGreater(lock.minCommitTs, readTs)) return LOCK_PASSES;
    const newest = readTs.low === U32_MAX && readTs.high === U32_MAX;
    const leads = (flags & MVCC_FLAG_REPLICA_READ) === 0;
    // "Newest" asks for what is committed when the primary is read.
    if (newest && leads && !lock.asyncCommit && isPrimary(key, length)) return LOCK_PASSES;
  }
  const isCommitted = holdsStartTs(word(params + MVCC_ACCESS), word(params + MVCC_ACCESS_COUNT));
  if (isCommitted) return LOCK_IS_READ;
  return si ? LOCK_BLOCKS : LOCK_CONFLICTS;
}
