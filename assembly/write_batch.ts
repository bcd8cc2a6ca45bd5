/**
 * RocksDB WriteBatch representations from a table of changes whose keys and values lie anywhere in
 * memory; layouts in abi.ts. Hot path. Twin: src/kernel/js/write_batch.ts; the reader and the
 * builder for single changes are src/engine/write_batch.ts.
 */
import {
  CORRUPT,
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
} from "./abi";
import { setErrItem, setNeeded, setOutEnd } from "./arena";
import { copyBytes, isBefore, storeVarint32, varint32Length } from "./bytes";

/** Stores the count of a batch that starts at `out` and ends at `to`. */
function finish(out: usize, to: usize, count: i32): void {
  store<u32>(out, count, WRITE_BATCH_COUNT_OFFSET);
  setOutEnd(to);
}

// @ts-ignore: decorator
@inline
/** Copies the short key prefix. */
function copyPrefix(to: usize, prefix: usize, length: usize): usize {
  for (let i: usize = 0; i < length; i++) store<u8>(to + i, load<u8>(prefix + i));
  return to + length;
}

// @ts-ignore: decorator
@inline
/** Length of the second string of a row: value and suffix, end key, or nothing. */
function secondLength(row: usize, op: u32, prefixLength: usize): usize {
  if (op == WRITE_BATCH_DELETE) return 0;
  const length = <usize>load<u32>(row, WRITE_ROW_VALUE_LENGTH);
  if (op == WRITE_BATCH_DELETE_RANGE) return prefixLength + length;
  return length + <usize>load<u8>(row, WRITE_ROW_SUFFIX_LENGTH);
}

/** Writes the second string of a put or delete-range. */
function putSecond(
  to: usize,
  row: usize,
  op: u32,
  length: usize,
  prefix: usize,
  prefixLength: usize,
): usize {
  to = storeVarint32(to, <u32>length);
  const from = <usize>load<u32>(row, WRITE_ROW_VALUE_PTR);
  const valueLength = <usize>load<u32>(row, WRITE_ROW_VALUE_LENGTH);
  if (op == WRITE_BATCH_PUT) {
    to = copyBytes(to, from, valueLength);
    return copyBytes(to, row + WRITE_ROW_SUFFIX, <usize>load<u8>(row, WRITE_ROW_SUFFIX_LENGTH));
  }
  to = copyPrefix(to, prefix, prefixLength);
  if (valueLength == 0) {
    // The end of all keys with the prefix is the prefix with its last byte increased.
    store<u8>(to - 1, load<u8>(to - 1) + 1);
    return to;
  }
  return copyBytes(to, from, valueLength);
}

/** Whether a delete-range deletes anything; RocksDB fails the whole write, for good, if not. */
function isRange(row: usize, prefixLength: usize): bool {
  const endLength = <usize>load<u32>(row, WRITE_ROW_VALUE_LENGTH);
  if (endLength == 0) return prefixLength > 0;
  return isBefore(
    <usize>load<u32>(row, WRITE_ROW_KEY_PTR),
    <usize>load<u32>(row, WRITE_ROW_KEY_LENGTH),
    <usize>load<u32>(row, WRITE_ROW_VALUE_PTR),
    endLength,
  );
}

/**
 * Builds one representation at `out` from `count` rows; every key gets `prefix` in front. Returns
 * rows done; what was built from them is complete in any case. OUT_FULL: header and first row do
 * not fit, HEADER_NEEDED says what they want. CORRUPT: unknown op, suffix too long, or a
 * delete-range that does not end behind its start.
 */
export function writeBatchBuild(
  rows: usize,
  count: i32,
  prefix: usize,
  prefixLength: usize,
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
  for (let item = 0; item < count; item++) {
    const row = rows + <usize>item * WRITE_ROW_BYTES;
    const op = <u32>load<u8>(row);
    const suffixLength = <i32>load<u8>(row, WRITE_ROW_SUFFIX_LENGTH);
    const second = secondLength(row, op, prefixLength);
    const known =
      op == WRITE_BATCH_PUT ||
      op == WRITE_BATCH_DELETE ||
      (op == WRITE_BATCH_DELETE_RANGE && isRange(row, prefixLength));
    if (!known || suffixLength > WRITE_ROW_SUFFIX_MAX) {
      setErrItem(item);
      finish(out, to, item);
      return CORRUPT;
    }
    const keyLength = <usize>load<u32>(row, WRITE_ROW_KEY_LENGTH);
    const fullLength = prefixLength + keyLength;
    let needed: usize = 1 + varint32Length(<u32>fullLength) + fullLength;
    if (op != WRITE_BATCH_DELETE) needed += varint32Length(<u32>second) + second;
    if (needed > outEnd - to) {
      setNeeded(item, <usize>WRITE_BATCH_HEADER + needed);
      finish(out, to, item);
      return item == 0 ? OUT_FULL : item;
    }
    store<u8>(to, op);
    to = storeVarint32(to + 1, <u32>fullLength);
    to = copyPrefix(to, prefix, prefixLength);
    to = copyBytes(to, <usize>load<u32>(row, WRITE_ROW_KEY_PTR), keyLength);
    if (op != WRITE_BATCH_DELETE) to = putSecond(to, row, op, second, prefix, prefixLength);
  }
  finish(out, to, count);
  return count;
}
