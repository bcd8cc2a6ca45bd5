/** Changes that a command wants written, in region keys (snapshot.ts); storage makes a batch of them. */
import type { MvccCf } from "./snapshot.js";

/** `value` undefined = delete. */
export interface Modify {
  readonly cf: MvccCf;
  readonly key: Uint8Array;
  readonly value: Uint8Array | undefined;
}
