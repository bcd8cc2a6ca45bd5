/**
 * Twin of assembly/crc.ts, and CRC-64/XZ of single strings: polynomial 0x42f0e1eba9ea3693,
 * reflected, inverted in and out; Go's crc64.ECMA. Two u32 halves, because BigInt allocates.
 */
import { CRC_RESULT_BYTES_OFFSET } from "../abi.js";
import type { LinearMemory } from "../arena.js";

const POLYNOMIAL_HIGH = 0xc96c5795;
const POLYNOMIAL_LOW = 0xd7870f42;

const HIGH = new Int32Array(256);
const LOW = new Int32Array(256);
for (let byte = 0; byte < 256; byte++) {
  let high = 0;
  let low = byte;
  for (let bit = 0; bit < 8; bit++) {
    const odd = low & 1;
    low = (low >>> 1) | (high << 31);
    high >>>= 1;
    if (odd !== 0) {
      high ^= POLYNOMIAL_HIGH;
      low ^= POLYNOMIAL_LOW;
    }
  }
  HIGH[byte] = high;
  LOW[byte] = low;
}

/** A running CRC; `high` and `low` are its halves as signed 32-bit numbers, inverted. */
interface Running {
  high: number;
  low: number;
}

function update(crc: Running, bytes: Uint8Array, from: number, end: number): void {
  let { high, low } = crc;
  for (let at = from; at < end; at++) {
    const index = (low ^ (bytes[at] as number)) & 0xff;
    low = ((low >>> 8) | (high << 24)) ^ (LOW[index] as number);
    high = (high >>> 8) ^ (HIGH[index] as number);
  }
  crc.high = high;
  crc.low = low;
}

/** Returns the CRC-64/XZ of `parts` one after the other, as an unsigned BigInt. */
export function crc64(...parts: readonly Uint8Array[]): bigint {
  const crc: Running = { high: -1, low: -1 };
  for (const part of parts) update(crc, part, 0, part.length);
  return (BigInt(~crc.high >>> 0) << 32n) | BigInt(~crc.low >>> 0);
}

/** Twin of the kernel of this name. */
export function crc64Pairs(
  memory: LinearMemory,
  keys: number,
  values: number,
  count: number,
  result: number,
): number {
  const { u8, u32 } = memory;
  let high = 0;
  let low = 0;
  let bytes = 0;
  const crc: Running = { high: 0, low: 0 };
  for (let item = 0; item < count; item++) {
    const key = u32[(keys >> 2) + item * 2] as number;
    const keyEnd = key + (u32[(keys >> 2) + item * 2 + 1] as number);
    const value = u32[(values >> 2) + item * 2] as number;
    const valueEnd = value + (u32[(values >> 2) + item * 2 + 1] as number);
    crc.high = -1;
    crc.low = -1;
    update(crc, u8, key, keyEnd);
    update(crc, u8, value, valueEnd);
    high ^= ~crc.high;
    low ^= ~crc.low;
    bytes += keyEnd - key + valueEnd - value;
  }
  u32[result >> 2] = low;
  u32[(result >> 2) + 1] = high;
  const sum = (result + CRC_RESULT_BYTES_OFFSET) >> 2;
  u32[sum] = bytes;
  u32[sum + 1] = Math.floor(bytes / 2 ** 32);
  return count;
}
