/** What became of a transaction, and a memory of those that have ended. Pure. */
import { kvrpcpb, toBigInt } from "../../pb/index.js";
import { type LockView, lockView, remainingMs } from "./lock_view.js";

export type TxnStatus =
  | { readonly kind: "committed"; readonly commitTs: bigint }
  /** `isFinal` false: only the lock that was asked about is known to be void. */
  | { readonly kind: "rolledBack"; readonly isFinal: boolean }
  | {
      readonly kind: "alive";
      /** Until its primary lock expires; below 0 if it has, which only async commits survive. */
      readonly remainingMs: number;
      /** Whether it will be committed after the caller's timestamp. */
      readonly isPushed: boolean;
      readonly primary: LockView | undefined;
    };

const { Action } = kvrpcpb;

/** Returns what a store says of the transaction that began at `startTs`, seen at `nowTs`. */
export function statusOf(
  response: kvrpcpb.CheckTxnStatusResponse,
  startTs: bigint,
  nowTs: bigint,
): TxnStatus {
  const { action, lockInfo } = response;
  const ttlMs = toBigInt(response.lockTtl);
  if (ttlMs > 0n || lockInfo !== null) {
    return {
      kind: "alive",
      remainingMs: remainingMs(startTs, ttlMs, nowTs),
      isPushed: action === Action.MinCommitTSPushed,
      primary: lockInfo === null ? undefined : lockView(lockInfo),
    };
  }
  const commitTs = toBigInt(response.commitVersion);
  if (commitTs > 0n) return { kind: "committed", commitTs };
  const isFinal =
    action !== Action.TTLExpirePessimisticRollback && action !== Action.LockNotExistDoNothing;
  return { kind: "rolledBack", isFinal };
}

/** Returns whether the status holds for ever and for all locks of the transaction. */
export function isFinal(status: TxnStatus): boolean {
  return status.kind === "committed" || (status.kind === "rolledBack" && status.isFinal);
}

/** Ended transactions by start_ts; beyond `max` the oldest are forgotten. */
export class StatusCache {
  readonly #max: number;
  readonly #statuses = new Map<bigint, TxnStatus>();

  constructor(max: number) {
    this.#max = max;
  }

  get(startTs: bigint): TxnStatus | undefined {
    return this.#statuses.get(startTs);
  }

  put(startTs: bigint, status: TxnStatus): void {
    this.#statuses.set(startTs, status);
    if (this.#statuses.size <= this.#max) return;
    for (const oldest of this.#statuses.keys()) {
      this.#statuses.delete(oldest);
      return;
    }
  }
}
