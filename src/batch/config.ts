/**
 * Settings of one batch system. TiKV's keys: store-… and apply-… in [raftstore]; the folder that
 * owns a batch system maps them (raftstore/options.ts). Defaults are TiKV v8.5's.
 */
import { assert } from "../base/index.js";

export interface BatchConfig {
  /** FSMs a round takes at most (…-max-batch-size). */
  readonly maxBatchSize: number;
  /** Messages an FSM takes in a round at most (messages-per-tick). */
  readonly messagesPerTick: number;
  /** Messages that wait for an FSM before sends answer "full" (notify-capacity). */
  readonly notifyCapacity: number;
  /** Time in the batch after which an FSM is hot, ms (…-reschedule-duration). */
  readonly rescheduleDurationMs: number;
  /**
   * Shares of the lanes, in rounds, while both have work (…-pool-size, …-low-priority-pool-size).
   * TiKV's are threads; on one event loop a pool is a run queue with its share of the turns.
   */
  readonly poolSize: number;
  readonly lowPriorityPoolSize: number;
}

export const BATCH_CONFIG_DEFAULT: BatchConfig = {
  maxBatchSize: 256,
  messagesPerTick: 4096,
  notifyCapacity: 40_960,
  rescheduleDurationMs: 5000,
  poolSize: 2,
  lowPriorityPoolSize: 1,
};

/** Asserts what a batch system needs of its settings; user input is refused before, by config. */
export function checkBatchConfig(config: BatchConfig): void {
  for (const [name, value] of Object.entries(config) as [string, number][]) {
    assert(Number.isSafeInteger(value) && value >= 1, `batch ${name} is a whole number above 0`);
  }
}
