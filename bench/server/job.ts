/** What the benches, their loader process and their store process say to each other. */
import type { EngineBinding } from "../../src/engine/index.js";

export type LoadKind = "get" | "put" | "scan";

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
  /** Messages in flight on each connection. */
  readonly window: number;
  readonly connections: number;
  readonly seconds: number;
  /** The server echoes frames: no result to hash. */
  readonly echo: boolean;
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
  readonly p50Us: number;
  readonly p99Us: number;
  readonly loaderCpuUs: number;
  readonly hash: string;
}
