/**
 * Step C of a prewrite: the client's belief about the value before this mutation. It finds bugs of
 * clients, so it costs a read only at level "strict".
 * Source: tikv src/storage/txn/actions/prewrite.rs check_assertion.
 */
import { err, ok, type Result } from "../../base/index.js";
import { keyToRaw, TS_MAX, WRITE_TYPE } from "../../codec/index.js";
import { isFenceValid, type MvccReader, type Version } from "../../mvcc/index.js";
import type { TxnError } from "../errors.js";
import { checkNewerVersion, skipsConstraintCheck } from "./constraint.js";
import type { PrewriteKey } from "./prewrite_state.js";

/**
 * Judges the assertion. `previous` is the newest record that counts, undefined = there is none;
 * with `loaded` false nobody has looked.
 */
export function checkAssertion(
  reader: MvccReader,
  key: PrewriteKey,
  previous: Version | undefined,
  loaded: boolean,
): Result<void, TxnError> {
  const { assertionLevel, startTs } = key.props;
  const { assertion, key: encoded } = key.mutation;
  if (assertion === "none" || assertionLevel === "off") return ok(undefined);
  if (!loaded && assertionLevel !== "strict") return ok(undefined);
  const existing = dataBelow(reader, key, previous, loaded);
  const isPut = existing?.write.type === WRITE_TYPE.put;
  if (assertion === "exist" ? isPut : !isPut) return ok(undefined);
  // A rollback or a newer commit explains the failure better, if the check was skipped.
  if (skipsConstraintCheck(key)) {
    const constraint = checkNewerVersion(reader, key);
    if (!constraint.ok) return constraint;
  }
  return err({
    kind: "assertionFailed",
    startTs,
    key: keyToRaw(encoded),
    assertion,
    existingStartTs: existing?.write.startTs ?? 0n,
    existingCommitTs: existing?.commitTs ?? 0n,
  });
}

/** Returns the newest Put or Delete at or below `previous`; a Delete may be left out. */
function dataBelow(
  reader: MvccReader,
  { mutation, props }: PrewriteKey,
  previous: Version | undefined,
  loaded: boolean,
): Version | undefined {
  if (!loaded) return reader.getWrite(mutation.key, TS_MAX, props.startTs);
  if (previous === undefined || !isFenceValid(previous.write, TS_MAX)) return undefined;
  const { type } = previous.write;
  const isData = type === WRITE_TYPE.put || type === WRITE_TYPE.delete;
  return isData ? previous : reader.getWrite(mutation.key, previous.commitTs, props.startTs);
}
