/** The reads that snapshots and transactions have in common, over what each reads through. */
import { toWireKey } from "../arguments.js";
import type { Bytes, KvPair, OperationOptions, ScanOptions } from "../types.js";
import { type ReadView, readMany, readOne, readRange } from "./own_reads.js";

export abstract class KeyReads {
  /** Returns what one read goes through. */
  protected abstract readView(options: OperationOptions): ReadView;

  /** Returns the value of a key; undefined if there is none. Throws ClientError. */
  async get(key: Bytes, options: OperationOptions = {}): Promise<Uint8Array | undefined> {
    const view = this.readView(options);
    return readOne(view, toWireKey(view.mode, key));
  }

  /** Returns one value for each key, in the same order; undefined where there is none. */
  async batchGet(
    keys: readonly Bytes[],
    options: OperationOptions = {},
  ): Promise<(Uint8Array | undefined)[]> {
    const view = this.readView(options);
    const wires = keys.map((key) => toWireKey(view.mode, key));
    return readMany(view, wires);
  }

  /**
   * Yields the pairs of `[start, end)` in key order. Pages are read as they are needed; a
   * transaction's own writes after the first page may be missed.
   */
  scan(options: ScanOptions = {}): AsyncGenerator<KvPair, void> {
    return readRange(this.readView(options), options, false);
  }

  /** Yields the pairs of `[start, end)` from the last to the first. */
  reverseScan(options: ScanOptions = {}): AsyncGenerator<KvPair, void> {
    return readRange(this.readView(options), options, true);
  }
}
