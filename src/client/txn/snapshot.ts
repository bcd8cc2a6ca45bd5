/** The state of all keys at one timestamp: reads alone, as many and for as long as GC allows. */
import { toWireKey } from "../arguments.js";
import type { Bytes, KvPair, OperationOptions, ScanOptions } from "../types.js";
import type { TxnContext } from "./context.js";
import type { LockResolver } from "./lock_resolver.js";
import { NOTHING_WRITTEN, type ReadView, readMany, readOne, readRange } from "./own_reads.js";
import { SnapshotReader } from "./snapshot_reader.js";

export class Snapshot {
  /** What was committed up to this timestamp is seen. */
  readonly ts: bigint;
  readonly #context: TxnContext;
  readonly #reader: SnapshotReader;

  constructor(ts: bigint, context: TxnContext, resolver: LockResolver) {
    this.ts = ts;
    this.#context = context;
    this.#reader = new SnapshotReader(ts, context, resolver);
  }

  /** Returns the value of a key; undefined if there is none. */
  async get(key: Bytes, options: OperationOptions = {}): Promise<Uint8Array | undefined> {
    return readOne(this.#view(options), this.#key(key));
  }

  /** Returns one value for each key, in the same order; undefined where there is none. */
  async batchGet(
    keys: readonly Bytes[],
    options: OperationOptions = {},
  ): Promise<(Uint8Array | undefined)[]> {
    const wires = keys.map((key) => this.#key(key));
    return readMany(this.#view(options), wires);
  }

  /** Yields the pairs of `[start, end)` in key order. Pages are read as they are needed. */
  scan(options: ScanOptions = {}): AsyncGenerator<KvPair, void> {
    return readRange(this.#view(options), options, false);
  }

  /** Yields the pairs of `[start, end)` from the last to the first. */
  reverseScan(options: ScanOptions = {}): AsyncGenerator<KvPair, void> {
    return readRange(this.#view(options), options, true);
  }

  #key(key: Bytes): Uint8Array {
    return toWireKey(this.#context.parts.mode, key);
  }

  #view(options: OperationOptions): ReadView {
    return {
      mode: this.#context.parts.mode,
      own: NOTHING_WRITTEN,
      reader: async () => this.#reader,
      newOp: () => this.#context.newOp(options),
    };
  }
}
