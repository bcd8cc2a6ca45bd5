/**
 * The CRC of pairs through the kernel: pairs are copied into linear memory in groups that fit; a
 * pair that does not fit alone goes to the twin. It takes a turn of the arena, so it must not be
 * called inside one (read_pool.ts runs checksums in turns of their own).
 */
import { assert } from "../base/index.js";
import { crc64, crc64Pairs, type Kernels, writeSlices } from "../kernel/index.js";
import type { Crc64Pairs, RawScanPair } from "../raw/index.js";

/** Bytes of a table row, and of the kernel's result with its alignment. */
const ROW_BYTES = 16;
const RESULT_BYTES = 64;

/** Returns the checksum function over the kernels of this thread. */
export function checksumWith(kernels: Kernels): Crc64Pairs {
  const room = kernels.arena.scratch.free - RESULT_BYTES;
  return (pairs) => {
    let sum = 0n;
    for (let first = 0; first < pairs.length; ) {
      const count = fitting(pairs, first, room);
      if (count === 0) {
        const { key, value } = pairs[first] as RawScanPair;
        sum ^= crc64(key, value);
        first++;
        continue;
      }
      sum ^= checksumOf(kernels, pairs.slice(first, first + count));
      first += count;
    }
    return sum;
  };
}

/** How many pairs from `first` on fit into `room` bytes. */
function fitting(pairs: readonly RawScanPair[], first: number, room: number): number {
  let bytes = 0;
  let end = first;
  for (; end < pairs.length; end++) {
    const { key, value } = pairs[end] as RawScanPair;
    bytes += key.length + value.length + ROW_BYTES;
    if (bytes > room) break;
  }
  return end - first;
}

function checksumOf(kernels: Kernels, pairs: readonly RawScanPair[]): bigint {
  const { arena } = kernels;
  arena.enter();
  try {
    const keys = writeSlices(
      arena,
      arena.scratch,
      pairs.map((pair) => pair.key),
    );
    const values = writeSlices(
      arena,
      arena.scratch,
      pairs.map((pair) => pair.value),
    );
    const result = crc64Pairs(kernels, keys, values, pairs.length);
    assert(keys !== 0 && values !== 0 && result !== undefined, "the group was measured to fit");
    return result.checksum;
  } finally {
    arena.leave();
  }
}
