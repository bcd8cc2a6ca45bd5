/**
 * Transactions that this store saw committed not long ago, so that a late pessimistic prewrite of
 * one of them is recognised. Bounded: the oldest are forgotten first. Pure.
 * Source: tikv src/storage/txn/txn_status_cache.rs.
 *
 * Two generations, of which the older is dropped as a whole: taking the first key out of one large
 * map walks over the holes of those taken before it, tens of thousands for each commit.
 */
export class TxnStatusCache {
  private young = new Map<bigint, bigint>();
  private old = new Map<bigint, bigint>();
  private readonly generationMax: number;

  /** At most `max` are remembered, the newest `max / 2` for certain; 0 remembers nothing. */
  constructor(private readonly max: number) {
    this.generationMax = Math.max(1, Math.floor(max / 2));
  }

  get size(): number {
    return this.young.size + this.old.size;
  }

  /** Notes a decision; only commits are kept. */
  note({ startTs, commitTs }: { readonly startTs: bigint; readonly commitTs: bigint }): void {
    if (commitTs === 0n || this.max === 0) return;
    if (this.young.size >= this.generationMax) {
      this.old = this.max === 1 ? new Map() : this.young;
      this.young = new Map();
    }
    this.young.set(startTs, commitTs);
  }

  /** Returns the commit_ts of a transaction, if it is remembered. */
  committedTs(startTs: bigint): bigint | undefined {
    return this.young.get(startTs) ?? this.old.get(startTs);
  }
}
