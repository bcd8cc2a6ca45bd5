/**
 * Which stored entries of a slice no read can show any more. Pure; ttl_checker.ts removes them.
 *
 * V2: a superseded version may always go. A dead newest version hides the older ones, so it may go
 * only together with all of them: if it went first, a read in between would show an older value.
 */
import { type RawFormat, sameUserKey } from "./format.js";

/** Consecutive entries of a region, in key order. */
export interface StoredSlice {
  readonly keys: readonly Uint8Array[];
  readonly values: readonly Uint8Array[];
  /** The key right before the slice, if any. */
  readonly before: Uint8Array | undefined;
  /** Whether the region ends with the slice. */
  readonly ended: boolean;
}

/** Returns the indexes of the entries that may be removed, ascending, in one atomic batch. */
export function removable(format: RawFormat, slice: StoredSlice, nowSeconds: number): number[] {
  const { keys, values } = slice;
  if (!format.versioned) {
    const found: number[] = [];
    values.forEach((value, i) => {
      if (format.liveValue(value, nowSeconds) === undefined) found.push(i);
    });
    return found;
  }
  const found: number[] = [];
  for (let start = 0; start < keys.length; ) {
    const head = keys[start] as Uint8Array;
    let end = start + 1;
    while (end < keys.length && sameUserKey(head, keys[end] as Uint8Array)) end++;
    const before = start === 0 ? slice.before : undefined;
    const continued = before !== undefined && sameUserKey(before, head);
    const whole = end < keys.length || slice.ended;
    const dead = format.liveValue(values[start] as Uint8Array, nowSeconds) === undefined;
    if (continued || (dead && whole)) found.push(start);
    for (let i = start + 1; i < end; i++) found.push(i);
    start = end;
  }
  return found;
}
