/** Twin of assembly/write_batch.ts: a WriteBatch representation from a table of changes. */
import { compareBytes } from "../../base/index.js";
import {
  CORRUPT,
  HEADER_ERR_ITEM,
  HEADER_NEEDED,
  HEADER_OUT_END,
  OUT_FULL,
  WRITE_BATCH_COUNT_OFFSET,
  WRITE_BATCH_DELETE,
  WRITE_BATCH_DELETE_RANGE,
  WRITE_BATCH_HEADER,
  WRITE_BATCH_PUT,
  WRITE_ROW_BYTES,
  WRITE_ROW_KEY_LENGTH,
  WRITE_ROW_KEY_PTR,
  WRITE_ROW_SUFFIX,
  WRITE_ROW_SUFFIX_LENGTH,
  WRITE_ROW_SUFFIX_MAX,
  WRITE_ROW_VALUE_LENGTH,
  WRITE_ROW_VALUE_PTR,
} from "../abi.js";
import type { LinearMemory } from "../arena.js";

/** Bytes of `value` as a varint. */
function varintLength(value: number): number {
  let length = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) length++;
  return length;
}

/** Writes a varint and returns the address behind it. */
function putVarint(u8: Uint8Array, to: number, value: number): number {
  let at = to;
  let rest = value;
  for (; rest >= 0x80; rest >>>= 7) u8[at++] = rest | 0x80;
  u8[at++] = rest;
  return at;
}

/** Copies inside the memory and returns the address behind the copy. */
function copy(u8: Uint8Array, to: number, from: number, length: number): number {
  u8.copyWithin(to, from, from + length);
  return to + length;
}

/** Whether a delete-range deletes anything; RocksDB fails the whole write, for good, if not. */
function isRange({ u8, u32 }: LinearMemory, row: number, prefixLength: number): boolean {
  const start = u32[(row + WRITE_ROW_KEY_PTR) >> 2] as number;
  const startEnd = start + (u32[(row + WRITE_ROW_KEY_LENGTH) >> 2] as number);
  const end = u32[(row + WRITE_ROW_VALUE_PTR) >> 2] as number;
  const endLength = u32[(row + WRITE_ROW_VALUE_LENGTH) >> 2] as number;
  if (endLength === 0) return prefixLength > 0;
  return compareBytes(u8.subarray(start, startEnd), u8.subarray(end, end + endLength)) < 0;
}

/** Length of the second string of a row; -1 when the row is malformed. */
function secondLength(memory: LinearMemory, row: number, prefixLength: number): number {
  const suffixLength = memory.u8[row + WRITE_ROW_SUFFIX_LENGTH] as number;
  if (suffixLength > WRITE_ROW_SUFFIX_MAX) return -1;
  const length = memory.u32[(row + WRITE_ROW_VALUE_LENGTH) >> 2] as number;
  switch (memory.u8[row]) {
    case WRITE_BATCH_PUT:
      return length + suffixLength;
    case WRITE_BATCH_DELETE:
      return 0;
    case WRITE_BATCH_DELETE_RANGE:
      return isRange(memory, row, prefixLength) ? prefixLength + length : -1;
    default:
      return -1;
  }
}

/** Writes the second string of a put or delete-range; returns the address behind it. */
function putSecond(
  memory: LinearMemory,
  to: number,
  row: number,
  length: number,
  prefix: number,
  prefixLength: number,
): number {
  const { u8, u32 } = memory;
  const from = u32[(row + WRITE_ROW_VALUE_PTR) >> 2] as number;
  const valueLength = u32[(row + WRITE_ROW_VALUE_LENGTH) >> 2] as number;
  let at = putVarint(u8, to, length);
  if (u8[row] === WRITE_BATCH_PUT) {
    at = copy(u8, at, from, valueLength);
    return copy(u8, at, row + WRITE_ROW_SUFFIX, u8[row + WRITE_ROW_SUFFIX_LENGTH] as number);
  }
  at = copy(u8, at, prefix, prefixLength);
  if (valueLength === 0) u8[at - 1] = (u8[at - 1] as number) + 1;
  return copy(u8, at, from, valueLength);
}

/** Twin of the kernel of this name. */
export function writeBatchBuild(
  memory: LinearMemory,
  rows: number,
  count: number,
  prefix: number,
  prefixLength: number,
  out: number,
  outEnd: number,
): number {
  const { u8, u32, view } = memory;
  if (outEnd - out < WRITE_BATCH_HEADER) {
    u32[HEADER_OUT_END >> 2] = out;
    u32[HEADER_ERR_ITEM >> 2] = 0;
    u32[HEADER_NEEDED >> 2] = WRITE_BATCH_HEADER;
    return OUT_FULL;
  }
  u8.fill(0, out, out + WRITE_BATCH_HEADER);
  let to = out + WRITE_BATCH_HEADER;
  let done = 0;
  let code = count;
  for (; done < count; done++) {
    const row = rows + done * WRITE_ROW_BYTES;
    const second = secondLength(memory, row, prefixLength);
    if (second < 0) {
      u32[HEADER_ERR_ITEM >> 2] = done;
      code = CORRUPT;
      break;
    }
    const isDelete = u8[row] === WRITE_BATCH_DELETE;
    const keyLength = u32[(row + WRITE_ROW_KEY_LENGTH) >> 2] as number;
    const fullLength = prefixLength + keyLength;
    const needed =
      1 + varintLength(fullLength) + fullLength + (isDelete ? 0 : varintLength(second) + second);
    if (needed > outEnd - to) {
      u32[HEADER_ERR_ITEM >> 2] = done;
      u32[HEADER_NEEDED >> 2] = WRITE_BATCH_HEADER + needed;
      code = done === 0 ? OUT_FULL : done;
      break;
    }
    u8[to] = u8[row] as number;
    to = putVarint(u8, to + 1, fullLength);
    to = copy(u8, to, prefix, prefixLength);
    to = copy(u8, to, u32[(row + WRITE_ROW_KEY_PTR) >> 2] as number, keyLength);
    if (!isDelete) to = putSecond(memory, to, row, second, prefix, prefixLength);
  }
  view.setUint32(out + WRITE_BATCH_COUNT_OFFSET, done, true);
  u32[HEADER_OUT_END >> 2] = to;
  return code;
}
