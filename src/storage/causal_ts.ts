/**
 * Timestamps for API V2, in which every write is a version: taken from PD's TSO in batches, used
 * once each, in increasing order. Source: tikv components/causal_ts.
 */
import type { PdPort } from "../raftstore/index.js";
import { busyFailure, type Failure } from "./errors.js";

/** Timestamps a batch; a guess between a request per write and a gap at each restart. */
const BATCH_COUNT = 512;

export class CausalTs {
  private next = 1n;
  private last = 0n;
  private renewal: Promise<string | undefined> | undefined;

  constructor(private readonly pd: PdPort) {}

  /**
   * Returns a timestamp newer than all before. Waits for PD only when the batch is used up.
   * Err ServerIsBusy when PD has none: the client retries.
   */
  async take(): Promise<{ readonly ok: true; readonly value: bigint } | Failure> {
    while (this.next > this.last) {
      this.renewal ??= this.renew();
      const problem = await this.renewal;
      if (problem !== undefined) return busyFailure(`causal timestamp: ${problem}`);
    }
    return { ok: true, value: this.next++ };
  }

  private async renew(): Promise<string | undefined> {
    const reply = await this.pd.getTimestamps(BATCH_COUNT);
    this.renewal = undefined;
    if (!reply.ok) return reply.error.message;
    this.last = reply.value;
    this.next = reply.value - BigInt(BATCH_COUNT - 1);
    return undefined;
  }
}
