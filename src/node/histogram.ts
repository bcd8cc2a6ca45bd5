/**
 * A histogram whose observation costs tens of nanoseconds: commands make several each, and those of
 * prom-client build a hash of the labels every time. Rendered in the text format of Prometheus.
 */
import type { Histogram, Labels, MetricOptions } from "../base/index.js";

/** Prometheus' own, for requests of a web server, seconds. */
const DEFAULT_BUCKETS: readonly number[] = [
  0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
];

interface Series {
  /** `name="value",…`, escaped. */
  readonly labels: string;
  /** Observations by the bucket they belong to, not cumulative; the last is +Inf. */
  readonly counts: Float64Array;
  sum: number;
}

const escapeHelp = (text: string): string => text.replace(/\\/g, "\\\\").replace(/\n/g, "\\n");
const escapeLabel = (text: string): string => escapeHelp(text).replace(/"/g, '\\"');

export class TextHistogram implements Histogram {
  private readonly bounds: Float64Array;
  private readonly labelNames: readonly string[];
  /** By the label's value; by all of them, joined, where there are several. */
  private readonly series = new Map<string, Series>();

  constructor(private readonly options: MetricOptions & { readonly buckets?: readonly number[] }) {
    this.bounds = Float64Array.from(options.buckets ?? DEFAULT_BUCKETS);
    this.labelNames = options.labelNames ?? [];
    if (this.labelNames.length === 0) this.seriesOf(undefined);
  }

  observe(value: number, labels?: Labels, count = 1): void {
    const series = this.seriesOf(labels);
    series.sum += value * count;
    const at = this.bucketOf(value);
    series.counts[at] = (series.counts[at] as number) + count;
  }

  /** Returns the lines of this metric, HELP and TYPE before them. */
  render(): string {
    const { help, name } = this.options;
    const lines = [`# HELP ${name} ${escapeHelp(help)}`, `# TYPE ${name} histogram`];
    for (const { counts, labels, sum } of this.series.values()) {
      const comma = labels === "" ? "" : ",";
      let total = 0;
      for (let at = 0; at < counts.length; at++) {
        total += counts[at] as number;
        const bound = at < this.bounds.length ? String(this.bounds[at]) : "+Inf";
        lines.push(`${name}_bucket{le="${bound}"${comma}${labels}} ${total}`);
      }
      const braces = labels === "" ? "" : `{${labels}}`;
      lines.push(`${name}_sum${braces} ${sum}`, `${name}_count${braces} ${total}`);
    }
    return lines.join("\n");
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

  private seriesOf(labels: Labels | undefined): Series {
    const { labelNames } = this;
    const [first] = labelNames;
    let key = "";
    if (first !== undefined) {
      key =
        labelNames.length === 1
          ? (labels?.[first] ?? "")
          : labelNames.map((name) => labels?.[name] ?? "").join("\u0000");
    }
    let series = this.series.get(key);
    if (series === undefined) {
      const pairs = labelNames.map((name) => `${name}="${escapeLabel(labels?.[name] ?? "")}"`);
      const counts = new Float64Array(this.bounds.length + 1);
      series = { labels: pairs.join(","), counts, sum: 0 };
      this.series.set(key, series);
    }
    return series;
  }
}
