/** Arguments and results that all clients share. */

/** Text is taken as UTF-8. */
export type Bytes = Uint8Array | string;

export interface OperationOptions {
  readonly signal?: AbortSignal;
  /** Longest time for this operation, ms; the client's timeoutMs by default. */
  readonly timeoutMs?: number;
}

export interface KvPair {
  readonly key: Uint8Array;
  /** Empty with keyOnly. */
  readonly value: Uint8Array;
}

export interface ScanOptions extends OperationOptions {
  /** Inclusive; missing or empty: from the first key. */
  readonly start?: Bytes;
  /** Exclusive; missing or empty: to the last key. */
  readonly end?: Bytes;
  /** Most pairs; all by default. */
  readonly limit?: number;
  readonly keyOnly?: boolean;
  /** Pairs that one request asks for, 1 to 10,240. */
  readonly pageSize?: number;
}
