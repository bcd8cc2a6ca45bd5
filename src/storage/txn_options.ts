/** Options of transactions: TiKV's [storage], [pessimistic-txn] and [max-ts] keys. */
const MIB = 1024 * 1024;

export interface TxnOptions {
  /** storage.memory-quota, bytes of the requests of commands that run or wait. */
  readonly memoryQuotaBytes: number;
  /** storage.enable-async-apply-prewrite: async commit and 1PC prewrites answer when committed. */
  readonly asyncApplyPrewrite: boolean;
  /** storage.txn-status-cache-capacity: committed transactions that are remembered. */
  readonly statusCacheMax: number;
  /** server's slow-log-threshold, ms; a command that takes longer is logged. */
  readonly slowLogThresholdMs: number;
  /** pessimistic-txn.pipelined: a pessimistic lock answers when it is proposed. */
  readonly pipelined: boolean;
  /** pessimistic-txn.in-memory: pessimistic locks live in the leader's memory. */
  readonly inMemory: boolean;
  /** pessimistic-txn.in-memory-peer-size-limit, bytes of a region's locks in memory. */
  readonly inMemoryPeerMaxBytes: number;
  /** pessimistic-txn.in-memory-instance-size-limit, bytes of all locks in memory. */
  readonly inMemoryInstanceMaxBytes: number;
  /** pessimistic-txn.wait-for-lock-timeout, ms. */
  readonly waitForLockTimeoutMs: number;
  /** pessimistic-txn.wake-up-delay-duration, ms. */
  readonly wakeUpDelayMs: number;
  /** max-ts.max-drift, ms: how far a read may be ahead of PD's clock. */
  readonly maxTsDriftMs: number;
  /** max-ts.cache-sync-interval, ms: how often PD's clock is asked for that. */
  readonly maxTsSyncIntervalMs: number;
}

/** TiKV's defaults; the status cache is smaller, since a Map's entry costs more than a slot. */
export const TXN_DEFAULTS: TxnOptions = {
  memoryQuotaBytes: 256 * MIB,
  asyncApplyPrewrite: false,
  statusCacheMax: 100_000,
  slowLogThresholdMs: 1000,
  pipelined: true,
  inMemory: true,
  inMemoryPeerMaxBytes: 512 * 1024,
  inMemoryInstanceMaxBytes: 100 * MIB,
  waitForLockTimeoutMs: 1000,
  wakeUpDelayMs: 20,
  maxTsDriftMs: 60_000,
  maxTsSyncIntervalMs: 15_000,
};
