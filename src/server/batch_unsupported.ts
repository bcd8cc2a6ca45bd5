/**
 * Answers to commands of BatchCommands that this store does not serve. A client cannot get
 * UNIMPLEMENTED for one command of a batch, so each gets its response message with the error field
 * that clients turn into an error of that request. Import is refused in the same way.
 */
import type { MethodName } from "../pb/index.js";
import { type Rpc, rpc } from "./rpc.js";

type TikvMethod = MethodName<"tikvpb.Tikv">;

/** How a response message reports an error. */
type ErrorField = "keyError" | "keyErrors" | "text" | "otherError";

const UNSUPPORTED: readonly (readonly [number, TikvMethod, ErrorField])[] = [
  [5, "KvImport", "text"],
  [11, "KvGC", "keyError"],
  [22, "Coprocessor", "otherError"],
  [34, "RawCoprocessor", "text"],
  [35, "KvFlashbackToVersion", "text"],
  [36, "KvPrepareFlashbackToVersion", "text"],
  [37, "KvFlush", "keyErrors"],
  [38, "KvBufferBatchGet", "keyError"],
];

function errorMessageOf(field: ErrorField, text: string): object {
  switch (field) {
    case "keyError":
      return { error: { abort: text } };
    case "keyErrors":
      return { errors: [{ abort: text }] };
    case "text":
      return { error: text };
    case "otherError":
      return { otherError: text };
  }
}

/** The entries of these commands: they decode, check the cluster id, and answer the error. */
export const UNSUPPORTED_RPCS: readonly Rpc[] = UNSUPPORTED.map(([cmd, method, field]) => {
  const message = errorMessageOf(field, `${method} is not supported`);
  return rpc(method, cmd, "unsupported", () => message as never);
});
