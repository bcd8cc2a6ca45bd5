/** `[pessimistic-txn]` and TiKV's other keys of transactions. */
import { bool, duration, int, size } from "./schema.js";

export const TXN_FIELDS = {
  "slow-log-threshold": duration("1s", "0s", "1d", "Commands that take longer are logged."),
  "storage.memory-quota": size(
    "256MiB",
    "1MiB",
    "1TiB",
    "Bytes of transactional commands that run or wait; above, the answer is ServerIsBusy.",
  ),
  "storage.enable-async-apply-prewrite": bool(
    false,
    "Whether prewrites of async commit and 1PC are answered when committed, before they are applied.",
  ),
  "storage.txn-status-cache-capacity": int(
    100_000,
    0,
    100_000_000,
    "Committed transactions that are remembered, against late prewrites. TiKV's default is 5120000.",
  ),
  "storage.max-ts.max-drift": duration(
    "60s",
    "1s",
    "365d",
    "How far a read's timestamp may be ahead of PD's clock.",
  ),
  "storage.max-ts.cache-sync-interval": duration(
    "15s",
    "1s",
    "1d",
    "How often PD's clock is read for storage.max-ts.max-drift.",
  ),
  "storage.flow-control.enable": bool(
    true,
    "Whether writes are slowed down and refused when the engine's flushes and compactions lag.",
  ),
  "storage.flow-control.memtables-threshold": int(
    2,
    1,
    1_000,
    "Above this many memtables that wait to be flushed, writes are slowed down. TiKV's default is 5.",
  ),
  "storage.flow-control.l0-files-threshold": int(
    20,
    1,
    100_000,
    "Above this many files in level 0, writes are slowed down.",
  ),
  "storage.flow-control.soft-pending-compaction-bytes-limit": size(
    "192GiB",
    "1MiB",
    "1PiB",
    "From here on a share of the writes is refused (ServerIsBusy), the more the nearer to the hard limit.",
  ),
  "storage.flow-control.hard-pending-compaction-bytes-limit": size(
    "1TiB",
    "1MiB",
    "1PiB",
    "From here on all writes are refused, but those that free.",
  ),
  "pessimistic-txn.wait-for-lock-timeout": duration(
    "1s",
    "1ms",
    "1h",
    "How long a pessimistic lock waits for another transaction's at most.",
  ),
  "pessimistic-txn.wake-up-delay-duration": duration(
    "20ms",
    "0s",
    "1h",
    "When a lock is released: how long all but the first of those who wait go on waiting.",
  ),
  "pessimistic-txn.pipelined": bool(
    true,
    "Whether a pessimistic lock is answered when it is proposed; it is lost if the leader dies then.",
  ),
  "pessimistic-txn.in-memory": bool(
    true,
    "Whether pessimistic locks live in the leader's memory alone; they are lost if it dies.",
  ),
  "pessimistic-txn.in-memory-peer-size-limit": size(
    "512KiB",
    "0B",
    "1TiB",
    "Bytes of a region's locks in memory; above, locks are written.",
  ),
  "pessimistic-txn.in-memory-instance-size-limit": size(
    "100MiB",
    "0B",
    "1TiB",
    "Bytes of all locks in memory.",
  ),
} as const;
