/** Options of raftstore: TiKV's [server], [raftstore] and [storage] keys that a store needs. */

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
} as const satisfies Partial<RaftstoreOptions>;
