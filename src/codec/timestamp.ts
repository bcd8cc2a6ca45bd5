/**
 * Timestamps of the TSO: 46 bits of milliseconds since the Unix epoch, 18 bits of counter.
 * Always BigInt: real ones exceed 2^53.
 */
import { assert, LIMITS, U64_MAX } from "../base/index.js";

const LOGICAL_BITS = 18n;
const LOGICAL_MASK = (1n << LOGICAL_BITS) - 1n;

/** "Newest": reads at it see everything, and it never raises max_ts. */
export const TS_MAX = U64_MAX;
export const TS_ZERO = 0n;

assert(LOGICAL_MASK === BigInt(LIMITS.tsoLogicalMax - 1), "the counter has 18 bits");

/** Returns the timestamp of a physical time in milliseconds and a counter below 2^18. */
export function composeTs(physicalMs: bigint, logical: bigint): bigint {
  assert(logical >= 0n && logical <= LOGICAL_MASK, "the counter has 18 bits");
  assert(physicalMs >= 0n && physicalMs <= U64_MAX >> LOGICAL_BITS, "the time has 46 bits");
  return (physicalMs << LOGICAL_BITS) | logical;
}

/** Returns the milliseconds of a timestamp. */
export function tsPhysical(ts: bigint): bigint {
  return ts >> LOGICAL_BITS;
}

/** Returns the counter of a timestamp. */
export function tsLogical(ts: bigint): bigint {
  return ts & LOGICAL_MASK;
}
