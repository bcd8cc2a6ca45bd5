/**
 * 64-bit fields. Static code decodes them to Long; the rest of the system knows bigint, and number
 * for ids below 2^53. This is the only file that knows Long. Not for hot paths: kernels read the
 * wire themselves.
 */
import Long from "long";
import { assert, U64_MAX } from "../base/index.js";

/** What a decoded 64-bit field holds. */
export type Wire64 = Long | number;

const I64_MIN = -(1n << 63n);
const I64_MAX = (1n << 63n) - 1n;
const MAP_KEY_DIGITS = /^(?:0|[1-9][0-9]*)$/;

/** Returns the exact value of a decoded field; signed fields keep their sign. */
export function toBigInt(value: Wire64): bigint {
  if (typeof value === "number") return BigInt(value);
  const low = BigInt(value.low >>> 0);
  const high = value.unsigned ? BigInt(value.high >>> 0) : BigInt(value.high);
  return (high << 32n) | low;
}

/** Returns a u64 field for encoding; asserts 0 ≤ value ≤ 2^64 - 1. */
export function fromBigInt(value: bigint): Long {
  assert(value >= 0n && value <= U64_MAX, "a u64 field holds 0 to 2^64 - 1");
  return Long.fromBits(Number(value & 0xffff_ffffn) | 0, Number(value >> 32n) | 0, true);
}

/** Returns an i64 field for encoding; asserts -2^63 ≤ value ≤ 2^63 - 1. */
export function fromSignedBigInt(value: bigint): Long {
  assert(value >= I64_MIN && value <= I64_MAX, "an i64 field holds -2^63 to 2^63 - 1");
  const bits = BigInt.asUintN(64, value);
  return Long.fromBits(Number(bits & 0xffff_ffffn) | 0, Number(bits >> 32n) | 0, false);
}

/** Returns a field as a number, or undefined if that would not be exact. For untrusted input. */
export function toSafeNumber(value: Wire64): number | undefined {
  const number = typeof value === "number" ? value : value.toNumber();
  return Number.isSafeInteger(number) ? number : undefined;
}

/** Returns a field as a number; asserts that it is exact. For ids that this system allocated. */
export function toNumber(value: Wire64): number {
  const number = toSafeNumber(value);
  assert(number !== undefined, "a 64-bit field read as a number is below 2^53");
  return number;
}

/** Returns a field as a number, at most 2^53 - 1. For sizes, limits and delays. */
export function toNumberSaturating(value: Wire64): number {
  const number = typeof value === "number" ? value : value.toNumber();
  return Math.max(Number.MIN_SAFE_INTEGER, Math.min(Number.MAX_SAFE_INTEGER, number));
}

/** Returns whether a field is zero, which is also what a missing field decodes to. */
export function isZero(value: Wire64): boolean {
  return typeof value === "number" ? value === 0 : value.low === 0 && value.high === 0;
}

/** Returns the property name for `key` in a map field with 64-bit keys, for encoding. */
export function u64MapKey(key: bigint): string {
  assert(key >= 0n && key <= U64_MAX, "a u64 map key is 0 to 2^64 - 1");
  return key.toString();
}

/**
 * Returns the entries of a map field with u64 keys. Decoders name a property by the eight bytes of
 * its key, low byte first; u64MapKey by its digits. (A key whose eight bytes are all digits, above
 * 3.4e18, cannot be told apart; no id comes near.)
 */
export function u64MapEntries<T>(map: { readonly [key: string]: T }): [bigint, T][] {
  return Object.entries(map).map(([name, value]) => {
    if (MAP_KEY_DIGITS.test(name)) return [BigInt(name), value];
    let key = 0n;
    for (let i = 7; i >= 0; i--) key = (key << 8n) | BigInt(name.charCodeAt(i));
    return [key, value];
  });
}
