/**
 * What one lane's apply round gathers: one write batch for all its regions, of the records of their
 * writes in order and of each region's apply state, so that data and applied index are there or not
 * there together. Hot path. Source: tikv raftstore/store/fsm/apply.rs ApplyContext.
 *
 * An entry has no need of a save point: exec functions judge it first and append only when nothing
 * can fail any more.
 */
import { mergeRepresentations, WriteBatchBuilder } from "../../engine/index.js";
import type { ProposalDone } from "../messages.js";
import type { ApplyDelegate } from "./delegate.js";
import type { ApplyMetrics } from "./metrics.js";
import { type ApplyWriter, type Flight, newFlight, type ProposalResult } from "./writer.js";

/** A batch is written before it grows beyond this, bytes; TiKV's APPLY_WB_SHRINK_SIZE. */
export const APPLY_BATCH_BYTES_MAX = 1 << 20;

export class ApplyContext {
  readonly metrics: ApplyMetrics;
  /**
   * Records of the regions themselves: apply and region states. They follow the data in the batch;
   * data keys and local keys are apart, so that their order does not matter.
   */
  readonly states = new WriteBatchBuilder();
  readonly #writer: ApplyWriter;
  /** Write batch representations, views into entries. */
  #data: Uint8Array[] = [];
  #dataBytes = 0;
  /** Delegates that have applied entries since the last flush. */
  readonly #touched = new Set<ApplyDelegate>();
  #flight: Flight = newFlight();

  constructor(writer: ApplyWriter, metrics: ApplyMetrics) {
    this.#writer = writer;
    this.metrics = metrics;
  }

  /** Bytes that the next flush writes, without apply states. */
  get sizeBytes(): number {
    return this.#dataBytes + this.states.sizeBytes;
  }

  /** Appends the records of a write. The bytes are read at the flush. */
  appendData(representation: Uint8Array): void {
    this.#data.push(representation);
    this.#dataBytes += representation.length;
  }

  /** Notes that a delegate's applied index has moved. */
  touch(delegate: ApplyDelegate): void {
    this.#touched.add(delegate);
  }

  /** Answers a proposal when what was applied up to now is written. */
  answer(done: ProposalDone, result: ProposalResult): void {
    this.#flight.answers.push({ done, result });
  }

  /** Calls back when what was applied up to now is written; results have been sent then. */
  afterWritten(callback: () => void): void {
    this.#flight.after.push(callback);
  }

  /** Writes what was gathered as one batch, and starts an empty one. */
  flush(): void {
    const flight = this.#flight;
    this.#flight = newFlight();
    if (this.#touched.size === 0) {
      this.#writer.follow(flight);
      return;
    }
    for (const delegate of this.#touched) {
      delegate.writeApplyState(this.states);
      flight.results.push(delegate.takeResult());
    }
    this.#touched.clear();
    const data = this.#data;
    this.#data = [];
    this.#dataBytes = 0;
    if (data.length === 0) {
      this.#writer.submit(this.states.bytes(), flight);
    } else {
      data.push(this.states.bytes());
      this.#writer.submit(mergeRepresentations(data), flight);
    }
    this.states.clear();
  }
}
