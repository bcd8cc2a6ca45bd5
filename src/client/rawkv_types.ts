/** Arguments and results of RawClient alone. */
import type { Bytes, OperationOptions } from "./types.js";

export interface PutOptions extends OperationOptions {
  /** Whole seconds until the pair vanishes; 0 or missing: never. */
  readonly ttlSeconds?: number;
}

export interface RawPair {
  readonly key: Bytes;
  readonly value: Bytes;
  readonly ttlSeconds?: number;
}

export interface CasResult {
  readonly swapped: boolean;
  /** The value that was found; undefined if there was none. */
  readonly previous: Uint8Array | undefined;
}

export interface RawChecksum {
  readonly checksum: bigint;
  readonly totalKvs: bigint;
  readonly totalBytes: bigint;
}
