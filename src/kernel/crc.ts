/** Façade of the checksum kernel: pairs in linear memory, one sum out. */
import { assert } from "../base/index.js";
import { CRC_RESULT_BYTES, CRC_RESULT_BYTES_OFFSET } from "./abi.js";
import { type Kernels, pick } from "./kernels.js";

/**
 * Fewest items for which wasm beats the twin in linear memory. Measured in ns a call, twin and SIMD
 * build, one build a process, best of 300, Node 20, x86-64:
 * 499 and 250 for 1 pair of 24 and 100 bytes, 6742 and 2124 for 16.
 */
export const CRC_WASM_MIN_ITEMS = 1;

export interface PairsChecksum {
  /** XOR of crc64(key · value) over the pairs. */
  readonly checksum: bigint;
  /** Sum of the lengths of keys and values. */
  readonly bytes: number;
}

/**
 * Returns the checksum of `count` pairs, listed in the slice tables `keys` and `values`.
 * Sums of several calls combine by XOR and addition. Needs 16 bytes of scratch during the call;
 * undefined when scratch is full.
 */
export function crc64Pairs(
  kernels: Kernels,
  keys: number,
  values: number,
  count: number,
): PairsChecksum | undefined {
  const { arena } = kernels;
  assert(((keys | values) & 3) === 0, "slice tables are aligned");
  const result = arena.scratch.reserve(CRC_RESULT_BYTES);
  if (result === 0) return undefined;
  pick(kernels, "crc64Pairs", count >= CRC_WASM_MIN_ITEMS).crc64Pairs(keys, values, count, result);
  const checksum = arena.view.getBigUint64(result, true);
  const bytes = Number(arena.view.getBigUint64(result + CRC_RESULT_BYTES_OFFSET, true));
  arena.scratch.trim(result);
  return { checksum, bytes };
}
