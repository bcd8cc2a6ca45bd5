/** What a store's /metrics says: samples by name and labels. */

/** One scrape. */
export class MetricsPage {
  private readonly samples = new Map<string, number>();

  constructor(text: string) {
    for (const line of text.split("\n")) {
      const at = line.lastIndexOf(" ");
      if (at > 0 && !line.startsWith("#")) {
        this.samples.set(line.slice(0, at), Number(line.slice(at + 1)));
      }
    }
  }

  /** The sample of a whole name, labels in the order of the page; 0 when it is not there. */
  get(name: string): number {
    return this.samples.get(name) ?? 0;
  }

  /** Every name on the page, without labels. */
  get names(): ReadonlySet<string> {
    return new Set([...this.samples.keys()].map((name) => name.replace(/\{.*$/, "")));
  }
}

/** Scrapes a status server. */
export async function scrape(statusAddress: string): Promise<MetricsPage> {
  const answer = await fetch(`http://${statusAddress}/metrics`);
  if (!answer.ok) throw new Error(`/metrics: ${answer.status} ${await answer.text()}`);
  return new MetricsPage(await answer.text());
}
