/**
 * Rolls back keys of a transaction whose client gives it up. The records are not protected: the
 * client sends nothing for it any more. Source: tikv src/storage/txn/commands/rollback.rs.
 */
import { MvccTxn, type ReleasedLock } from "../../mvcc/index.js";
import { cleanupKey } from "../actions/cleanup.js";
import type { TxnCommand } from "../command.js";
import { written } from "./outcome.js";
import { withReader } from "./with_reader.js";

export const rollbackCommand: TxnCommand<"batchRollback"> = {
  kind: "batchRollback",
  tag: "rollback",
  latchKeys: ({ request }) => request.keys,
  processWrite({ request: { keys, startTs } }, context) {
    return withReader(context, (reader) => {
      const txn = new MvccTxn(startTs);
      const released: (ReleasedLock | undefined)[] = [];
      for (const key of keys) {
        const result = cleanupKey(txn, reader, key, 0n, false);
        if (!result.ok) return result;
        released.push(result.value);
      }
      return written(txn, undefined, released);
    });
  },
};
