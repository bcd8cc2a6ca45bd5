/**
 * Transactions that this store saw committed not long ago, so that a late pessimistic prewrite of
 * one of them is recognised. Bounded: the oldest is forgotten first. Pure.
 * Source: tikv src/storage/txn/txn_status_cache.rs.
 */
export class TxnStatusCache {
  private readonly commits = new Map<bigint, bigint>();

  /** `max` 0 remembers nothing. */
  constructor(private readonly max: number) {}

  get size(): number {
    return this.commits.size;
  }

  /** Notes a decision; only commits are kept. */
  note({ startTs, commitTs }: { readonly startTs: bigint; readonly commitTs: bigint }): void {
    if (commitTs === 0n || this.max === 0) return;
    if (!this.commits.has(startTs) && this.commits.size >= this.max) {
      const [oldest] = this.commits.keys();
      if (oldest !== undefined) this.commits.delete(oldest);
    }
    this.commits.set(startTs, commitTs);
  }

  /** Returns the commit_ts of a transaction, if it is remembered. */
  committedTs(startTs: bigint): bigint | undefined {
    return this.commits.get(startTs);
  }
}
