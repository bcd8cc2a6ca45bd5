/** What clients can be told, with defaults. Sources of defaults: client-go rawkv.go, client.go. */
import { type Logger, NULL_LOGGER } from "../base/index.js";

/** How the stores lay keys and values out; "V1" also for stores with enable-ttl. */
export type ApiVersionName = "V1" | "V1TTL" | "V2";

/** Options of every client. */
export interface ClientOptions {
  /** "host:port" or "http://host:port" of placement drivers; at least one. */
  readonly pdEndpoints: readonly string[];
  readonly apiVersion: ApiVersionName;
  /** API V2: the keyspace's name. */
  readonly keyspace: string;
  /** Longest time for one operation, retries included, ms; per page for scans. */
  readonly timeoutMs: number;
  /** Longest time that an operation may spend waiting between retries, ms. */
  readonly retryBudgetMs: number;
  /** Longest time for one request to a store, ms. */
  readonly requestTimeoutMs: number;
  /** Whether requests share one stream to each store (BatchCommands); otherwise each is a call. */
  readonly batchCommands: boolean;
  /** Most requests of one stream message. */
  readonly batchSizeMax: number;
  /** Most requests that may wait for one store; more are refused with TooManyPending. */
  readonly pendingMax: number;
  /** Most chunks of one batch operation that are under way at once. */
  readonly concurrencyMax: number;
  /** Most regions that the cache holds; beyond, the oldest are dropped. */
  readonly regionCacheMax: number;
  /** How long a cached region is believed without being asked for again, ms. */
  readonly regionTtlMs: number;
  readonly log: Logger;
}

export interface RawClientOptions extends ClientOptions {
  /** Column family; "" is the default one. */
  readonly cf: string;
  /** Makes puts and deletes atomic with compare-and-swap of other clients. Slower. */
  readonly atomic: boolean;
}

export const CLIENT_DEFAULTS: Omit<ClientOptions, "pdEndpoints"> = {
  apiVersion: "V1",
  keyspace: "DEFAULT",
  timeoutMs: 60_000,
  retryBudgetMs: 20_000,
  requestTimeoutMs: 30_000,
  batchCommands: true,
  batchSizeMax: 128,
  pendingMax: 262_144,
  concurrencyMax: 16,
  regionCacheMax: 65_536,
  regionTtlMs: 600_000,
  log: NULL_LOGGER,
};

export const RAW_CLIENT_DEFAULTS: Omit<RawClientOptions, "pdEndpoints"> = {
  ...CLIENT_DEFAULTS,
  cf: "",
  atomic: false,
};

/** Longest key that is sent without asking the store, bytes; stores refuse keys above 8 KiB. */
export const KEY_SIZE_MAX_BYTES = 65_536;
/**
 * A key above all keys that stores take (8 KiB by default): stands for +inf where the protocol has no
 * word for it, which is the upper end of a reverse scan and the question for the last region.
 */
export const ABOVE_ALL_KEYS: Uint8Array = new Uint8Array(16 * 1024).fill(0xff);
/** Keys of one RawBatchGet and RawBatchDelete. */
export const BATCH_KEYS_MAX = 512;
/** Bytes of pairs of one RawBatchPut; one pair may be larger. */
export const BATCH_PUT_BYTES_MAX = 16 * 1024;
/** Pairs of one scan page; the server's own limit is higher. */
export const SCAN_PAGE_DEFAULT = 256;
export const SCAN_PAGE_MAX = 10_240;
