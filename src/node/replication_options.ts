/** Maps the configuration keys of replication to raftstore's options. Mapping only. */
import type { TikvConfig } from "../config/index.js";
import { REPLICATION_DEFAULTS, type ReplicationOptions } from "../raftstore/index.js";

/** Options of Raft, splits and logs. */
function raftOptions(config: TikvConfig): Partial<ReplicationOptions> {
  return {
    raftBaseTickIntervalMs: config["raftstore.raft-base-tick-interval"],
    raftHeartbeatTicks: config["raftstore.raft-heartbeat-ticks"],
    raftElectionTimeoutTicks: config["raftstore.raft-election-timeout-ticks"],
    raftStoreMaxLeaderLeaseMs: config["raftstore.raft-store-max-leader-lease"],
    raftMaxSizePerMsgBytes: config["raftstore.raft-max-size-per-msg"],
    raftMaxInflightMsgs: config["raftstore.raft-max-inflight-msgs"],
    raftEntryMaxSizeBytes: config["raftstore.raft-entry-max-size"],
    raftLogGcTickIntervalMs: config["raftstore.raft-log-gc-tick-interval"],
    raftLogGcThreshold: config["raftstore.raft-log-gc-threshold"],
    raftLogGcCountLimit: config["raftstore.raft-log-gc-count-limit"],
    raftLogGcSizeLimitBytes: config["raftstore.raft-log-gc-size-limit"],
    raftLogReserveMaxTicks: config["raftstore.raft-log-reserve-max-ticks"],
    leaderTransferMaxLogLag: config["raftstore.leader-transfer-max-log-lag"],
  };
}

/** Options of splits, of peers that were forgotten, and of snapshots. */
function regionOptions(config: TikvConfig): Partial<ReplicationOptions> {
  return {
    splitRegionCheckTickIntervalMs: config["raftstore.split-region-check-tick-interval"],
    regionSplitCheckDiffBytes: config["raftstore.region-split-check-diff"],
    regionSplitSizeBytes: config["coprocessor.region-split-size"],
    regionMaxSizeBytes: config["coprocessor.region-max-size"],
    regionSplitKeys: config["coprocessor.region-split-keys"],
    regionMaxKeys: config["coprocessor.region-max-keys"],
    batchSplitLimit: config["coprocessor.batch-split-limit"],
    rightDeriveWhenSplit: config["raftstore.right-derive-when-split"],
    peerStaleStateCheckIntervalMs: config["raftstore.peer-stale-state-check-interval"],
    abnormalLeaderMissingDurationMs: config["raftstore.abnormal-leader-missing-duration"],
    maxLeaderMissingDurationMs: config["raftstore.max-leader-missing-duration"],
    maxPeerDownDurationMs: config["raftstore.max-peer-down-duration"],
    applyYieldWriteSizeBytes: config["raftstore.apply-yield-write-size"],
    concurrentSendSnapLimit: config["server.concurrent-send-snap-limit"],
    concurrentRecvSnapLimit: config["server.concurrent-recv-snap-limit"],
    snapIoMaxBytesPerSec: config["server.snap-io-max-bytes-per-sec"],
    snapMaxTotalSizeBytes: config["server.snap-max-total-size"],
  };
}

/** Returns the options of how regions replicate. */
export function replicationOptions(config: TikvConfig): ReplicationOptions {
  const messagesPerTick = config["raftstore.messages-per-tick"];
  const notifyCapacity = config["raftstore.notify-capacity"];
  const { storeBatch, applyBatch } = REPLICATION_DEFAULTS;
  return {
    ...REPLICATION_DEFAULTS,
    ...raftOptions(config),
    ...regionOptions(config),
    storeBatch: {
      ...storeBatch,
      messagesPerTick,
      notifyCapacity,
      poolSize: config["raftstore.store-pool-size"],
      maxBatchSize: config["raftstore.store-max-batch-size"],
      rescheduleDurationMs: config["raftstore.store-reschedule-duration"],
    },
    applyBatch: {
      ...applyBatch,
      messagesPerTick,
      notifyCapacity,
      poolSize: config["raftstore.apply-pool-size"],
      maxBatchSize: config["raftstore.apply-max-batch-size"],
      rescheduleDurationMs: config["raftstore.apply-reschedule-duration"],
    },
  };
}
