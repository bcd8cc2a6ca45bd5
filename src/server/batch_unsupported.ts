/**
 * Answers to commands of BatchCommands that this store does not serve. A client cannot get
 * UNIMPLEMENTED for one command of a batch, so each gets its response message with the error field
 * that clients turn into an error of that request. Import is refused in the same way.
 */
import type { MethodName } from "../pb/index.js";
import { type Rpc, rpc } from "./rpc.js";

type TikvMethod = MethodName<"tikvpb.Tikv">;

/** How a response message reports an error. */
type ErrorField = "keyError" | "keyErrors" | "text" | "otherError" | "none";

const UNSUPPORTED: readonly (readonly [number, TikvMethod, ErrorField])[] = [
  [1, "KvGet", "keyError"],
  [2, "KvScan", "keyError"],
  [3, "KvPrewrite", "keyErrors"],
  [4, "KvCommit", "keyError"],
  [5, "KvImport", "text"],
  [6, "KvCleanup", "keyError"],
  [7, "KvBatchGet", "keyError"],
  [8, "KvBatchRollback", "keyError"],
  [9, "KvScanLock", "keyError"],
  [10, "KvResolveLock", "keyError"],
  [11, "KvGC", "keyError"],
  [12, "KvDeleteRange", "text"],
  [22, "Coprocessor", "otherError"],
  [23, "KvPessimisticLock", "keyErrors"],
  [24, "KVPessimisticRollback", "keyErrors"],
  [25, "KvCheckTxnStatus", "keyError"],
  [26, "KvTxnHeartBeat", "keyError"],
  [33, "KvCheckSecondaryLocks", "keyError"],
  [34, "RawCoprocessor", "text"],
  [35, "KvFlashbackToVersion", "text"],
  [36, "KvPrepareFlashbackToVersion", "text"],
  [37, "KvFlush", "keyErrors"],
  [38, "KvBufferBatchGet", "keyError"],
  [40, "BroadcastTxnStatus", "none"],
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
    case "none":
      return {};
  }
}

/** The entries of these commands: they decode, check the cluster id, and answer the error. */
export const UNSUPPORTED_RPCS: readonly Rpc[] = UNSUPPORTED.map(([cmd, method, field]) => {
  const message = errorMessageOf(field, `${method} is not supported`);
  return rpc(method, cmd, "unsupported", () => message as never);
});
