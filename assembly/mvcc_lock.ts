/**
 * Lock records (the format is in src/codec/lock.ts) and whether one blocks a reader. `parseLock`
 * leaves its findings in registers, as parseWrite does. Twin: src/kernel/js/mvcc_lock.ts.
 * Source: tikv txn_types/src/lock.rs check_ts_conflict.
 */
import { loadU64Be } from "./bytes";
import {
  MVCC_ACCESS,
  MVCC_ACCESS_COUNT,
  MVCC_BYPASS,
  MVCC_BYPASS_COUNT,
  MVCC_FLAG_REPLICA_READ,
  MVCC_FLAGS,
  MVCC_ISOLATION_MASK,
  MVCC_SI,
} from "./mvcc_abi";
import { readVar, varValue } from "./mvcc_write";

const PUT: u32 = 0x50;
const DELETE: u32 = 0x44;
const LOCK: u32 = 0x4c;
const PESSIMISTIC: u32 = 0x53;
const SHARED: u32 = 0x48;

/** Answers of `judgeLock`. */
export const LOCK_PASSES: i32 = 0;
export const LOCK_BLOCKS: i32 = 1;
/** The lock's own value is what the reader sees. */
export const LOCK_IS_READ: i32 = 2;
/** RcCheckTs: a write conflict. */
export const LOCK_CONFLICTS: i32 = 3;

let lockType: u32 = 0;
let primary: usize = 0;
let primaryLength: usize = 0;
let minCommitTs: u64 = 0;
let asyncCommit: bool = false;
export let lockStartTs: u64 = 0;
/** Short value; pointer 0 = none. */
export let lockShort: usize = 0;
export let lockShortLength: u32 = 0;
/** The string that `readCompact` read. */
let compact: usize = 0;
let compactLength: usize = 0;

/** Whether the lock parsed last puts a value. */
export function lockPuts(): bool {
  return lockType == PUT;
}

/** Reads zig-zag length and bytes. Returns the address behind them, 0 if cut. */
function readCompact(at: usize, end: usize): usize {
  at = readVar(at, end);
  // An odd number is a negative length.
  if (at == 0 || (varValue & 1) != 0 || varValue >> 1 > <u64>(end - at)) return 0;
  compact = at;
  compactLength = <usize>(varValue >> 1);
  return at + compactLength;
}

/** Passes over `async commit`: a count and as many strings. */
function skipSecondaries(at: usize, end: usize): usize {
  at = readVar(at, end);
  if (at == 0 || varValue > <u64>(end - at)) return 0;
  for (let left = varValue; left > 0; left--) {
    at = readCompact(at, end);
    if (at == 0) return 0;
  }
  return at;
}

/** Passes over `rollback_ts`: a count and as many u64. */
function skipTimestamps(at: usize, end: usize): usize {
  at = readVar(at, end);
  if (at == 0 || varValue > <u64>(end - at) / 8) return 0;
  return at + <usize>varValue * 8;
}

/** Reads the field of `tag`. Returns the address behind it, 0 if cut; `end` at an unknown tag. */
function readField(tag: u32, at: usize, end: usize): usize {
  if (tag == 0x76) {
    // v: short value
    if (at == end) return 0;
    const length = <usize>load<u8>(at++);
    if (length > end - at) return 0;
    lockShort = at;
    lockShortLength = <u32>length;
    return at + length;
  }
  if (tag == 0x66 || tag == 0x74 || tag == 0x63 || tag == 0x67) {
    // f: for_update_ts, t: txn_size, c: min_commit_ts, g: generation
    if (end - at < 8) return 0;
    if (tag == 0x63) minCommitTs = loadU64Be(at);
    return at + 8;
  }
  if (tag == 0x61) {
    asyncCommit = true;
    return skipSecondaries(at, end);
  }
  if (tag == 0x72) return skipTimestamps(at, end);
  if (tag == 0x6c) return end - at < 8 ? 0 : readVar(at + 8, end); // l: last_change
  if (tag == 0x73) return readVar(at, end); // s: txn_source
  return tag == 0x46 ? at : end; // F: locked with conflict
}

/** Parses a record up to its first unknown tag. Returns false for one that is cut or of no known type. */
export function parseLock(at: usize, length: usize): bool {
  const end = at + length;
  if (length == 0) return false;
  const type = <u32>load<u8>(at);
  if (type == SHARED) {
    // Passed by every reader, whoever shares it: its list is not looked at.
    lockType = type;
    return true;
  }
  if (type != PUT && type != DELETE && type != LOCK && type != PESSIMISTIC) return false;
  at = readCompact(at + 1, end);
  if (at == 0) return false;
  primary = compact;
  primaryLength = compactLength;
  at = readVar(at, end);
  if (at == 0) return false;
  lockType = type;
  lockStartTs = varValue;
  lockShort = 0;
  lockShortLength = 0;
  minCommitTs = 0;
  asyncCommit = false;
  // Old records end before the ttl.
  if (at == end) return true;
  at = readVar(at, end);
  while (at != 0 && at < end) at = readField(<u32>load<u8>(at), at + 1, end);
  return at != 0;
}

/** Whether a u64 table holds `ts`. */
function holds(table: usize, count: u32, ts: u64): bool {
  for (let i: u32 = 0; i < count; i++) {
    if (load<u64>(table + (<usize>i << 3)) == ts) return true;
  }
  return false;
}

/** Whether `key`, memcomparable-encoded, is the encoding of the primary. */
function isPrimary(key: usize, length: usize): bool {
  if (length != (primaryLength / 8 + 1) * 9) return false;
  let from = primary;
  let rest = primaryLength;
  while (rest >= 8) {
    if (load<u64>(key) != load<u64>(from) || load<u8>(key, 8) != 0xff) return false;
    key += 9;
    from += 8;
    rest -= 8;
  }
  const mask = ((<u64>1) << (<u64>rest << 3)) - 1;
  return load<u64>(key) == (load<u64>(from) & mask) && load<u8>(key, 8) == <u8>(0xf7 + rest);
}

/** Judges the lock parsed last, on `key`, for the reader at `readTs` that `params` describes. */
export function judgeLock(params: usize, readTs: u64, key: usize, length: usize): i32 {
  const flags = load<u32>(params, MVCC_FLAGS);
  const writes = lockType == PUT || lockType == DELETE;
  const bypass = <usize>load<u32>(params, MVCC_BYPASS);
  const bypassCount = load<u32>(params, MVCC_BYPASS_COUNT);
  if (!writes || holds(bypass, bypassCount, lockStartTs)) return LOCK_PASSES;
  const si = (flags & MVCC_ISOLATION_MASK) == MVCC_SI;
  if (si) {
    if (lockStartTs > readTs || minCommitTs > readTs) return LOCK_PASSES;
    const leads = (flags & MVCC_FLAG_REPLICA_READ) == 0;
    // "Newest" asks for what is committed when the primary is read.
    const newest = readTs == u64.MAX_VALUE && leads && !asyncCommit;
    if (newest && isPrimary(key, length)) return LOCK_PASSES;
  }
  const access = <usize>load<u32>(params, MVCC_ACCESS);
  if (holds(access, load<u32>(params, MVCC_ACCESS_COUNT), lockStartTs)) return LOCK_IS_READ;
  return si ? LOCK_BLOCKS : LOCK_CONFLICTS;
}
