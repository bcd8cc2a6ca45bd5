/**
 * Metrics of a batch system under TiKV's names. Label `type` tells batch systems apart. Counters
 * are plain numbers, copied at scrape time; histograms are observed once a round, not per FSM.
 */
import { type Histogram, type MetricsRegistry, NULL_METRICS, totalOf } from "../base/index.js";

/** What the batch system counts and observes. */
export class BatchMetrics {
  /** Sends refused at notify-capacity. */
  channelFull = 0;
  /** Hot FSMs moved to the end of their lane. */
  rescheduled = 0;
  readonly #type: string;
  readonly #pollSeconds: Histogram;
  readonly #countPerPoll: Histogram;
  readonly #waitSeconds: Histogram;

  constructor(type: "store" | "apply" = "store", registry: MetricsRegistry = NULL_METRICS) {
    this.#type = type;
    const labelNames = ["type"];
    const full = totalOf(
      registry.counter({
        name: "tikv_channel_full_total",
        help: "Messages that a full mailbox refused.",
        labelNames,
      }),
    );
    const rescheduled = totalOf(
      registry.counter({
        name: "tikv_batch_system_fsm_reschedule_total",
        help: "Hot FSMs moved to the end of the ready queue.",
        labelNames,
      }),
    );
    this.#pollSeconds = registry.histogram({
      name: "tikv_batch_system_fsm_poll_seconds",
      help: "Time of a poll round.",
      labelNames,
      buckets: SECONDS,
    });
    this.#countPerPoll = registry.histogram({
      name: "tikv_batch_system_fsm_count_per_poll",
      help: "FSMs that a poll round handled.",
      labelNames,
      buckets: [1, 2, 4, 8, 16, 32, 64, 128, 256],
    });
    this.#waitSeconds = registry.histogram({
      name: "tikv_batch_system_fsm_schedule_wait_seconds",
      help: "Wait in the ready queue of the FSM that a poll round fetched first.",
      labelNames,
      buckets: SECONDS,
    });
    registry.onCollect(() => {
      full(this.channelFull, { type });
      rescheduled(this.rescheduled, { type });
    });
  }

  /** Observes the round that ends. */
  onRound(pollMs: number, count: number): void {
    const labels = { type: this.#type };
    this.#pollSeconds.observe(pollMs / 1000, labels);
    this.#countPerPoll.observe(count, labels);
  }

  /** Observes how long the first FSM of a round waited. */
  onFirstFetch(waitMs: number): void {
    this.#waitSeconds.observe(Math.max(0, waitMs) / 1000, { type: this.#type });
  }
}

const SECONDS = [0.000_01, 0.000_1, 0.000_5, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5];
