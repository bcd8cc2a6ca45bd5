/**
 * RawCompareAndSwap as a decision: what to answer and what to write. Pure.
 * The driver holds the latch of the key from before the read until after the write.
 * Source: tikv src/storage/txn/commands/compare_and_swap.rs.
 */
import { equalBytes } from "../base/index.js";
import type { RawFormat } from "./format.js";

export interface CasRequest {
  /** undefined = the key must not exist. */
  readonly previous: Uint8Array | undefined;
  readonly value: Uint8Array;
  readonly ttl: bigint;
  /** Deletes the key instead of writing `value`. */
  readonly remove: boolean;
}

export interface CasDecision {
  readonly swapped: boolean;
  /** The value before, whether swapped or not. */
  readonly previous: Uint8Array | undefined;
  readonly write: "none" | "put" | "delete";
}

/** Decides on the stored bytes of the key; an expired or deleted value counts as no value. */
export function decideCas(
  format: RawFormat,
  stored: Uint8Array | undefined,
  request: CasRequest,
  nowSeconds: number,
): CasDecision {
  const previous = stored === undefined ? undefined : format.liveValue(stored, nowSeconds);
  const expected = request.previous;
  const swapped =
    previous === undefined || expected === undefined
      ? previous === expected
      : equalBytes(previous, expected);
  if (!swapped) return { swapped, previous, write: "none" };
  if (!request.remove) return { swapped, previous, write: "put" };
  return { swapped, previous, write: previous === undefined ? "none" : "delete" };
}
