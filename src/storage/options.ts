/** Options of storage: TiKV's [storage], [raftstore] and [readpool] keys that raw commands need. */
import { LIMITS } from "../base/index.js";
import { API_VERSION, type ApiVersion } from "../codec/index.js";
import type { FlowControlOptions } from "./flow_controller.js";
import { TXN_DEFAULTS, type TxnOptions } from "./txn_options.js";

export interface StorageOptions {
  /** storage.api-version with storage.enable-ttl; see `apiVersionOf`. */
  readonly apiVersion: ApiVersion;
  /** storage.max-key-size, bytes of a user key. */
  readonly maxKeySizeBytes: number;
  /** raftstore.raft-entry-max-size, bytes of one command. */
  readonly raftEntryMaxSizeBytes: number;
  /** raftstore.right-derive-when-split: which neighbours an EpochNotMatch tells. */
  readonly rightDeriveWhenSplit: boolean;
  /** storage.scheduler-pending-write-threshold, bytes in flight. */
  readonly schedulerPendingWriteThresholdBytes: number;
  /** storage.reserve-space, bytes; below half of it writes are refused with DiskFull. */
  readonly reserveSpaceBytes: number;
  /** storage.ttl-check-poll-interval, ms; 0 = never. Online. */
  readonly ttlCheckPollIntervalMs: number;
  /** gc.poll-interval, ms: how often PD is asked for the GC safe point; 0 = never. */
  readonly gcPollIntervalMs: number;
  /** readpool.unified.max-tasks-per-worker: long reads that may wait. */
  readonly readPoolTasksMax: number;
  /** Long reads that hold a snapshot and take turns. */
  readonly readPoolActiveMax: number;
  /** Bytes that the results of long reads under way may take together. */
  readonly readPoolMemoryMaxBytes: number;
  /** Bytes of one scan's result. */
  readonly scanResponseMaxBytes: number;
  /** How long long reads may hold the event loop in one turn, ms. */
  readonly readSliceMs: number;
  readonly txn: TxnOptions;
  readonly flowControl: FlowControlOptions;
  /** resolved-ts.advance-ts-interval, ms; 0 (resolved-ts.enable = false): no stale reads. */
  readonly advanceTsIntervalMs: number;
}

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;

/** TiKV's defaults; the last four bounds are ours: TiKV has a thread pool and no such bound. */
export const STORAGE_DEFAULTS: StorageOptions = {
  apiVersion: API_VERSION.V1,
  maxKeySizeBytes: LIMITS.keySizeMaxBytes,
  raftEntryMaxSizeBytes: LIMITS.raftEntrySizeMaxBytes,
  rightDeriveWhenSplit: true,
  schedulerPendingWriteThresholdBytes: 100 * MIB,
  reserveSpaceBytes: 5 * 1024 * MIB,
  ttlCheckPollIntervalMs: 12 * 3600 * 1000,
  gcPollIntervalMs: 10_000,
  readPoolTasksMax: 2000,
  // A guess: enough to hide no latency (there is one thread), few enough for the npm binding's
  // bounded snapshots. tikv_scheduler_processing_read_duration_seconds would change it.
  readPoolActiveMax: 8,
  readPoolMemoryMaxBytes: 512 * MIB,
  scanResponseMaxBytes: 256 * MIB,
  readSliceMs: 2,
  txn: TXN_DEFAULTS,
  flowControl: {
    enabled: true,
    // TiKV's is 5, with memtables of its own for each column family; our engine stalls at 3.
    memtablesMax: 2,
    level0FilesMax: 20,
    pendingCompactionSoftBytes: 192 * GIB,
    pendingCompactionHardBytes: 1024 * GIB,
  },
  advanceTsIntervalMs: 20_000,
};

/** Returns the mode of storage.api-version (1 or 2) and storage.enable-ttl. */
export function apiVersionOf(apiVersion: 1 | 2, enableTtl: boolean): ApiVersion {
  if (apiVersion === 2) return API_VERSION.V2;
  return enableTtl ? API_VERSION.V1TTL : API_VERSION.V1;
}
