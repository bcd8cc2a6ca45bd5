/**
 * Lock resolution for GC: finds every lock at or below a safe point, in all regions, and makes each
 * what its transaction became. For a GC leader; not a part of the published client.
 *
 * A transaction that is alive keeps its locks: they are reported, and the safe point has to stay
 * below the oldest. Anything that cannot be decided ends the call with an error: then no safe point
 * may be published, since the record that decides may go with the garbage.
 * Source: client-go txnkv/txnlock/lock_resolver.go BatchResolveLocks, tikv/gc.go.
 */
import { compareBytes, EMPTY_BYTES, nextKey } from "../base/index.js";
import { fromBigInt, kvrpcpb, toBigInt } from "../pb/index.js";
import type { Backoffer } from "./backoff.js";
import type { CommandName, RequestOf, ResponseOf } from "./commands.js";
import { GcTxnStatus, type TxnOutcome } from "./gc_txn_status.js";
import type { CachedRegion } from "./region_cache.js";
import type { RegionLocator } from "./region_locator.js";
import { RELOAD, type RegionSender } from "./region_request.js";

/** Locks that one request asks for. */
const SCAN_LIMIT = 256;

export interface GcLocksParts {
  readonly locator: RegionLocator;
  readonly sender: RegionSender;
  /** Makes the retry budget of one page, or of one question. */
  readonly newOp: () => Backoffer;
  /** Where data of transactions starts and ends, in keys of requests; empty end = +inf. */
  readonly startKey: Uint8Array;
  readonly endKey: Uint8Array;
}

export interface GcLocksResult {
  readonly regions: number;
  /** Locks that were there and are not any more. */
  readonly resolvedLocks: number;
  /** start_ts of the oldest transaction that is alive and holds locks at or below the safe point. */
  readonly oldestAlive: bigint | undefined;
}

interface Progress {
  regions: number;
  resolvedLocks: number;
  oldestAlive: bigint | undefined;
}

/** Sends a request to the region of a key, wherever it is by then. */
export type SendToKey = <C extends CommandName>(
  key: Uint8Array,
  command: C,
  bodyFor: (region: CachedRegion) => RequestOf<C>,
) => Promise<ResponseOf<C>>;

/** Returns a response's key error as a text; undefined without one. */
export function keyErrorText(error: kvrpcpb.KeyError | null): string | undefined {
  if (error === null) return undefined;
  const parts = Object.entries(error).filter(([, value]) => value !== null && value !== "");
  return parts.map(([name, value]) => `${name} ${JSON.stringify(value)}`).join(", ") || "key error";
}

export class GcLocks {
  constructor(private readonly parts: GcLocksParts) {}

  /**
   * Resolves the locks of transactions that started at or before `safePoint`; `now` is a new
   * timestamp, by which locks are judged to be alive. Rejects with ClientError.
   */
  async resolve(safePoint: bigint, now: bigint): Promise<GcLocksResult> {
    const { endKey, locator, newOp, startKey } = this.parts;
    const progress: Progress = { regions: 0, resolvedLocks: 0, oldestAlive: undefined };
    const status = new GcTxnStatus(now, this.sendToKey);
    let start = startKey;
    let op = newOp();
    for (;;) {
      const region = await locator.locate(start, op);
      const page = await this.page(region, start, safePoint, status, progress, op);
      if (page === RELOAD) continue;
      op = newOp();
      start = page ?? region.endKey;
      if (page !== undefined) continue;
      progress.regions++;
      const isLast = region.endKey.length === 0;
      if (isLast || (endKey.length > 0 && compareBytes(start, endKey) >= 0)) return progress;
    }
  }

  private readonly sendToKey: SendToKey = async (key, command, bodyFor) => {
    const op = this.parts.newOp();
    for (;;) {
      const region = await this.parts.locator.locate(key, op);
      const response = await this.parts.sender.send(region, command, bodyFor(region), op);
      if (response !== RELOAD) return response;
    }
  };

  /** Resolves one page of locks of a region. Returns where the next starts, undefined at its end. */
  private async page(
    region: CachedRegion,
    startKey: Uint8Array,
    safePoint: bigint,
    status: GcTxnStatus,
    progress: Progress,
    op: Backoffer,
  ): Promise<Uint8Array | undefined | typeof RELOAD> {
    const { sender } = this.parts;
    const maxVersion = fromBigInt(safePoint);
    const body = { maxVersion, startKey, endKey: region.endKey, limit: SCAN_LIMIT };
    const scanned = await sender.send(region, "ScanLock", body, op);
    if (scanned === RELOAD) return RELOAD;
    const wrong = scanned.error;
    if (wrong !== null) {
      const text = keyErrorText(wrong) ?? "";
      if (wrong.locked === null) throw op.error("RUTILE:Client:Refused", `ScanLock: ${text}`);
      // A lock that is in memory only for the moment: it is stored, or gone, in a while.
      await op.wait("maxTsNotSynced", text);
      return RELOAD;
    }
    const { locks } = scanned;
    const settled = await this.settle(region, locks, status, progress, op);
    if (settled === RELOAD) return RELOAD;
    const last = locks.at(-1);
    return last === undefined || locks.length < SCAN_LIMIT ? undefined : nextKey(last.key);
  }

  private async settle(
    region: CachedRegion,
    locks: readonly kvrpcpb.LockInfo[],
    status: GcTxnStatus,
    progress: Progress,
    op: Backoffer,
  ): Promise<typeof RELOAD | undefined> {
    const infos = new Map<bigint, TxnOutcome & { readonly kind: "ended" }>();
    let resolved = 0;
    for (const lock of locks) {
      const startTs = toBigInt(lock.lockVersion);
      const outcome = await status.of(lock);
      if (outcome.kind === "alive") {
        const { oldestAlive } = progress;
        if (oldestAlive === undefined || startTs < oldestAlive) progress.oldestAlive = startTs;
        continue;
      }
      resolved++;
      if (lock.lockType === kvrpcpb.Op.PessimisticLock) await this.rollBackPessimistic(lock);
      else infos.set(startTs, outcome);
    }
    if (infos.size > 0) {
      const txnInfos = [...infos].map(([startTs, { commitTs }]) => ({
        txn: fromBigInt(startTs),
        status: fromBigInt(commitTs),
      }));
      const done = await this.parts.sender.send(region, "ResolveLock", { txnInfos }, op);
      if (done === RELOAD) return RELOAD;
      const text = keyErrorText(done.error);
      if (text !== undefined) throw op.error("RUTILE:Client:Refused", `ResolveLock: ${text}`);
    }
    progress.resolvedLocks += resolved;
    return undefined;
  }

  /** A pessimistic lock holds no data: it goes, whatever its transaction became. */
  private async rollBackPessimistic(lock: kvrpcpb.LockInfo): Promise<void> {
    const body = {
      startVersion: lock.lockVersion,
      forUpdateTs: lock.lockForUpdateTs,
      keys: [lock.key],
    };
    const done = await this.sendToKey(lock.key, "PessimisticRollback", () => body);
    const text = done.errors.map(keyErrorText).find((one) => one !== undefined);
    if (text === undefined) return;
    throw this.parts.newOp().error("RUTILE:Client:Refused", `PessimisticRollback: ${text}`);
  }
}

/** A prefix that data of transactions has in API V2, and the first key behind it. */
const TXN_PREFIX_V2 = Uint8Array.of(0x78);
const TXN_PREFIX_V2_END = Uint8Array.of(0x79);

/** Returns the keys that GC looks at in an API version. */
export function gcKeyRange(isV2: boolean): Pick<GcLocksParts, "startKey" | "endKey"> {
  if (!isV2) return { startKey: EMPTY_BYTES, endKey: EMPTY_BYTES };
  return { startKey: TXN_PREFIX_V2, endKey: TXN_PREFIX_V2_END };
}
