/**
 * Unsigned 64-bit numbers. Timestamps, cluster ids and feedback numbers use the full range and are
 * BigInt. Region, store and peer ids, terms and indexes are also 64 bits on the wire, but those
 * that this system hands out stay below 2^53, so code may hold them as Number after a check.
 */
import { assert } from "./assert.js";

export const U64_MAX = 0xffff_ffff_ffff_ffffn;
const LOW_MASK = 0xffff_ffffn;

/** Returns bits 0..31 as an unsigned Number. */
export function u64Low(value: bigint): number {
  return Number(value & LOW_MASK);
}

/** Returns bits 32..63 as an unsigned Number. */
export function u64High(value: bigint): number {
  return Number((value >> 32n) & LOW_MASK);
}

/** Returns high * 2^32 + low; both parts are taken as unsigned 32-bit numbers. */
export function u64FromParts(low: number, high: number): bigint {
  return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
}

/** Returns `value` as a Number; asserts that it is exact. For ids this system allocated. */
export function idToNumber(value: bigint): number {
  assert(value >= 0n && value <= BigInt(Number.MAX_SAFE_INTEGER), "id exceeds 2^53 - 1");
  return Number(value);
}

/** Writes `value` big-endian at `offset`. */
export function putU64Be(target: Uint8Array, offset: number, value: bigint): void {
  const view = new DataView(target.buffer, target.byteOffset, target.byteLength);
  view.setBigUint64(offset, value, false);
}

/** Reads a big-endian u64 at `offset`. */
export function getU64Be(source: Uint8Array, offset: number): bigint {
  const view = new DataView(source.buffer, source.byteOffset, source.byteLength);
  return view.getBigUint64(offset, false);
}
