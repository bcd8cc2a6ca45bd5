/** Options of raftstore: TiKV's [server], [raftstore] and [storage] keys that a store needs. */
import { BATCH_CONFIG_DEFAULT, type BatchConfig } from "../batch/index.js";

/** How regions replicate, split and shrink their logs: TiKV's keys, camel case. Sizes in bytes. */
export interface ReplicationOptions {
  readonly raftBaseTickIntervalMs: number;
  readonly raftHeartbeatTicks: number;
  readonly raftElectionTimeoutTicks: number;
  /** At most raftElectionTimeoutTicks - 1 ticks. */
  readonly raftStoreMaxLeaderLeaseMs: number;
  readonly raftMaxSizePerMsgBytes: number;
  readonly raftMaxInflightMsgs: number;
  readonly raftEntryMaxSizeBytes: number;
  readonly raftLogGcTickIntervalMs: number;
  /** Fewest entries that are worth a deletion. */
  readonly raftLogGcThreshold: number;
  readonly raftLogGcCountLimit: number;
  readonly raftLogGcSizeLimitBytes: number;
  /** Ticks after which a small rest is deleted as well. */
  readonly raftLogReserveMaxTicks: number;
  readonly leaderTransferMaxLogLag: number;
  readonly splitRegionCheckTickIntervalMs: number;
  /** Growth after which a region's size is looked at again. */
  readonly regionSplitCheckDiffBytes: number;
  readonly regionSplitSizeBytes: number;
  readonly regionMaxSizeBytes: number;
  readonly regionSplitKeys: number;
  readonly regionMaxKeys: number;
  readonly batchSplitLimit: number;
  readonly rightDeriveWhenSplit: boolean;
  readonly peerStaleStateCheckIntervalMs: number;
  readonly abnormalLeaderMissingDurationMs: number;
  readonly maxLeaderMissingDurationMs: number;
  readonly maxPeerDownDurationMs: number;
  readonly applyYieldWriteSizeBytes: number;
  readonly concurrentSendSnapLimit: number;
  readonly concurrentRecvSnapLimit: number;
  /** Bytes a second that snapshots may write or send, each; 0 = no limit. */
  readonly snapIoMaxBytesPerSec: number;
  /** Bytes that received snapshots may take on disk together; 0 = no limit. */
  readonly snapMaxTotalSizeBytes: number;
  /** The raft batch system: peers and the store. */
  readonly storeBatch: BatchConfig;
  /** The apply batch system. */
  readonly applyBatch: BatchConfig;
}

const MIB = 1024 * 1024;

/** TiKV v8.5's defaults. */
export const REPLICATION_DEFAULTS: ReplicationOptions = {
  raftBaseTickIntervalMs: 1_000,
  raftHeartbeatTicks: 2,
  raftElectionTimeoutTicks: 10,
  raftStoreMaxLeaderLeaseMs: 9_000,
  raftMaxSizePerMsgBytes: MIB,
  raftMaxInflightMsgs: 256,
  raftEntryMaxSizeBytes: 8 * MIB,
  raftLogGcTickIntervalMs: 3_000,
  raftLogGcThreshold: 50,
  raftLogGcCountLimit: 196_608,
  raftLogGcSizeLimitBytes: 192 * MIB,
  raftLogReserveMaxTicks: 6,
  leaderTransferMaxLogLag: 128,
  splitRegionCheckTickIntervalMs: 10_000,
  regionSplitCheckDiffBytes: 16 * MIB,
  regionSplitSizeBytes: 256 * MIB,
  regionMaxSizeBytes: 384 * MIB,
  regionSplitKeys: 2_560_000,
  regionMaxKeys: 3_840_000,
  batchSplitLimit: 10,
  rightDeriveWhenSplit: true,
  peerStaleStateCheckIntervalMs: 300_000,
  abnormalLeaderMissingDurationMs: 600_000,
  maxLeaderMissingDurationMs: 7_200_000,
  maxPeerDownDurationMs: 600_000,
  applyYieldWriteSizeBytes: 32 * 1024,
  concurrentSendSnapLimit: 32,
  concurrentRecvSnapLimit: 32,
  snapIoMaxBytesPerSec: 100 * MIB,
  snapMaxTotalSizeBytes: 0,
  storeBatch: BATCH_CONFIG_DEFAULT,
  applyBatch: BATCH_CONFIG_DEFAULT,
};

export interface RaftstoreOptions {
  /** host:port that clients and PD see: server.advertise-addr, the port really bound. */
  readonly address: string;
  /** host:port of the status server, or "". */
  readonly statusAddress: string;
  /** server.labels. */
  readonly labels: readonly { readonly key: string; readonly value: string }[];
  /** Version that PD and clients see; client-java parses it as a TiKV version. */
  readonly version: string;
  readonly gitHash: string;
  /** Where the program lies; information for people. */
  readonly deployPath: string;
  /** storage.data-dir; "" when the engine is in memory. */
  readonly dataDir: string;
  /** raftstore.pd-store-heartbeat-tick-interval, ms. */
  readonly pdStoreHeartbeatTickIntervalMs: number;
  /** raftstore.pd-heartbeat-tick-interval, ms. */
  readonly pdHeartbeatTickIntervalMs: number;
  /** raftstore.capacity, bytes; 0 = that of the disk. */
  readonly capacityBytes: number;
  /** Wait between two attempts to reach PD at start, ms. */
  readonly pdRetryIntervalMs: number;
  /** At most one log line about an absent PD in this time, ms. */
  readonly pdRetryLogIntervalMs: number;
  readonly replication: ReplicationOptions;
}

/** TiKV's defaults; address, version and data directory have none. */
export const RAFTSTORE_DEFAULTS = {
  statusAddress: "",
  labels: [],
  gitHash: "",
  deployPath: "",
  dataDir: "",
  pdStoreHeartbeatTickIntervalMs: 10_000,
  pdHeartbeatTickIntervalMs: 60_000,
  capacityBytes: 0,
  pdRetryIntervalMs: 300,
  pdRetryLogIntervalMs: 5_000,
  replication: REPLICATION_DEFAULTS,
} as const satisfies Partial<RaftstoreOptions>;
