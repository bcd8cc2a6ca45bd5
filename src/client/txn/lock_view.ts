/** A lock of another transaction as this client sees it. Pure. */
import { tsPhysical } from "../../codec/index.js";
import { kvrpcpb, toBigInt } from "../../pb/index.js";

/** kvrpcpb.LockInfo with plain values; keys are those of requests, and copies. */
export interface LockView {
  readonly key: Uint8Array;
  readonly primary: Uint8Array;
  readonly startTs: bigint;
  /** 0n: ended at once, whatever its age. */
  readonly ttlMs: bigint;
  readonly txnSize: bigint;
  readonly isPessimistic: boolean;
  readonly forUpdateTs: bigint;
  readonly isAsync: boolean;
  readonly minCommitTs: bigint;
  readonly secondaries: readonly Uint8Array[];
}

/** Returns a copy of what a store tells of a lock. */
export function lockView(info: kvrpcpb.LockInfo): LockView {
  return {
    key: new Uint8Array(info.key),
    primary: new Uint8Array(info.primaryLock),
    startTs: toBigInt(info.lockVersion),
    ttlMs: toBigInt(info.lockTtl),
    txnSize: toBigInt(info.txnSize),
    isPessimistic: info.lockType === kvrpcpb.Op.PessimisticLock,
    forUpdateTs: toBigInt(info.lockForUpdateTs),
    isAsync: info.useAsyncCommit,
    minCommitTs: toBigInt(info.minCommitTs),
    secondaries: info.secondaries.map((key) => new Uint8Array(key)),
  };
}

/** Returns the milliseconds that a lock of this age and TTL still lives at `nowTs`; below 0: expired. */
export function remainingMs(startTs: bigint, ttlMs: bigint, nowTs: bigint): number {
  return Number(tsPhysical(startTs) + ttlMs - tsPhysical(nowTs));
}
