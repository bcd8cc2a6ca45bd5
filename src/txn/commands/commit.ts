/** The second phase: locks become commit records. Source: tikv src/storage/txn/commands/commit.rs. */
import { err, ok } from "../../base/index.js";
import { MvccTxn, type ReleasedLock } from "../../mvcc/index.js";
import { commitKey } from "../actions/commit.js";
import type { TxnCommand } from "../command.js";
import { withReader } from "./with_reader.js";

export const commitCommand: TxnCommand<"commit"> = {
  kind: "commit",
  tag: "commit",
  latchKeys: ({ request }) => request.keys,
  processWrite({ request: { keys, startTs, commitTs } }, context) {
    if (commitTs <= startTs) return err({ kind: "invalidTxnTso", startTs, commitTs });
    return withReader(context, (reader) => {
      const txn = new MvccTxn(startTs);
      const released: ReleasedLock[] = [];
      for (const key of keys) {
        const result = commitKey(txn, reader, key, commitTs);
        if (!result.ok) return result;
        if (result.value !== undefined) released.push(result.value);
      }
      return ok({
        type: "write",
        modifies: txn.modifies,
        response: { commitTs },
        guards: [],
        released,
        policy: "onApplied",
        knownStatus: [{ startTs, commitTs }],
        frees: true,
      });
    });
  },
};
