/**
 * Metric interfaces; prom-client stands behind them in node/. Pure modules increment plain numbers
 * in an exported record instead, which the driver folder's metrics.ts binds at scrape time.
 * Names are TiKV's and PD's; units are seconds and bytes.
 */
export type Labels = Readonly<Record<string, string>>;

export interface Counter {
  inc(amount?: number, labels?: Labels): void;
}

export interface Gauge {
  set(value: number, labels?: Labels): void;
}

export interface Histogram {
  /** `value` in the unit that the metric's name ends with, seen `count` times. */
  observe(value: number, labels?: Labels, count?: number): void;
}

export interface MetricOptions {
  readonly name: string;
  readonly help: string;
  readonly labelNames?: readonly string[];
}

export interface MetricsRegistry {
  counter(options: MetricOptions): Counter;
  gauge(options: MetricOptions): Gauge;
  histogram(options: MetricOptions & { readonly buckets?: readonly number[] }): Histogram;
  /** Calls `collect` before each scrape, to copy plain counters of pure modules into metrics. */
  onCollect(collect: () => void): void;
}

/** Returns `count` bucket bounds: `first`, then each `factor` times the one before. */
export function exponentialBuckets(first: number, factor: number, count: number): number[] {
  return Array.from({ length: count }, (_, n) => first * factor ** n);
}

/** TiKV's buckets of durations of commands, seconds: 10 µs to 5.6 min. */
export const COMMAND_SECONDS: readonly number[] = exponentialBuckets(0.00001, 2, 26);

const sink = { inc(): void {}, set(): void {}, observe(): void {} };

/** Discards everything; the default of tests. */
export const NULL_METRICS: MetricsRegistry = {
  counter: () => sink,
  gauge: () => sink,
  histogram: () => sink,
  onCollect: () => {},
};

/**
 * Returns a function that brings `counter` up to a running total, for totals kept as plain numbers.
 * A total must not shrink; the label set identifies it.
 */
export function totalOf(counter: Counter): (total: number, labels?: Labels) => void {
  const seen = new Map<string, number>();
  return (total, labels) => {
    const key = labels === undefined ? "" : Object.values(labels).join("\u0000");
    const growth = total - (seen.get(key) ?? 0);
    if (growth <= 0) return;
    seen.set(key, total);
    counter.inc(growth, labels);
  };
}

/** Registers a counter and returns what brings it up to a running total; see totalOf. */
export function registerTotal(
  registry: MetricsRegistry,
  name: string,
  help: string,
  labelNames: readonly string[] = [],
): ReturnType<typeof totalOf> {
  return totalOf(registry.counter({ name, help, labelNames }));
}
