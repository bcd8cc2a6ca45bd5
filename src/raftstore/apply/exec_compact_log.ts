/**
 * Applies the decision to cut the log: moves the truncated state. The entries themselves are deleted
 * by the peer, after this is written. Source: tikv raftstore/store/fsm/apply.rs exec_compact_log.
 */
import { assert, ok } from "../../base/index.js";
import type { LoggedAdmin } from "../cmd_codec.js";
import { type ExecInput, type ExecOutcome, refused } from "./exec_admin.js";

type CompactLog = Extract<LoggedAdmin, { readonly kind: "compactLog" }>;

/** Cuts the log behind `index`; one that is cut already is left alone. */
export function execCompactLog(input: ExecInput<CompactLog>): ExecOutcome {
  const { index, term } = input.command;
  if (term === 0) return refused("command format is outdated, please upgrade leader");
  if (index <= input.truncatedIndex) return ok({ regions: [] });
  assert(index < input.entry.index, "the log is cut behind applied entries only");
  return ok({
    regions: [],
    result: { kind: "compactLog", truncatedIndex: index, truncatedTerm: term },
  });
}
