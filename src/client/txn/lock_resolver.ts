/**
 * What to do about locks of other transactions: find out at the primary what became of them, then
 * finish them, or say how long to wait. Source: client-go txnkv/txnlock/lock_resolver.go; Percolator
 * §2.2.
 */
import { assert } from "../../base/index.js";
import { TS_MAX } from "../../codec/index.js";
import { fromBigInt, toBigInt } from "../../pb/index.js";
import { mapKey } from "../arguments.js";
import type { Backoffer } from "../backoff.js";
import type { CachedRegion } from "../region_cache.js";
import { type ChunkLimit, type Keyed, sendChunks } from "../region_chunks.js";
import { RELOAD } from "../region_request.js";
import { freshAttempts, type TxnContext } from "./context.js";
import { errorOf } from "./key_error.js";
import { type LockView, lockView, remainingMs } from "./lock_view.js";
import { BIG_TXN_KEYS, TXN_BATCH_BYTES_MAX } from "./options.js";
import { isFinal, StatusCache, statusOf, type TxnStatus } from "./txn_status.js";

/** What a reader may take for granted about locks, and how long it has to wait for the others. */
export interface ReadVerdict {
  /** Transactions whose locks do not matter to the read. */
  readonly ignored: readonly bigint[];
  /** Transactions that were committed before the read: it reads the values of their locks. */
  readonly committed: readonly bigint[];
  /** 0: no lock is left that matters. */
  readonly waitMs: number;
}

const KEYS_LIMIT: ChunkLimit<Keyed> = {
  itemsMax: Number.POSITIVE_INFINITY,
  bytesMax: TXN_BATCH_BYTES_MAX,
  sizeOf: ({ key }) => key.length,
};

const ROLLED_BACK: TxnStatus = { kind: "rolledBack", isFinal: true };

export class LockResolver {
  readonly #context: TxnContext;
  readonly #cache: StatusCache;

  constructor(context: TxnContext) {
    this.#context = context;
    this.#cache = new StatusCache(context.options.statusCacheMax);
  }

  /** Judges the locks that a read at `readTs` has met; what has ended is finished in the background. */
  async forRead(locks: readonly LockView[], readTs: bigint, op: Backoffer): Promise<ReadVerdict> {
    const ignored: bigint[] = [];
    const committed: bigint[] = [];
    let waitMs = Number.POSITIVE_INFINITY;
    for (const group of byTxn(locks)) {
      const [lock] = group as [LockView];
      const status = await this.#ended(lock, readTs, op);
      if (status.kind === "alive") {
        if (status.isPushed) ignored.push(lock.startTs);
        else waitMs = Math.min(waitMs, Math.max(1, status.remainingMs));
        continue;
      }
      const isSeen = status.kind === "committed" && status.commitTs <= readTs;
      (isSeen ? committed : ignored).push(lock.startTs);
      await this.#context.background.run("resolve locks", () =>
        this.#finish(group, status, this.#context.backgroundOp()),
      );
    }
    return { ignored, committed, waitMs: Number.isFinite(waitMs) ? waitMs : 0 };
  }

  /**
   * Finishes the locks that a write has met, as far as their transactions have ended. Returns how long
   * to wait for the others, ms; 0 if none is left.
   */
  async forWrite(locks: readonly LockView[], op: Backoffer): Promise<number> {
    let waitMs = Number.POSITIVE_INFINITY;
    for (const group of byTxn(locks)) {
      const status = await this.#ended(group[0] as LockView, 0n, op);
      if (status.kind === "alive") waitMs = Math.min(waitMs, Math.max(1, status.remainingMs));
      else await this.#finish(group, status, op);
    }
    return Number.isFinite(waitMs) ? waitMs : 0;
  }

  /** Returns what became of the lock's transaction; ends it if it has expired. */
  async #ended(lock: LockView, callerTs: bigint, op: Backoffer): Promise<TxnStatus> {
    const known = this.#cache.get(lock.startTs);
    if (known !== undefined) return known;
    let status = await this.#ask(lock, callerTs, false, op);
    const primary = status.kind === "alive" ? status.primary : undefined;
    if (status.kind === "alive" && primary?.isAsync === true && status.remainingMs < 0) {
      status = await this.#endAsync(lock, primary, callerTs, op);
    }
    if (isFinal(status)) this.#cache.put(lock.startTs, status);
    return status;
  }

  /** Asks the primary, until it is known or the lock's time is over. */
  async #ask(
    lock: LockView,
    callerTs: bigint,
    forceSyncCommit: boolean,
    op: Backoffer,
  ): Promise<TxnStatus> {
    let rollbackIfNotExist = false;
    for (;;) {
      const nowTs = lock.ttlMs === 0n ? TS_MAX : await this.#context.timestamp(op);
      const body = {
        primaryKey: lock.primary,
        lockTs: fromBigInt(lock.startTs),
        callerStartTs: fromBigInt(callerTs),
        currentTs: fromBigInt(nowTs),
        rollbackIfNotExist,
        forceSyncCommit,
        resolvingPessimisticLock: lock.isPessimistic,
        verifyIsPrimary: true,
      };
      const { sender, mode } = this.#context.parts;
      const response = await sender.sendTo(lock.primary, "CheckTxnStatus", body, op);
      const { error } = response;
      if (error === null) return statusOf(response, lock.startTs, nowTs);
      if (error.primaryMismatch !== null && lock.isPessimistic) return NOT_LOCKED;
      if (error.txnNotFound === null) throw errorOf(error, lock.startTs, mode);
      const leftMs = remainingMs(lock.startTs, lock.ttlMs, nowTs);
      if (leftMs < 0) rollbackIfNotExist = true;
      else if (lock.isPessimistic) return alive(leftMs);
      else await op.wait("txnNotFound", `transaction ${lock.startTs} has no primary lock yet`);
    }
  }

  /**
   * Ends an async commit whose primary has expired: it is committed if and only if all secondaries are
   * locked; asking keeps those that are not from being locked later.
   */
  async #endAsync(
    lock: LockView,
    primary: LockView,
    callerTs: bigint,
    op: Backoffer,
  ): Promise<TxnStatus> {
    let commitTs = primary.minCommitTs;
    let decided: bigint | undefined;
    let isAsync = true;
    await this.#eachChunk(primary.secondaries, op, async (region, keys) => {
      const body = { keys, startVersion: fromBigInt(lock.startTs) };
      const { sender, mode } = this.#context.parts;
      const response = await sender.send(region, "CheckSecondaryLocks", body, op);
      if (response === RELOAD) return RELOAD;
      if (response.error !== null) throw errorOf(response.error, lock.startTs, mode);
      if (response.locks.length < keys.length) decided = toBigInt(response.commitTs);
      for (const info of response.locks) {
        const { isAsync: same, minCommitTs } = lockView(info);
        isAsync &&= same;
        if (minCommitTs > commitTs) commitTs = minCommitTs;
      }
      return response;
    });
    if (decided === undefined && !isAsync) return this.#ask(lock, callerTs, true, op);
    const ts = decided ?? commitTs;
    const status: TxnStatus = ts === 0n ? ROLLED_BACK : { kind: "committed", commitTs: ts };
    await this.#context.background.run("finish an async commit", () =>
      this.#resolve(
        [primary.key, ...primary.secondaries],
        lock.startTs,
        status,
        this.#context.backgroundOp(),
      ),
    );
    return status;
  }

  /** Finishes locks of one transaction as it ended. */
  async #finish(locks: readonly LockView[], status: TxnStatus, op: Backoffer): Promise<void> {
    const [first] = locks as [LockView];
    const pessimistic = locks.filter(({ isPessimistic }) => isPessimistic);
    const written = locks.filter(({ isPessimistic }) => !isPessimistic);
    if (pessimistic.length > 0) await this.#unlock(pessimistic, op);
    if (written.length === 0) return;
    const keys = written.map(({ key }) => key);
    const isBig = written.some(({ txnSize }) => txnSize >= BigInt(BIG_TXN_KEYS));
    await this.#resolve(keys, first.startTs, status, op, isBig);
  }

  /** Commits or rolls back locks; with `isBig` all of the transaction in the regions of `keys`. */
  async #resolve(
    keys: readonly Uint8Array[],
    startTs: bigint,
    status: TxnStatus,
    op: Backoffer,
    isBig = false,
  ): Promise<void> {
    assert(status.kind !== "alive", "only locks of ended transactions are resolved");
    const commitTs = status.kind === "committed" ? status.commitTs : 0n;
    await this.#eachChunk(keys, op, async (region, part) => {
      const body = {
        startVersion: fromBigInt(startTs),
        commitVersion: fromBigInt(commitTs),
        keys: isBig ? [] : part,
      };
      const { sender, mode } = this.#context.parts;
      const response = await sender.send(region, "ResolveLock", body, op, freshAttempts());
      if (response === RELOAD) return RELOAD;
      if (response.error !== null) throw errorOf(response.error, startTs, mode);
      return response;
    });
  }

  async #unlock(locks: readonly LockView[], op: Backoffer): Promise<void> {
    const [first] = locks as [LockView];
    const newest = locks.reduce((ts, lock) => (lock.forUpdateTs > ts ? lock.forUpdateTs : ts), 0n);
    const forUpdateTs = fromBigInt(newest === 0n ? TS_MAX : newest);
    const keys = locks.map(({ key }) => key);
    await this.#eachChunk(keys, op, async (region, part) => {
      const body = { keys: part, startVersion: fromBigInt(first.startTs), forUpdateTs };
      const { sender, mode } = this.#context.parts;
      const response = await sender.send(region, "PessimisticRollback", body, op);
      if (response === RELOAD) return RELOAD;
      const [error] = response.errors;
      if (error !== undefined) throw errorOf(error, first.startTs, mode);
      return response;
    });
  }

  #eachChunk(
    keys: readonly Uint8Array[],
    op: Backoffer,
    send: (region: CachedRegion, keys: Uint8Array[]) => Promise<object | typeof RELOAD>,
  ): Promise<void> {
    const { locator } = this.#context.parts;
    const { concurrencyMax } = this.#context.options;
    const items = keys.map((key) => ({ key }));
    return sendChunks(items, KEYS_LIMIT, { locator, op, concurrencyMax }, (region, part) =>
      send(
        region,
        part.map(({ key }) => key),
      ),
    );
  }
}

/** The primary belongs to another lock of the transaction: this one guards nothing. */
const NOT_LOCKED: TxnStatus = { kind: "rolledBack", isFinal: false };

function alive(leftMs: number): TxnStatus {
  return { kind: "alive", remainingMs: leftMs, isPushed: false, primary: undefined };
}

/** Groups locks by transaction; of several locks on one key the first is kept. */
function byTxn(locks: readonly LockView[]): LockView[][] {
  const groups = new Map<bigint, Map<string, LockView>>();
  for (const lock of locks) {
    const group = groups.get(lock.startTs) ?? new Map<string, LockView>();
    if (!group.has(mapKey(lock.key))) group.set(mapKey(lock.key), lock);
    groups.set(lock.startTs, group);
  }
  return [...groups.values()].map((group) => [...group.values()]);
}
