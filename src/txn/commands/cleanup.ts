/** Rolls back one key if its TTL is over. Source: tikv src/storage/txn/commands/cleanup.rs. */
import { MvccTxn } from "../../mvcc/index.js";
import { cleanupKey } from "../actions/cleanup.js";
import type { TxnCommand } from "../command.js";
import { written } from "./outcome.js";
import { withReader } from "./with_reader.js";

export const cleanupCommand: TxnCommand<"cleanup"> = {
  kind: "cleanup",
  tag: "cleanup",
  latchKeys: ({ request }) => [request.key],
  processWrite({ request: { key, startTs, currentTs } }, context) {
    // 1PC and async commit must not choose the place of the protected rollback.
    context.concurrencyManager.updateMaxTs(startTs);
    return withReader(context, (reader) => {
      const txn = new MvccTxn(startTs);
      const released = cleanupKey(txn, reader, key, currentTs, true);
      return released.ok ? written(txn, undefined, [released.value]) : released;
    });
  },
};
