/**
 * Ends the locks of transactions whose fate is known: commits or rolls back. With keys: those keys
 * of one transaction (resolve_lock_lite.ts). Without: every lock in the region, batch after batch.
 * Source: tikv src/storage/txn/commands/resolve_lock{,_readphase}.rs.
 */
import { ok, type Result } from "../../base/index.js";
import { LOCK_TYPE } from "../../codec/index.js";
import { type Modify, type MvccReader, MvccTxn, type ReleasedLock } from "../../mvcc/index.js";
import { cleanupKey } from "../actions/cleanup.js";
import { commitKey } from "../actions/commit.js";
import type { CommandState, ProcessOutcome, TxnCommand, WriteOutcome } from "../command.js";
import type { TxnError } from "../errors.js";
import type { ResolveLockRequest } from "../requests.js";
import { written } from "./outcome.js";
import { invalidCommitTs, resolveKeys } from "./resolve_lock_lite.js";
import { scanLockedKeys } from "./scan_locks.js";
import { withReader } from "./with_reader.js";

/** Bytes of changes after which a batch is written before the next is begun. */
export const RESOLVE_LOCK_WRITE_BYTES = 32 * 1024;

export const resolveLockCommand: TxnCommand<"resolveLock"> = {
  kind: "resolveLock",
  tag: "resolve_lock",
  latchKeys: ({ request, scannedKeys }) => scannedKeys ?? request.keys,
  scan(state, context) {
    const { txns } = state.request;
    return scanLockedKeys(state, context, ({ startTs }) => txns.has(startTs));
  },
  processWrite(state, context) {
    return withReader(context, (reader) => {
      const { scannedKeys } = state;
      if (scannedKeys === undefined) return resolveKeys(reader, state.request);
      return new BatchResolver(reader, state.request).run(scannedKeys, state);
    });
  },
};

/** One batch under way: locks of many transactions. */
class BatchResolver {
  readonly modifies: Modify[] = [];
  private readonly released: ReleasedLock[] = [];
  private readonly known = new Map<bigint, bigint>();
  private writeSize = 0;

  constructor(
    private readonly reader: MvccReader,
    private readonly request: ResolveLockRequest,
  ) {}

  /** Resolves the keys until enough is to be written, and says where to go on. */
  run(
    keys: readonly Uint8Array[],
    { resumeKey }: CommandState<"resolveLock">,
  ): Result<ProcessOutcome<"resolveLock">, TxnError> {
    for (const [index, key] of keys.entries()) {
      const failed = this.resolve(key);
      if (failed !== undefined) return { ok: false, error: failed };
      const next = keys[index + 1];
      if (this.writeSize >= RESOLVE_LOCK_WRITE_BYTES && next !== undefined) {
        return ok(this.goOn(next));
      }
    }
    if (resumeKey !== undefined) return ok(this.goOn(resumeKey));
    return written(this, undefined, this.released, this.knownStatus());
  }

  private goOn(resumeKey: Uint8Array): ProcessOutcome<"resolveLock"> {
    const { modifies, released, request } = this;
    const knownStatus = this.knownStatus();
    return { type: "continue", modifies, released, knownStatus, next: { request, resumeKey } };
  }

  private knownStatus(): WriteOutcome<undefined>["knownStatus"] {
    return [...this.known].map(([startTs, commitTs]) => ({ startTs, commitTs }));
  }

  /** The lock may have gone since the scan: then somebody else has resolved it. */
  private resolve(key: Uint8Array): TxnError | undefined {
    const lock = this.reader.loadLock(key);
    const commitTs = lock === undefined ? undefined : this.request.txns.get(lock.startTs);
    if (lock === undefined || commitTs === undefined || lock.type === LOCK_TYPE.shared) {
      return undefined;
    }
    const { startTs } = lock;
    const invalid = invalidCommitTs(startTs, commitTs);
    if (invalid !== undefined) return invalid;
    const txn = new MvccTxn(startTs);
    const result =
      commitTs === 0n
        ? cleanupKey(txn, this.reader, key, 0n, false)
        : commitKey(txn, this.reader, key, commitTs);
    if (!result.ok) return result.error;
    if (commitTs !== 0n) this.known.set(startTs, commitTs);
    this.modifies.push(...txn.modifies);
    this.writeSize += txn.writeSize;
    if (result.value !== undefined) this.released.push(result.value);
    return undefined;
  }
}
