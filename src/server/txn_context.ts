/** kvrpcpb.Context to what transactional storage takes. Raw commands take context.ts's part alone. */
import { type kvrpcpb, toBigInt, toNumberSaturating } from "../pb/index.js";
import type { IsolationLevel, TxnContext } from "../storage/index.js";
import { requestContext } from "./context.js";

/** By number of kvrpcpb.IsolationLevel; an unknown one is snapshot isolation, the strictest. */
const ISOLATION_LEVELS: readonly IsolationLevel[] = ["si", "rc", "rcCheckTs"];

/** Returns the fields that storage uses; a missing message reads as zeros. */
export function txnContext(context: kvrpcpb.Context | null): TxnContext {
  const routing = requestContext(context);
  if (context === null) {
    return {
      ...routing,
      isolation: "si",
      resolvedLocks: [],
      committedLocks: [],
      fillCache: true,
      maxExecutionMs: 0,
    };
  }
  return {
    ...routing,
    isolation: ISOLATION_LEVELS[context.isolationLevel] ?? "si",
    resolvedLocks: context.resolvedLocks.map(toBigInt),
    committedLocks: context.committedLocks.map(toBigInt),
    fillCache: !context.notFillCache,
    maxExecutionMs: toNumberSaturating(context.maxExecutionDurationMs),
  };
}
