/** What the benches and their loader process say to each other. */
export interface LoadJob {
  readonly port: number;
  readonly path: string;
  readonly kind: "get" | "put";
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
  readonly perSecond: number;
  readonly responses: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly loaderCpuUs: number;
  readonly hash: string;
}
