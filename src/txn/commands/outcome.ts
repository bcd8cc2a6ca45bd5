/** The common shape of what commands return that have nothing special to say. */
import { ok } from "../../base/index.js";
import type { MvccTxn, ReleasedLock } from "../../mvcc/index.js";
import type { WriteOutcome } from "../command.js";

/** Returns a success without guards, answered when applied, that may go on a full disk. */
export function written<R>(
  txn: Pick<MvccTxn, "modifies">,
  response: R,
  released: readonly (ReleasedLock | undefined)[] = [],
  knownStatus: WriteOutcome<R>["knownStatus"] = [],
): { readonly ok: true; readonly value: WriteOutcome<R> } {
  return ok({
    type: "write",
    modifies: txn.modifies,
    response,
    guards: [],
    released: released.filter((lock) => lock !== undefined),
    policy: "onApplied",
    knownStatus,
    frees: true,
  });
}
