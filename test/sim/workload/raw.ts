/** Operations on single raw keys, checked for linearizability. */
import { checkLinearizability } from "../checkers/index.js";
import type { SimCluster } from "../cluster.js";
import { History } from "../history.js";
import type { SimOptions, SimStreams } from "../options.js";
import { CheckFailed } from "../view.js";
import { Client } from "./client.js";
import { keyAt } from "./kv.js";
import type { RunUntil, Workload, WorkloadCounts } from "./workload.js";

export class RawWorkload implements Workload {
  private readonly history = new History();
  private readonly all: readonly Client[];
  private readonly options: SimOptions;

  constructor(cluster: SimCluster, options: SimOptions, streams: SimStreams) {
    const { history } = this;
    this.options = options;
    this.all = cluster.clientHosts.map((host, i) => {
      const prng = streams.workload;
      return new Client({ number: i, host, access: cluster, history, prng, options });
    });
  }

  get clients(): number {
    return this.all.length;
  }

  get isIdle(): boolean {
    return this.all.every((client) => client.isIdle);
  }

  start(): void {
    for (const client of this.all) client.start();
  }

  stop(): void {
    for (const client of this.all) client.stop();
  }

  async readEverything(runUntil: RunUntil): Promise<void> {
    const reader = this.all[0] as Client;
    const { history, options } = this;
    for (let index = 0; index < options.keys; index++) {
      const before = history.acknowledged;
      const isRead = await runUntil(options.livenessMaxUs, () => {
        // A read without an answer is asked again.
        if (reader.isIdle && history.acknowledged === before) {
          reader.once(keyAt(index), { kind: "get" });
        }
        return history.acknowledged > before;
      });
      if (!isRead) throw new CheckFailed("liveness", `key ${keyAt(index)} cannot be read`);
    }
  }

  check(): void {
    checkLinearizability(this.history.byKey());
  }

  counts(): WorkloadCounts {
    const { history, options } = this;
    return {
      acknowledged: history.acknowledged,
      acknowledgedHottest: history.acknowledgedOn(keyAt(options.keys >>> 1)),
      open: history.records.filter((record) => record.outcome === undefined).length,
      staleReads: 0,
    };
  }
}
