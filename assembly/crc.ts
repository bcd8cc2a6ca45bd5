/**
 * CRC-64/XZ (polynomial 0x42f0e1eba9ea3693, reflected, inverted in and out) eight bytes a step, and
 * the checksum of key-value pairs that RawChecksum and coprocessor checksums use.
 * Hot path. Twin: src/kernel/js/crc.ts.
 */
import { CRC_RESULT_BYTES_OFFSET } from "./abi";
import { sliceLength, slicePtr, sliceRow } from "./block";

/** The polynomial with its bits reversed. */
const POLYNOMIAL: u64 = 0xc96c5795d7870f42;

/** Documented state: tables[k][byte] = CRC of byte followed by k zero bytes; built by init. */
const tables: usize = memory.data(8 * 256 * 8, 8);

/** Builds the tables; once per instance. */
export function initCrc64(): void {
  for (let byte = 0; byte < 256; byte++) {
    let crc: u64 = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >> 1) ^ POLYNOMIAL : crc >> 1;
    store<u64>(tables + (<usize>byte << 3), crc);
  }
  for (let index = 256; index < 8 * 256; index++) {
    const shorter = load<u64>(tables + (<usize>(index - 256) << 3));
    const next = (shorter >> 8) ^ entry(0, shorter & 0xff);
    store<u64>(tables + (<usize>index << 3), next);
  }
}

// @ts-ignore: decorator
@inline
/** tables[k][byte]. */
function entry(k: usize, byte: u64): u64 {
  return load<u64>(tables + (k << 11) + (<usize>byte << 3));
}

/** Feeds bytes into a running (inverted) CRC. */
function update(crc: u64, from: usize, length: usize): u64 {
  const end = from + length;
  while (end - from >= 8) {
    const word = crc ^ load<u64>(from);
    crc =
      entry(7, word & 0xff) ^
      entry(6, (word >> 8) & 0xff) ^
      entry(5, (word >> 16) & 0xff) ^
      entry(4, (word >> 24) & 0xff) ^
      entry(3, (word >> 32) & 0xff) ^
      entry(2, (word >> 40) & 0xff) ^
      entry(1, (word >> 48) & 0xff) ^
      entry(0, word >> 56);
    from += 8;
  }
  while (from < end) {
    crc = (crc >> 8) ^ entry(0, (crc ^ <u64>load<u8>(from)) & 0xff);
    from += 1;
  }
  return crc;
}

/**
 * XORs the CRCs of key · value of `count` pairs and sums their lengths; the two u64 go to `result`
 * (8-byte aligned, 16 bytes). Returns count.
 */
export function crc64Pairs(keys: usize, values: usize, count: i32, result: usize): i32 {
  let checksum: u64 = 0;
  let bytes: u64 = 0;
  for (let item = 0; item < count; item++) {
    const key = sliceRow(keys, item);
    const value = sliceRow(values, item);
    const keyLength = sliceLength(key);
    const valueLength = sliceLength(value);
    const crc = update(~(<u64>0), slicePtr(key), keyLength);
    checksum ^= ~update(crc, slicePtr(value), valueLength);
    bytes += keyLength + valueLength;
  }
  store<u64>(result, checksum);
  store<u64>(result, bytes, CRC_RESULT_BYTES_OFFSET);
  return count;
}
