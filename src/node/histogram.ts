/**
 * prom-client's histogram with its observations counted here, and copied when it is scraped: every
 * command makes several, and prom-client builds a hash of the labels for each. Names, labels and the
 * text format stay the library's.
 */
import * as prom from "prom-client";
import type { Histogram, Labels, MetricOptions } from "../base/index.js";

/** Prometheus' own, for requests of a web server, seconds. */
const DEFAULT_BUCKETS: readonly number[] = [
  0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
];
const NO_LABELS: Labels = {};

interface Series {
  readonly labels: Labels;
  /** Observations by the bucket they belong to, not cumulative; the last is +Inf. */
  readonly counts: Float64Array;
  sum: number;
}

/** One line of the text format. */
interface Sample {
  readonly metricName: string;
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
}

/** What the registry asks: the library's histogram, but for the values. */
class ScrapedHistogram extends prom.Histogram {
  constructor(
    private readonly options: prom.HistogramConfiguration<string>,
    private readonly samples: () => Sample[],
  ) {
    super(options);
  }

  /** The registry renders what this returns; the library's types do not tell of it. */
  async getForPromString() {
    const { help, name } = this.options;
    return { help, name, type: "histogram", aggregator: "sum", values: this.samples() };
  }
}

export class CountedHistogram implements Histogram {
  readonly name: string;
  private readonly bounds: Float64Array;
  private readonly labelNames: readonly string[];
  /** By the label's value; by all of them, joined, where there are several. */
  private readonly series = new Map<string, Series>();

  constructor(
    {
      buckets = DEFAULT_BUCKETS,
      help,
      labelNames = [],
      name,
    }: MetricOptions & {
      readonly buckets?: readonly number[];
    },
    registry: prom.Registry,
  ) {
    this.name = name;
    this.labelNames = labelNames;
    this.bounds = Float64Array.from(buckets);
    if (labelNames.length === 0) this.seriesOf(NO_LABELS);
    const shape = { name, help, labelNames: [...labelNames], buckets: [...buckets] };
    new ScrapedHistogram({ ...shape, registers: [registry] }, () => this.samples());
  }

  observe(value: number, labels: Labels = NO_LABELS, count = 1): void {
    const series = this.seriesOf(labels);
    series.sum += value * count;
    const at = this.bucketOf(value);
    series.counts[at] = (series.counts[at] as number) + count;
  }

  private samples(): Sample[] {
    const { bounds, name } = this;
    return [...this.series.values()].flatMap(({ counts, labels, sum }) => {
      let total = 0;
      const buckets = Array.from(counts, (count, at) => {
        total += count;
        const le = at < bounds.length ? (bounds[at] as number) : "+Inf";
        return { metricName: `${name}_bucket`, labels: { le, ...labels }, value: total };
      });
      return [
        ...buckets,
        { metricName: `${name}_sum`, labels, value: sum },
        { metricName: `${name}_count`, labels, value: total },
      ];
    });
  }

  /** The first bucket whose bound is not below the value. */
  private bucketOf(value: number): number {
    let [low, high] = [0, this.bounds.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.bounds[middle] as number) < value) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  private seriesOf(labels: Labels): Series {
    const key = this.keyOf(labels);
    let series = this.series.get(key);
    if (series === undefined) {
      const copy = Object.fromEntries(this.labelNames.map((name) => [name, labels[name] ?? ""]));
      series = { labels: copy, counts: new Float64Array(this.bounds.length + 1), sum: 0 };
      this.series.set(key, series);
    }
    return series;
  }

  private keyOf(labels: Labels): string {
    const { labelNames } = this;
    const [first] = labelNames;
    if (first === undefined) return "";
    if (labelNames.length === 1) return labels[first] ?? "";
    return labelNames.map((name) => labels[name] ?? "").join("\u0000");
  }
}
