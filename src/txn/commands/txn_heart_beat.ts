/** Lengthens the life of a primary's lock. Source: tikv src/storage/txn/commands/txn_heart_beat.rs. */
import { err } from "../../base/index.js";
import { keyToRaw, LOCK_TYPE, type Lock } from "../../codec/index.js";
import { MvccTxn } from "../../mvcc/index.js";
import type { TxnCommand } from "../command.js";
import type { TxnHeartBeatRequest } from "../requests.js";
import { written } from "./outcome.js";
import { withReader } from "./with_reader.js";

export const txnHeartBeatCommand: TxnCommand<"txnHeartBeat"> = {
  kind: "txnHeartBeat",
  tag: "txn_heart_beat",
  latchKeys: ({ request }) => [request.primaryKey],
  processWrite({ request }, context) {
    const { primaryKey: key, startTs } = request;
    return withReader(context, (reader) => {
      const lock = reader.loadLock(key);
      if (lock?.startTs !== startTs || lock.type === LOCK_TYPE.shared) {
        return err({ kind: "txnNotFound", startTs, key: keyToRaw(key) });
      }
      const txn = new MvccTxn(startTs);
      const { ttl, minCommitTs } = beat(lock, request);
      if (ttl !== lock.ttl || minCommitTs !== lock.minCommitTs) {
        txn.putLock(key, { ...lock, ttl, minCommitTs });
      }
      return written(txn, { lockTtlMs: ttl });
    });
  },
};

/** Neither goes back. Only a flushed lock's min_commit_ts may be moved by its client. */
function beat(
  { ttl, minCommitTs, useAsyncCommit, generation }: Lock,
  request: TxnHeartBeatRequest,
): Pick<Lock, "ttl" | "minCommitTs"> {
  const moves = !useAsyncCommit && generation > 0n && request.minCommitTs > minCommitTs;
  return {
    ttl: request.adviseTtlMs > ttl ? request.adviseTtlMs : ttl,
    minCommitTs: moves ? request.minCommitTs : minCommitTs,
  };
}
