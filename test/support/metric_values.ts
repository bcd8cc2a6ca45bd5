/** A metrics registry that keeps plain values, for tests of single metrics. */
import type { Labels, MetricsRegistry } from "../../src/base/index.js";

/** Values by name and labels: "name" or "name label,label". */
export class MetricValues {
  readonly byName = new Map<string, number>();
  private collect = (): void => undefined;
  readonly registry: MetricsRegistry = {
    counter: ({ name }) => ({ inc: (amount = 1, labels) => this.add(name, labels, amount) }),
    gauge: ({ name }) => ({ set: (value, labels) => this.set(name, labels, value) }),
    histogram: ({ name }) => ({ observe: (value, labels) => this.add(name, labels, value) }),
    onCollect: (collect) => {
      this.collect = collect;
    },
  };

  scrape(): Record<string, number> {
    this.collect();
    return Object.fromEntries(this.byName);
  }

  private add(name: string, labels: Labels | undefined, amount: number): void {
    this.set(name, labels, (this.byName.get(idOf(name, labels)) ?? 0) + amount);
  }

  private set(name: string, labels: Labels | undefined, value: number): void {
    this.byName.set(idOf(name, labels), value);
  }
}

const idOf = (name: string, labels?: Labels): string =>
  labels === undefined ? name : `${name} ${Object.values(labels).join()}`;
