/** Gives a command its reader, and answers for damaged data that the reader meets. */
import { err, type Result } from "../../base/index.js";
import { keyToRaw } from "../../codec/index.js";
import { DefaultNotFoundError, MvccReader } from "../../mvcc/index.js";
import type { ProcessContext } from "../command.js";
import type { TxnError } from "../errors.js";

/** Returns what `run` returns, or `defaultNotFound` if a long value is missing. */
export function withReader<T>(
  context: Pick<ProcessContext, "snapshot" | "statistics">,
  run: (reader: MvccReader) => Result<T, TxnError>,
): Result<T, TxnError> {
  const reader = new MvccReader(context.snapshot, context.statistics);
  try {
    return run(reader);
  } catch (error) {
    if (!(error instanceof DefaultNotFoundError)) throw error;
    return err({ kind: "defaultNotFound", key: keyToRaw(error.key) });
  } finally {
    reader.close();
  }
}
