/**
 * Lock resolution for GC: finds every lock at or below a safe point, in all regions, and makes each
 * what its transaction became. For a GC leader; not a part of the published client.
 *
 * A transaction that is alive keeps its locks: they are reported, and the safe point has to stay
 * below the oldest. Anything that cannot be decided ends the call with an error: then no safe point
 * may be published, since the record that decides may go with the garbage.
 * Source: client-go tikv/gc.go.
 */
import { compareBytes, EMPTY_BYTES, nextKey } from "../../base/index.js";
import { fromBigInt } from "../../pb/index.js";
import type { Backoffer } from "../backoff.js";
import type { CachedRegion } from "../region_cache.js";
import { RELOAD } from "../region_request.js";
import type { TxnContext } from "./context.js";
import { errorOf } from "./key_error.js";
import type { LockResolver } from "./lock_resolver.js";
import { type LockView, lockView } from "./lock_view.js";

/** Locks that one request asks for. */
const SCAN_LIMIT = 256;

export interface GcLocksResult {
  readonly regions: number;
  /** Locks that were there and are not any more. */
  readonly resolvedLocks: number;
  /** start_ts of the oldest transaction that is alive and holds locks at or below the safe point. */
  readonly oldestAlive: bigint | undefined;
}

/** `[start, end)` in keys of requests; empty end = +inf. */
interface Range {
  readonly start: Uint8Array;
  readonly end: Uint8Array;
}

/** Data of transactions in API V2, of all keyspaces. */
const V2_RANGE: Range = { start: Uint8Array.of(0x78), end: Uint8Array.of(0x79) };
const V1_RANGE: Range = { start: EMPTY_BYTES, end: EMPTY_BYTES };

export class GcLocks {
  private regions = 0;
  private resolvedLocks = 0;
  private oldestAlive: bigint | undefined;

  constructor(
    private readonly context: TxnContext,
    private readonly resolver: LockResolver,
    /** Locks of transactions that began at or before it. */
    private readonly safePoint: bigint,
  ) {}

  /** Resolves the locks in all regions. Rejects with ClientError when one cannot be. */
  async resolve(): Promise<GcLocksResult> {
    const { locator } = this.context.parts;
    const range = this.context.options.apiVersion === "V2" ? V2_RANGE : V1_RANGE;
    let { start } = range;
    let op = this.context.newOp();
    for (;;) {
      const region = await locator.locate(start, op);
      const next = await this.page(region, start, op);
      if (next === RELOAD) continue;
      op = this.context.newOp();
      start = next ?? region.endKey;
      if (next !== undefined) continue;
      this.regions++;
      const isLast = start.length === 0 || reached(start, range.end);
      if (!isLast) continue;
      const { oldestAlive, regions, resolvedLocks } = this;
      return { oldestAlive, regions, resolvedLocks };
    }
  }

  /** Resolves one page of locks of a region. Returns where the next starts, undefined at its end. */
  private async page(
    region: CachedRegion,
    startKey: Uint8Array,
    op: Backoffer,
  ): Promise<Uint8Array | undefined | typeof RELOAD> {
    const { mode, sender } = this.context.parts;
    const maxVersion = fromBigInt(this.safePoint);
    const body = { maxVersion, startKey, endKey: region.endKey, limit: SCAN_LIMIT };
    const scanned = await sender.send(region, "ScanLock", body, op);
    if (scanned === RELOAD) return RELOAD;
    const { error } = scanned;
    if (error !== null) {
      if (error.locked === null) throw errorOf(error, this.safePoint, mode);
      // A lock that is in memory only for the moment: it is stored, or gone, in a while.
      await op.wait("maxTsNotSynced", "a lock that is not stored yet");
      return RELOAD;
    }
    const locks = scanned.locks.map(lockView);
    await this.settle(locks);
    const last = locks.at(-1);
    return last === undefined || locks.length < SCAN_LIMIT ? undefined : nextKey(last.key);
  }

  private async settle(locks: readonly LockView[]): Promise<void> {
    for (const startTs of new Set(locks.map((lock) => lock.startTs))) {
      const group = locks.filter((lock) => lock.startTs === startTs);
      const waitMs = await this.resolver.forWrite(group, this.context.newOp());
      if (waitMs === 0) this.resolvedLocks += group.length;
      else if (this.oldestAlive === undefined || startTs < this.oldestAlive) {
        this.oldestAlive = startTs;
      }
    }
  }
}

function reached(key: Uint8Array, end: Uint8Array): boolean {
  return end.length > 0 && compareBytes(key, end) >= 0;
}
