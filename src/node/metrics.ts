/**
 * The process's metrics: a prom-client registry behind the MetricsRegistry interface, with the
 * process, event-loop and GC metrics of Node. One registry per process; roles in one process share it.
 */
import { performance } from "node:perf_hooks";
import * as prom from "prom-client";
import type { Counter, Gauge, Histogram, MetricOptions, MetricsRegistry } from "../base/index.js";
import { CountedHistogram } from "./histogram.js";

/** Milliseconds between samples of the event-loop delay; finer ones cost idle CPU. */
const LOOP_DELAY_RESOLUTION_MS = 20;
const GC_BUCKETS = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5];

export class PromMetrics implements MetricsRegistry {
  readonly #registry = new prom.Registry();
  readonly #collectors: (() => void)[] = [];
  readonly #histograms = new Map<string, CountedHistogram>();

  counter(options: MetricOptions): Counter {
    const metric = this.#once(options.name, () => new prom.Counter(this.#shape(options)));
    return {
      inc: (amount = 1, labels) =>
        labels === undefined ? metric.inc(amount) : metric.inc(labels, amount),
    };
  }

  gauge(options: MetricOptions): Gauge {
    const metric = this.#once(options.name, () => new prom.Gauge(this.#shape(options)));
    return {
      set: (value, labels) =>
        labels === undefined ? metric.set(value) : metric.set(labels, value),
    };
  }

  histogram(options: MetricOptions & { readonly buckets?: readonly number[] }): Histogram {
    let histogram = this.#histograms.get(options.name);
    if (histogram === undefined) {
      histogram = new CountedHistogram(options, this.#registry);
      this.#histograms.set(options.name, histogram);
    }
    return histogram;
  }

  onCollect(collect: () => void): void {
    this.#collectors.push(collect);
  }

  /** Adds CPU, memory, handles, GC pauses and event-loop delay and utilisation of this process. */
  addProcessMetrics(): void {
    prom.collectDefaultMetrics({
      register: this.#registry,
      gcDurationBuckets: GC_BUCKETS,
      eventLoopMonitoringPrecision: LOOP_DELAY_RESOLUTION_MS,
    });
    const utilization = this.gauge({
      name: "nodejs_eventloop_utilization_ratio",
      help: "Share of the time since the last scrape in which the event loop was busy.",
    });
    let last = performance.eventLoopUtilization();
    this.onCollect(() => {
      const now = performance.eventLoopUtilization();
      utilization.set(performance.eventLoopUtilization(now, last).utilization);
      last = now;
    });
  }

  /** Returns the text format of Prometheus. */
  async scrape(): Promise<string> {
    for (const collect of this.#collectors) collect();
    return await this.#registry.metrics();
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  #shape(options: MetricOptions) {
    const { name, help, labelNames = [] } = options;
    return { name, help, labelNames: [...labelNames], registers: [this.#registry] };
  }

  #once<M extends prom.Metric>(name: string, make: () => M): M {
    return (this.#registry.getSingleMetric(name) as M | undefined) ?? make();
  }
}
