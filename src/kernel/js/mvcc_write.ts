/**
 * Twin of assembly/mvcc_write.ts: write records, parsed into registers. Numbers of 64 bits are pairs
 * of u32. Not here: records as objects (src/codec/write.ts).
 */
import { byteAt, u32Be } from "./linear.js";

export const WRITE_PUT = 0x50;
export const WRITE_DELETE = 0x44;
const WRITE_LOCK = 0x4c;
const WRITE_ROLLBACK = 0x52;

/** A u64 as two halves. */
export interface U64Pair {
  low: number;
  high: number;
}

/** What `parseWrite` and `readVar` found last. Short value pointer 0 = none; fence 0 = none. */
export const found = {
  type: 0,
  startTs: { low: 0, high: 0 },
  short: 0,
  shortLength: 0,
  fence: { low: 0, high: 0 },
  lastChangeTs: { low: 0, high: 0 },
  lastChangeVersions: { low: 0, high: 0 },
  variable: { low: 0, high: 0 },
};

/** Copies a pair. */
export function setPair(to: U64Pair, from: U64Pair): void {
  to.low = from.low;
  to.high = from.high;
}

/** Loads big-endian bytes. */
export function loadPairBe(to: U64Pair, at: number): void {
  to.high = u32Be(at);
  to.low = u32Be(at + 4);
}

/** Whether a pair is 0. */
export function isZero({ low, high }: U64Pair): boolean {
  return low === 0 && high === 0;
}

/** Whether a > b. */
export function isGreater(a: U64Pair, b: U64Pair): boolean {
  return a.high === b.high ? a.low > b.low : a.high > b.high;
}

/** Reads a varint of at most 64 bits into found.variable. Returns the address behind it, 0 if cut. */
export function readVar(from: number, end: number): number {
  let at = from;
  let low = 0;
  let high = 0;
  for (let shift = 0; at < end; shift += 7) {
    const byte = byteAt(at++);
    if (shift === 63 && byte > 1) return 0;
    const bits = byte & 0x7f;
    if (shift < 28) low |= bits << shift;
    else if (shift === 28) {
      low |= bits << 28;
      high |= bits >>> 4;
    } else high |= bits << (shift - 32);
    if (byte < 0x80) {
      found.variable.low = low >>> 0;
      found.variable.high = high >>> 0;
      return at;
    }
  }
  return 0;
}

function isWriteType(type: number): boolean {
  return (
    type === WRITE_PUT || type === WRITE_DELETE || type === WRITE_LOCK || type === WRITE_ROLLBACK
  );
}

/** Reads the field of `tag`. Returns the address behind it, 0 if cut; `end` at an unknown tag. */
function readField(tag: number, at: number, end: number): number {
  switch (tag) {
    case 0x76: // v: short value
      if (at === end || byteAt(at) > end - at - 1) return 0;
      found.short = at + 1;
      found.shortLength = byteAt(at);
      return at + 1 + found.shortLength;
    case 0x52: // R: overlapped rollback
      return at;
    case 0x46: // F: gc_fence
      if (end - at < 8) return 0;
      loadPairBe(found.fence, at);
      return at + 8;
    case 0x6c: {
      // l: last_change
      if (end - at < 8) return 0;
      loadPairBe(found.lastChangeTs, at);
      const behind = readVar(at + 8, end);
      setPair(found.lastChangeVersions, found.variable);
      return behind;
    }
    case 0x53: // S: txn_source
      return readVar(at, end);
    default:
      return end;
  }
}

/** Parses a record up to its first unknown tag. Returns false for one that is cut or of no known type. */
export function parseWrite(from: number, length: number): boolean {
  const end = from + length;
  if (length === 0 || !isWriteType(byteAt(from))) return false;
  let at = readVar(from + 1, end);
  if (at === 0) return false;
  found.type = byteAt(from);
  setPair(found.startTs, found.variable);
  found.short = 0;
  found.shortLength = 0;
  found.fence.low = 0;
  found.fence.high = 0;
  found.lastChangeTs.low = 0;
  found.lastChangeTs.high = 0;
  found.lastChangeVersions.low = 0;
  found.lastChangeVersions.high = 0;
  while (at !== 0 && at < end) at = readField(byteAt(at), at + 1, end);
  return at !== 0;
}
