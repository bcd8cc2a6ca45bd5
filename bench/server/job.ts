/** What the benches, their loader process and their store process say to each other. */
import type { EngineBinding } from "../../src/engine/index.js";

/** "txnGet", "txnBatchGet", "txnScan": reads at a timestamp; "onePc": a Put by one phase. */
export type LoadKind = "get" | "put" | "scan" | "txnGet" | "txnBatchGet" | "txnScan" | "onePc";

/** What a store process opens and holds. */
export interface StoreJob {
  readonly binding: EngineBinding;
  readonly path: string;
  readonly keys: number;
  readonly valueBytes: number;
  readonly blockCacheBytes: number;
  readonly writeBufferBytes: number;
  /** Compact once loaded, so that reads meet one sorted run and no memtable. */
  readonly compact: boolean;
  /** Holds the same keys and values as committed versions, too. */
  readonly versions: boolean;
}

/** What a store process measured without a server. */
export interface MultiGet {
  readonly perSecond: number;
  readonly cpuUs: number;
  readonly hash: string;
}

export interface LoadJob {
  readonly port: number;
  readonly path: string;
  readonly kind: LoadKind;
  readonly keys: number;
  /** Commands a message. */
  readonly perMessage: number;
  /** Keys that one txnBatchGet reads. */
  readonly perCommand: number;
  /** Messages in flight on each connection. */
  readonly window: number;
  readonly connections: number;
  readonly seconds: number;
  /** The server echoes frames: no result to hash. */
  readonly echo: boolean;
  /** First timestamp of onePc; its low 28 bits are 0. */
  readonly tsBase: string;
  readonly clusterId: string;
  readonly regionId: string;
  readonly confVer: string;
  readonly version: string;
  readonly peerId: string;
  readonly storeId: string;
}

export interface LoadResult {
  /** Commands, or rows of a scan. */
  readonly perSecond: number;
  readonly responses: number;
  /** Of the answers that were looked at, the share without what was asked for; transactions only. */
  readonly refusedShare: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly loaderCpuUs: number;
  readonly hash: string;
}
