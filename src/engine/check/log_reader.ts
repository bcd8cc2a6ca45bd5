/**
 * Reads RocksDB's log format, which write-ahead logs and MANIFEST share: 32 KiB blocks of physical
 * records, a logical record is one FULL or FIRST, MIDDLE…, LAST.
 *
 *   record   ┌ u32 masked crc32c ┬ u16 length ┬ u8 type ┬ (u32 log number, types 5–8) ┬ payload ┐
 *            └ the crc covers type, log number and payload; < 7 bytes at a block's end are skipped
 *
 * A log that was being written when the process or the machine stopped ends in a torn record; that is
 * not damage. Damage is a bad record with a good one behind it. Source: RocksDB wiki, "Write Ahead
 * Log File Format".
 */
import { crc32c, maskedCrc } from "./crc32c.js";

const BLOCK = 32 * 1024;
const HEADER = 7;
const HEADER_RECYCLABLE = 11;

/** PERSISTED: do not renumber. Types 5–8 are 1–4 of files that RocksDB reuses. */
const FULL = 1;
const FIRST = 2;
const LAST = 4;
const RECYCLABLE_FIRST = 5;
const TYPE_MAX = 8;

export interface LogRecord {
  /** Where the logical record starts in the file. */
  readonly offset: number;
  readonly payload: Uint8Array;
}

export interface LogContents {
  readonly records: readonly LogRecord[];
  /** The first byte that is no part of a whole record; undefined when the log ends cleanly. */
  readonly badAt: number | undefined;
  readonly badWhy: string;
  /** A record starts whole behind `badAt`: the log is damaged in the middle. */
  readonly goodBehind: boolean;
}

interface Physical {
  /** 1–4. */
  readonly type: number;
  readonly payload: Uint8Array;
  readonly end: number;
}

/** Returns all whole records before the first bad byte, and what that is. */
export function readLog(bytes: Uint8Array): LogContents {
  const records: LogRecord[] = [];
  let parts: Uint8Array[] = [];
  let started = 0;
  let at = 0;
  const bad = (offset: number, why: string): LogContents => ({
    records,
    badAt: offset,
    badWhy: why,
    goodBehind: startsBehind(bytes, offset),
  });
  for (;;) {
    if (BLOCK - (at % BLOCK) < HEADER) at += BLOCK - (at % BLOCK);
    if (at >= bytes.length) break;
    const physical = physicalAt(bytes, at);
    if (typeof physical === "string") return bad(parts.length > 0 ? started : at, physical);
    const opens = physical.type <= FIRST;
    if (opens && parts.length > 0) return bad(started, "a record has no end");
    if (!opens && parts.length === 0) return bad(at, "a record has no start");
    if (opens) started = at;
    parts.push(physical.payload);
    if (physical.type === FULL || physical.type === LAST) {
      records.push({ offset: started, payload: joined(parts) });
      parts = [];
    }
    at = physical.end;
  }
  if (parts.length > 0) return bad(started, "a record has no end");
  return { records, badAt: undefined, badWhy: "", goodBehind: false };
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  return parts.length === 1 ? (parts[0] as Uint8Array) : Buffer.concat(parts);
}

/** Returns the physical record at `at`, or why there is none. */
function physicalAt(bytes: Uint8Array, at: number): Physical | string {
  const blockLeft = BLOCK - (at % BLOCK);
  if (at + HEADER > bytes.length) return "a header is cut off";
  const type = bytes[at + 6] as number;
  const length = (bytes[at + 4] as number) | ((bytes[at + 5] as number) << 8);
  if (type === 0 || type > TYPE_MAX) return `unknown record type ${type}`;
  const header = type >= RECYCLABLE_FIRST ? HEADER_RECYCLABLE : HEADER;
  if (header + length > blockLeft) return "a record leaves its block";
  const end = at + header + length;
  if (end > bytes.length) return "a record is cut off";
  const stored = new DataView(bytes.buffer, bytes.byteOffset + at, 4).getUint32(0, true);
  if (maskedCrc(crc32c(bytes, at + 6, end)) !== stored) return "a checksum does not match";
  return {
    type: type >= RECYCLABLE_FIRST ? type - 4 : type,
    payload: bytes.subarray(at + header, end),
    end,
  };
}

/**
 * Returns whether a logical record starts anywhere behind `offset` with a matching checksum. The
 * rest of a torn record may be whole in places, so MIDDLE and LAST say nothing.
 */
function startsBehind(bytes: Uint8Array, offset: number): boolean {
  for (let at = offset + 1; at + HEADER <= bytes.length; at++) {
    const type = bytes[at + 6] as number;
    const opens = type === FULL || type === FIRST || type === 5 || type === 6;
    if (opens && typeof physicalAt(bytes, at) !== "string") return true;
  }
  return false;
}
