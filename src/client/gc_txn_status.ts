/**
 * What became of the transactions that GC meets: asked at the primary, and for async commit at all
 * secondaries. Each transaction is asked once; what is known is kept, bounded.
 * Source: client-go txnkv/txnlock/lock_resolver.go getTxnStatus, checkAllSecondaries.
 */
import { fromBigInt, kvrpcpb, toBigInt } from "../pb/index.js";
import { ClientError } from "./errors.js";
import { keyErrorText, type SendToKey } from "./gc_locks.js";
import type { CachedRegion } from "./region_cache.js";

/** Transactions whose end is kept; beyond, the oldest is asked again. */
const KNOWN_MAX = 16_384;
/** Below them a timestamp is physical milliseconds. */
const LOGICAL_BITS = 18n;

export type TxnOutcome =
  /** `commitTs` 0n = rolled back. */
  | { readonly kind: "ended"; readonly commitTs: bigint }
  /** It may still be committed. */
  | { readonly kind: "alive" };

const ALIVE: TxnOutcome = { kind: "alive" };

function ended(commitTs: bigint): TxnOutcome {
  return { kind: "ended", commitTs };
}

function refused(what: string, text: string): ClientError {
  return new ClientError("RUTILE:Client:Refused", `${what}: ${text}`);
}

/** A secondary's lock as async commit needs it. */
type Secondaries =
  | { readonly kind: "decided"; readonly commitTs: bigint }
  /** Its locks are of two-phase commit: only the primary decides. */
  | { readonly kind: "notAsync" };

export class GcTxnStatus {
  private readonly known = new Map<bigint, TxnOutcome>();

  constructor(
    /** A new timestamp; locks whose time to live ends before it are dead. */
    private readonly now: bigint,
    private readonly send: SendToKey,
  ) {}

  /** Returns what became of the transaction of a lock. Throws ClientError when it cannot be told. */
  async of(lock: kvrpcpb.LockInfo): Promise<TxnOutcome> {
    const startTs = toBigInt(lock.lockVersion);
    const known = this.known.get(startTs);
    if (known !== undefined) return known;
    const outcome = await this.ask(lock, false);
    // What is good for a pessimistic lock, which may go without a trace, is not for others.
    if (lock.lockType === kvrpcpb.Op.PessimisticLock) return outcome;
    const oldest = this.known.keys().next();
    if (this.known.size >= KNOWN_MAX && oldest.done !== true) this.known.delete(oldest.value);
    this.known.set(startTs, outcome);
    return outcome;
  }

  private async ask(lock: kvrpcpb.LockInfo, forceSyncCommit: boolean): Promise<TxnOutcome> {
    const isPessimistic = lock.lockType === kvrpcpb.Op.PessimisticLock;
    const body = {
      primaryKey: lock.primaryLock,
      lockTs: lock.lockVersion,
      callerStartTs: 0,
      currentTs: fromBigInt(this.now),
      rollbackIfNotExist: true,
      forceSyncCommit,
      resolvingPessimisticLock: isPessimistic,
      verifyIsPrimary: true,
    };
    const status = await this.send(lock.primaryLock, "CheckTxnStatus", () => body);
    if (status.error !== null) {
      // A pessimistic lock that was taken for another primary: its transaction has gone on without.
      if (isPessimistic && status.error.primaryMismatch !== null) return ended(0n);
      throw refused("CheckTxnStatus", keyErrorText(status.error) ?? "");
    }
    const commitTs = toBigInt(status.commitVersion);
    if (commitTs > 0n) return ended(commitTs);
    const ttlMs = toBigInt(status.lockTtl);
    if (ttlMs === 0n) return ended(0n);
    const primary = status.lockInfo;
    const isAsync = primary?.useAsyncCommit === true && !forceSyncCommit;
    if (primary === null || !isAsync || !this.isExpired(toBigInt(lock.lockVersion), ttlMs)) {
      return ALIVE;
    }
    const secondaries = await this.checkSecondaries(primary);
    return secondaries.kind === "decided" ? ended(secondaries.commitTs) : this.ask(lock, true);
  }

  private isExpired(startTs: bigint, ttlMs: bigint): boolean {
    return this.now >> LOGICAL_BITS >= (startTs >> LOGICAL_BITS) + ttlMs;
  }

  /**
   * An async commit is committed when all its locks are, or were, there. A lock that is missing is
   * made impossible by the question itself: the transaction is rolled back then.
   */
  private async checkSecondaries(primary: kvrpcpb.LockInfo): Promise<Secondaries> {
    let commitTs = toBigInt(primary.minCommitTs);
    let left = [...primary.secondaries];
    while (left.length > 0) {
      const [first] = left as [Uint8Array, ...Uint8Array[]];
      let asked: Uint8Array[] = [];
      const bodyFor = (region: CachedRegion) => {
        asked = left.filter((key) => isInside(key, region));
        return { keys: asked, startVersion: primary.lockVersion };
      };
      const found = await this.send(first, "CheckSecondaryLocks", bodyFor);
      if (found.error !== null) {
        throw refused("CheckSecondaryLocks", keyErrorText(found.error) ?? "");
      }
      const committed = toBigInt(found.commitTs);
      if (committed > 0n) return { kind: "decided", commitTs: committed };
      if (found.locks.length < asked.length) return { kind: "decided", commitTs: 0n };
      for (const { minCommitTs, useAsyncCommit } of found.locks) {
        if (!useAsyncCommit) return { kind: "notAsync" };
        const least = toBigInt(minCommitTs);
        if (least > commitTs) commitTs = least;
      }
      const done = new Set(asked);
      left = left.filter((key) => !done.has(key));
    }
    return { kind: "decided", commitTs };
  }
}

function isInside(key: Uint8Array, { endKey, startKey }: CachedRegion): boolean {
  if (Buffer.compare(key, startKey) < 0) return false;
  return endKey.length === 0 || Buffer.compare(key, endKey) < 0;
}
