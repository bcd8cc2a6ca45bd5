/**
 * Lock resolution for GC: finds every lock at or below a safe point, in all regions, and makes each
 * what its transaction became. For a GC leader; not a part of the published client.
 *
 * A transaction that is alive keeps its locks: they are reported, and the safe point has to stay
 * below the oldest. Anything that cannot be decided ends the call with an error: then no safe point
 * may be published, since the record that decides may go with the garbage.
 * Source: client-go tikv/gc.go.
 */
import { EMPTY_BYTES } from "../../base/index.js";
import type { WireRange } from "../key_mode.js";
import type { TxnContext } from "./context.js";
import type { LockResolver } from "./lock_resolver.js";
import { lockPages } from "./lock_scan.js";
import type { LockView } from "./lock_view.js";

export interface GcLocksResult {
  readonly regions: number;
  /** Locks that were there and are not any more. */
  readonly resolvedLocks: number;
  /** start_ts of the oldest transaction that is alive and holds locks at or below the safe point. */
  readonly oldestAlive: bigint | undefined;
}

/** In API V2 as well: GC deletes by one safe point in all keyspaces, and TiDB's keys beside them. */
const EVERYTHING: WireRange = { start: EMPTY_BYTES, end: EMPTY_BYTES };

export class GcLocks {
  constructor(
    private readonly context: TxnContext,
    private readonly resolver: LockResolver,
    /** Locks of transactions that began at or before it. */
    private readonly safePoint: bigint,
  ) {}

  /** Resolves the locks in all regions. Rejects with ClientError when one cannot be. */
  async resolve(): Promise<GcLocksResult> {
    let [regions, resolvedLocks] = [0, 0];
    let oldestAlive: bigint | undefined;
    for await (const { endsRegion, locks } of lockPages(this.context, EVERYTHING, this.safePoint)) {
      for (const startTs of new Set(locks.map((lock) => lock.startTs))) {
        const group = locks.filter((lock) => lock.startTs === startTs);
        if (await this.settle(group)) resolvedLocks += group.length;
        else if (oldestAlive === undefined || startTs < oldestAlive) oldestAlive = startTs;
      }
      if (endsRegion) regions++;
    }
    return { oldestAlive, regions, resolvedLocks };
  }

  /** Returns whether the transaction of these locks has ended, and they with it. */
  private async settle(group: readonly LockView[]): Promise<boolean> {
    return (await this.resolver.forWrite(group, this.context.newOp())) === 0;
  }
}
