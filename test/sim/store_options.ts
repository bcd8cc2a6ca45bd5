/** Production's options as the simulator sets them: short times, small limits, tiny ones in some seeds. */
import type { Prng } from "../../src/base/index.js";
import { BATCH_CONFIG_DEFAULT } from "../../src/batch/index.js";
import { API_VERSION } from "../../src/codec/index.js";
import {
  RAFTSTORE_DEFAULTS,
  REPLICATION_DEFAULTS,
  type ReplicationOptions,
} from "../../src/raftstore/index.js";
import type { StoreOptions } from "../../src/raftstore/store.js";
import type { StoreEnv } from "./process.js";

/** Length of a Raft tick. An election takes 1 to 2 s, a lease lasts 0.8 s at most. */
const TICK_MS = 100;
/** Shorter than the election timeout less a tick by what clocks may run apart. */
const LEASE_MS = 800;

/** Returns how regions replicate; `isTiny`: limits so small that everything waits for everything. */
export function replicationOptions(prng: Prng, isTiny: boolean): ReplicationOptions {
  const batch = isTiny
    ? { ...BATCH_CONFIG_DEFAULT, maxBatchSize: prng.range(1, 4), messagesPerTick: prng.range(1, 8) }
    : BATCH_CONFIG_DEFAULT;
  return {
    ...REPLICATION_DEFAULTS,
    raftBaseTickIntervalMs: TICK_MS,
    raftHeartbeatTicks: 2,
    raftElectionTimeoutTicks: 10,
    raftStoreMaxLeaderLeaseMs: LEASE_MS,
    raftMaxSizePerMsgBytes: isTiny ? 1 : 64 * 1024,
    raftMaxInflightMsgs: isTiny ? prng.range(1, 4) : 32,
    raftLogGcTickIntervalMs: 1_000,
    raftLogGcThreshold: 10,
    raftLogGcCountLimit: prng.pick([20, 50, 200]),
    raftLogReserveMaxTicks: 3,
    splitRegionCheckTickIntervalMs: 2_000,
    peerStaleStateCheckIntervalMs: 2_000,
    abnormalLeaderMissingDurationMs: 4_000,
    maxLeaderMissingDurationMs: 10_000,
    maxPeerDownDurationMs: 5_000,
    applyYieldWriteSizeBytes: isTiny ? 1 : 1_024,
    concurrentSendSnapLimit: isTiny ? 1 : 4,
    concurrentRecvSnapLimit: isTiny ? 1 : 4,
    storeBatch: batch,
    applyBatch: batch,
  };
}

/** Returns all options of a store. */
export function storeOptions({ number, prng, options }: StoreEnv): StoreOptions {
  return {
    ...RAFTSTORE_DEFAULTS,
    address: `s${number}:20160`,
    version: "8.5.0",
    dataDir: "simulated",
    pdStoreHeartbeatTickIntervalMs: 1_000,
    pdHeartbeatTickIntervalMs: 1_000,
    replication: replicationOptions(prng, options.tiny),
    apiVersion: API_VERSION.V1,
    reserveSpaceBytes: 1_000_000_000,
  };
}
