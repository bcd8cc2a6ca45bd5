/**
 * Versioned keys in batches: prefix · memcomparable(user key) · big-endian NOT(ts), so that newer
 * versions sort first. Hot path. Twin: src/kernel/js/key.ts.
 * Source: tikv txn_types/src/types.rs (append_ts, split_on_ts_for).
 */
import { CORRUPT, OUT_FULL, TS_BYTES } from "./abi";
import { setErrItem, setNeeded, setOutEnd } from "./arena";
import { setSlice, sliceLength, slicePtr, sliceRow } from "./block";
import { copyBytes, loadU64Be, storeU64Be } from "./bytes";
import { encodedLength, encodeOne } from "./memcomparable";

/**
 * Builds `count` keys into `[out, outEnd)`, one after the other, and lists them in `outTable`:
 * prefix, then the slice of `table` (memcomparable-encoded when `encode` is 1, copied when 0), then
 * the descending form of the u64 in `tsTable`. Returns items done, or OUT_FULL.
 */
export function keyAppendTs(
  table: usize,
  tsTable: usize,
  count: i32,
  prefix: usize,
  prefixLength: usize,
  outTable: usize,
  out: usize,
  outEnd: usize,
  encode: i32,
): i32 {
  let to = out;
  for (let item = 0; item < count; item++) {
    const row = sliceRow(table, item);
    const length = sliceLength(row);
    const needed = prefixLength + (encode ? encodedLength(length) : length) + TS_BYTES;
    if (needed > outEnd - to) {
      setOutEnd(to);
      setNeeded(item, needed);
      return item == 0 ? OUT_FULL : item;
    }
    setSlice(sliceRow(outTable, item), to, needed);
    for (let i: usize = 0; i < prefixLength; i++) store<u8>(to + i, load<u8>(prefix + i));
    to += prefixLength;
    const from = slicePtr(row);
    to = encode ? encodeOne(to, from, length, 0) : copyBytes(to, from, length);
    storeU64Be(to, ~load<u64>(tsTable + (<usize>item << 3)));
    to += TS_BYTES;
  }
  setOutEnd(to);
  return count;
}

/**
 * Takes `count` keys apart in place: `outTable` gets the slices between prefix and timestamp,
 * `tsTable` the timestamps. Returns items done, or CORRUPT for a key that is too short.
 */
export function keySplitTs(
  table: usize,
  count: i32,
  prefixLength: usize,
  outTable: usize,
  tsTable: usize,
): i32 {
  for (let item = 0; item < count; item++) {
    const row = sliceRow(table, item);
    const length = sliceLength(row);
    if (length < prefixLength + TS_BYTES) {
      setErrItem(item);
      return CORRUPT;
    }
    const from = slicePtr(row);
    const kept = length - prefixLength - TS_BYTES;
    setSlice(sliceRow(outTable, item), from + prefixLength, kept);
    store<u64>(tsTable + (<usize>item << 3), ~loadU64Be(from + length - TS_BYTES));
  }
  return count;
}
