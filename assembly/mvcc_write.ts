/**
 * Write records; the format is in src/codec/write.ts. `parseWrite` leaves its findings in registers,
 * which carry nothing from one kernel call to the next. Twin: src/kernel/js/mvcc_write.ts. Hot path.
 */
import { loadU64Be } from "./bytes";

export const WRITE_PUT: u32 = 0x50;
export const WRITE_DELETE: u32 = 0x44;
export const WRITE_LOCK: u32 = 0x4c;
export const WRITE_ROLLBACK: u32 = 0x52;

/** Of the record parsed last: type, start ts, short value (pointer 0 = none). */
export let writeType: u32 = 0;
export let writeStartTs: u64 = 0;
export let writeShort: usize = 0;
export let writeShortLength: u32 = 0;
/** 0 = none. */
export let writeFence: u64 = 0;
/** (0, 0) = unknown. */
export let lastChangeTs: u64 = 0;
export let lastChangeVersions: u64 = 0;
/** The number that `readVar` read. */
export let varValue: u64 = 0;

/** Reads a varint of at most 64 bits into varValue. Returns the address behind it, 0 if cut. */
export function readVar(at: usize, end: usize): usize {
  let value: u64 = 0;
  let shift: u64 = 0;
  while (at < end) {
    const byte = load<u8>(at++);
    if (shift == 63 && byte > 1) return 0;
    value |= (<u64>(byte & 0x7f)) << shift;
    if (byte < 0x80) {
      varValue = value;
      return at;
    }
    shift += 7;
  }
  return 0;
}

/** Parses a record up to its first unknown tag. Returns false for one that is cut or of no known type. */
export function parseWrite(at: usize, length: usize): bool {
  const end = at + length;
  if (length == 0) return false;
  const type = <u32>load<u8>(at);
  const known =
    type == WRITE_PUT || type == WRITE_DELETE || type == WRITE_LOCK || type == WRITE_ROLLBACK;
  if (!known) return false;
  at = readVar(at + 1, end);
  if (at == 0) return false;
  writeType = type;
  writeStartTs = varValue;
  writeShort = 0;
  writeShortLength = 0;
  writeFence = 0;
  lastChangeTs = 0;
  lastChangeVersions = 0;
  while (at < end) {
    const tag = <u32>load<u8>(at++);
    if (tag == 0x76) {
      // v: short value
      if (at == end) return false;
      const bytes = <usize>load<u8>(at++);
      if (bytes > end - at) return false;
      writeShort = at;
      writeShortLength = <u32>bytes;
      at += bytes;
    } else if (tag == 0x46) {
      // F: gc_fence
      if (end - at < 8) return false;
      writeFence = loadU64Be(at);
      at += 8;
    } else if (tag == 0x6c) {
      // l: last_change
      if (end - at < 8) return false;
      lastChangeTs = loadU64Be(at);
      at = readVar(at + 8, end);
      if (at == 0) return false;
      lastChangeVersions = varValue;
    } else if (tag == 0x53) {
      // S: txn_source
      at = readVar(at, end);
      if (at == 0) return false;
    } else if (tag != 0x52) {
      // Not R, the overlapped rollback: a field of the future.
      return true;
    }
  }
  return true;
}
