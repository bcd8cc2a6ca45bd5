/**
 * Resolves the keys that a client met locked, of one transaction whose fate is known.
 * Source: tikv src/storage/txn/commands/resolve_lock_lite.rs.
 */
import { assert, err, type Result } from "../../base/index.js";
import { type MvccReader, MvccTxn, type ReleasedLock } from "../../mvcc/index.js";
import { cleanupKey } from "../actions/cleanup.js";
import { commitKey } from "../actions/commit.js";
import type { WriteOutcome } from "../command.js";
import type { TxnError } from "../errors.js";
import type { ResolveLockRequest } from "../requests.js";
import { written } from "./outcome.js";

/** Returns the error of a commit_ts that no transaction can have; 0n = rolled back is none. */
export function invalidCommitTs(startTs: bigint, commitTs: bigint): TxnError | undefined {
  if (commitTs === 0n || commitTs > startTs) return undefined;
  return { kind: "invalidTxnTso", startTs, commitTs };
}

/** Commits or rolls back each key of the request. */
export function resolveKeys(
  reader: MvccReader,
  { txns, keys }: ResolveLockRequest,
): Result<WriteOutcome<undefined>, TxnError> {
  const [only, ...others] = txns;
  assert(only !== undefined && others.length === 0, "keys are resolved for one transaction");
  const [startTs, commitTs] = only;
  const invalid = invalidCommitTs(startTs, commitTs);
  if (invalid !== undefined) return err(invalid);
  const txn = new MvccTxn(startTs);
  const released: (ReleasedLock | undefined)[] = [];
  for (const key of keys) {
    const result =
      commitTs === 0n
        ? cleanupKey(txn, reader, key, 0n, false)
        : commitKey(txn, reader, key, commitTs);
    if (!result.ok) return result;
    released.push(result.value);
  }
  return written(txn, undefined, released, commitTs === 0n ? [] : [{ startTs, commitTs }]);
}
