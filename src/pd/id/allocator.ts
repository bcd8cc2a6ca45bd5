/**
 * Ids of stores, regions and peers: one space, handed out from a window whose end is persisted
 * first, so that no id is given twice, whatever crashes. PURE: the driver saves the window.
 * Source: pd pkg/id/id.go.
 */
import { assert, U64_MAX } from "../../base/index.js";

/** Ids that one save makes available. */
export const ID_ALLOC_STEP = 1000n;

export type IdAllocation =
  | { readonly kind: "ok"; readonly last: bigint }
  /** Persist `end`, call `saved(end)`, ask again. */
  | { readonly kind: "save"; readonly end: bigint }
  | { readonly kind: "exhausted" };

export class IdAllocator {
  /** Last id given. Invariant: base <= end. */
  private base: bigint;
  /** Last id that may be given without a save. */
  private end: bigint;

  /** `persistedEnd` is the end saved last (0 if none); unused ids below it are skipped. */
  constructor(persistedEnd: bigint) {
    this.base = persistedEnd;
    this.end = persistedEnd;
  }

  /** Ids that can be given without a save. */
  get left(): bigint {
    return this.end - this.base;
  }

  /** The end to persist so that more ids are at hand. */
  get nextEnd(): bigint {
    const end = this.end + ID_ALLOC_STEP;
    return end > U64_MAX ? U64_MAX : end;
  }

  /** Takes `count` (>= 1) consecutive ids; `last` is the largest of them. */
  alloc(count: bigint): IdAllocation {
    assert(count >= 1n, "at least one id is asked for");
    if (this.base + count > U64_MAX) return { kind: "exhausted" };
    if (this.base + count > this.end) {
      const missing = this.base + count - this.end;
      const steps = (missing + ID_ALLOC_STEP - 1n) / ID_ALLOC_STEP;
      const end = this.end + steps * ID_ALLOC_STEP;
      return { kind: "save", end: end > U64_MAX ? U64_MAX : end };
    }
    this.base += count;
    return { kind: "ok", last: this.base };
  }

  /** Notes that `end` is persisted. */
  saved(end: bigint): void {
    assert(end >= this.end, "the id window only grows");
    this.end = end;
  }
}
