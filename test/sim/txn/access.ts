/** Transactions as workloads use them: texts in, texts out; client.ts implements it. */

export interface TxnChoice {
  readonly isPessimistic: boolean;
  readonly useAsyncCommit: boolean;
  readonly useOnePc: boolean;
}

/** How a client program does not get through its commit as it should. */
export type Frailty =
  /** It ends when it has sent so many prewrites and commits. */
  | { readonly kind: "dies"; readonly requests: number }
  /** Half of those leave late, by up to so many microseconds; its heartbeats do not leave. */
  | { readonly kind: "falters"; readonly lateMaxUs: number };

export interface SimTxn {
  readonly startTs: bigint;
  /** The value at startTs, with the transaction's own writes; "" = none. */
  get(key: string): Promise<string>;
  /** Locks keys and returns what is committed now, in their order; pessimistic transactions only. */
  lock(keys: readonly string[]): Promise<string[]>;
  put(key: string, value: string): Promise<void>;
  commit(): Promise<void>;
  /** Never rejects. */
  rollback(): Promise<void>;
}

export interface TxnAccess {
  begin(choice: TxnChoice): Promise<SimTxn>;
  /** As begin, in a client program of its own. */
  beginFrail?(choice: TxnChoice, frailty: Frailty): Promise<SimTxn>;
  /** Asks for another leader of a key's region; it may come to nothing. */
  moveLeader?(key: string): void;
  /** Reads keys at a timestamp of the past from any replicas; undefined: one of them is not ready. */
  staleRead?(keys: readonly string[]): Promise<{ ts: bigint; texts: string[] } | undefined>;
  /** Whether a failed commit may have taken effect, now or later. */
  isUndetermined(error: unknown): boolean;
}
