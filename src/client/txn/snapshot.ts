/** The state of all keys at one timestamp: reads alone, as many and for as long as GC allows. */
import type { OperationOptions } from "../types.js";
import type { TxnContext } from "./context.js";
import { KeyReads } from "./key_reads.js";
import type { LockResolver } from "./lock_resolver.js";
import { NOTHING_WRITTEN, type ReadView } from "./own_reads.js";
import { SnapshotReader } from "./snapshot_reader.js";

export class Snapshot extends KeyReads {
  /** What was committed up to this timestamp is seen. */
  readonly ts: bigint;
  readonly #context: TxnContext;
  readonly #reader: SnapshotReader;

  constructor(ts: bigint, context: TxnContext, resolver: LockResolver) {
    super();
    this.ts = ts;
    this.#context = context;
    this.#reader = new SnapshotReader(ts, context, resolver);
  }

  protected override readView(options: OperationOptions): ReadView {
    return {
      mode: this.#context.parts.mode,
      own: NOTHING_WRITTEN,
      reader: async () => this.#reader,
      newOp: () => this.#context.newOp(options),
    };
  }
}
