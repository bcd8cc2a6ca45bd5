/** Maps a store's configuration keys to the options of the folders below. Mapping only. */
import { blockCacheBytes, type TikvConfig } from "../config/index.js";
import type { EngineOptions } from "../engine/index.js";
import { RAFTSTORE_DEFAULTS, type RaftstoreOptions } from "../raftstore/index.js";
import {
  RAFT_TRANSPORT_DEFAULTS,
  type RaftTransportOptions,
  SERVER_DEFAULTS,
  type ServerOptions,
} from "../server/index.js";
import { apiVersionOf, STORAGE_DEFAULTS, type StorageOptions } from "../storage/index.js";
import { replicationOptions } from "./replication_options.js";

/** Client-java parses this as a TiKV version; semantics and defaults are those of this one. */
export const TIKV_VERSION = "8.5.0";

/** Where a store is, once its ports are bound. */
export interface Placement {
  /** What clients and PD are told. */
  readonly address: string;
  /** Empty without a status server. */
  readonly statusAddress: string;
  /** Empty in memory. */
  readonly dataDir: string;
}

/** Options of the engine; `path` is empty in memory. */
export function engineOptions(
  config: TikvConfig,
  path: string,
  onFatal: (error: Error) => void,
): EngineOptions {
  return {
    path,
    binding: path === "" ? "memory" : config["engine.binding"],
    blockCacheBytes: blockCacheBytes(config),
    writeBufferBytes: config["rocksdb.defaultcf.write-buffer-size"],
    onFatal,
  };
}

/** Options of the store. */
export function raftstoreOptions(config: TikvConfig, placement: Placement): RaftstoreOptions {
  const labels = Object.entries(config["server.labels"]);
  return {
    ...RAFTSTORE_DEFAULTS,
    ...placement,
    labels: labels.map(([key, value]) => ({ key, value })),
    version: TIKV_VERSION,
    capacityBytes: config["raftstore.capacity"],
    pdStoreHeartbeatTickIntervalMs: config["raftstore.pd-store-heartbeat-tick-interval"],
    pdHeartbeatTickIntervalMs: config["raftstore.pd-heartbeat-tick-interval"],
    pdRetryIntervalMs: config["pd.retry-interval"],
    replication: replicationOptions(config),
  };
}

/** Options of storage. */
export function storageOptions(config: TikvConfig): StorageOptions {
  return {
    ...STORAGE_DEFAULTS,
    apiVersion: apiVersionOf(config["storage.api-version"], config["storage.enable-ttl"]),
    maxKeySizeBytes: config["storage.max-key-size"],
    raftEntryMaxSizeBytes: config["raftstore.raft-entry-max-size"],
    rightDeriveWhenSplit: config["raftstore.right-derive-when-split"],
    schedulerPendingWriteThresholdBytes: config["storage.scheduler-pending-write-threshold"],
    reserveSpaceBytes: config["storage.reserve-space"],
    ttlCheckPollIntervalMs: config["storage.ttl-check-poll-interval"],
    gcPollIntervalMs: config["gc.poll-interval"],
    advanceTsIntervalMs: config["resolved-ts.enable"]
      ? config["resolved-ts.advance-ts-interval"]
      : 0,
    txn: txnOptions(config),
    flowControl: {
      enabled: config["storage.flow-control.enable"],
      memtablesMax: config["storage.flow-control.memtables-threshold"],
      level0FilesMax: config["storage.flow-control.l0-files-threshold"],
      pendingCompactionSoftBytes:
        config["storage.flow-control.soft-pending-compaction-bytes-limit"],
      pendingCompactionHardBytes:
        config["storage.flow-control.hard-pending-compaction-bytes-limit"],
    },
  };
}

function txnOptions(config: TikvConfig): StorageOptions["txn"] {
  return {
    memoryQuotaBytes: config["storage.memory-quota"],
    asyncApplyPrewrite: config["storage.enable-async-apply-prewrite"],
    statusCacheMax: config["storage.txn-status-cache-capacity"],
    slowLogThresholdMs: config["slow-log-threshold"],
    pipelined: config["pessimistic-txn.pipelined"],
    inMemory: config["pessimistic-txn.in-memory"],
    inMemoryPeerMaxBytes: config["pessimistic-txn.in-memory-peer-size-limit"],
    inMemoryInstanceMaxBytes: config["pessimistic-txn.in-memory-instance-size-limit"],
    waitForLockTimeoutMs: config["pessimistic-txn.wait-for-lock-timeout"],
    wakeUpDelayMs: config["pessimistic-txn.wake-up-delay-duration"],
    maxTsDriftMs: config["storage.max-ts.max-drift"],
    maxTsSyncIntervalMs: config["storage.max-ts.cache-sync-interval"],
  };
}

/** Options of the gRPC server, but for the address. */
export function serverOptions(config: TikvConfig): ServerOptions {
  const receiveMax = config["limits.receive-message-size"];
  return {
    ...SERVER_DEFAULTS,
    concurrentStreams: config["server.grpc-concurrent-stream"],
    connectionsMax: config["limits.connections-max"],
    sniffTimeoutMs: config["limits.sniff-timeout"],
    keepaliveTimeMs: config["server.grpc-keepalive-time"],
    keepaliveTimeoutMs: config["server.grpc-keepalive-timeout"],
    receiveMessageMaxBytes: receiveMax === 0 ? -1 : receiveMax,
    headerListMaxBytes: config["limits.header-list-size"],
    batchRequestsMax: config["limits.batch-requests-max"],
    batchStreamInflightMax: config["limits.batch-stream-inflight-max"],
    batchTotalInflightMax: config["limits.batch-total-inflight-max"],
    streamBufferedMaxBytes: config["limits.stream-buffered-size"],
    connectionBufferedMaxBytes: config["limits.connection-buffered-size"],
    slowReaderTimeoutMs: config["limits.slow-reader-timeout"],
    resetBurst: config["limits.reset-burst"],
    resetRatePerSecond: config["limits.reset-rate"],
    requestTimeoutMs: config["limits.request-timeout"],
  };
}

/** Options of the traffic to and from other stores. */
export function raftTransportOptions(config: TikvConfig): RaftTransportOptions {
  return {
    ...RAFT_TRANSPORT_DEFAULTS,
    grpcRaftConnNum: config["server.grpc-raft-conn-num"],
    raftClientQueueSize: config["server.raft-client-queue-size"],
    raftMsgMaxBatchSize: config["server.raft-msg-max-batch-size"],
    maxGrpcSendMsgLen: config["server.max-grpc-send-msg-len"],
    heavyLoadThreshold: config["server.heavy-load-threshold"],
    heavyLoadWaitMs: config["server.heavy-load-wait-duration"],
    reconnectBackoffMs: config["server.raft-client-initial-reconnect-backoff"],
    maxBackoffMs: config["server.raft-client-max-backoff"],
    keepaliveTimeMs: config["server.grpc-keepalive-time"],
    keepaliveTimeoutMs: config["server.grpc-keepalive-timeout"],
    concurrentSendSnapLimit: config["server.concurrent-send-snap-limit"],
  };
}
