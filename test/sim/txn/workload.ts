/** Transactions of all workloads on simulated machines, by production's TxnClient. */
import type { SimCluster } from "../cluster.js";
import type { SimHost } from "../host.js";
import type { SimOptions, SimStreams } from "../options.js";
import { CheckFailed } from "../view.js";
import type { RunUntil, Workload, WorkloadCounts } from "../workload/workload.js";
import { newAccess } from "./client.js";
import { OpenSnapshots, SimGc } from "./gc.js";
import { TxnShared, TxnWorker } from "./worker.js";

const RETRY_US = 200_000;

export class TxnWorkload implements Workload {
  private readonly shared = new TxnShared();
  private readonly workers: readonly TxnWorker[];
  private readonly options: SimOptions;
  private readonly hosts: readonly SimHost[];
  private readonly gc: SimGc | undefined;
  private finals: ReadonlyMap<string, readonly number[]> = new Map();

  constructor(cluster: SimCluster, options: SimOptions, streams: SimStreams) {
    const { shared } = this;
    const prng = streams.workload;
    this.options = options;
    this.hosts = cluster.clientHosts;
    const snapshots = new OpenSnapshots();
    if (options.hasGc) this.gc = new SimGc(cluster, prng, options, snapshots);
    this.workers = cluster.clientHosts.map((host, number) => {
      const direct = newAccess(cluster, host, prng, options);
      // Reads of the past hold no snapshot that keeps GC off.
      const access = options.hasGc ? snapshots.of(direct) : direct;
      const { thinkMeanUs } = options;
      return new TxnWorker({ number, host, access, prng, thinkMeanUs, shared });
    });
  }

  get clients(): number {
    return this.workers.length;
  }

  get isIdle(): boolean {
    return this.workers.every((worker) => worker.isIdle);
  }

  start(): void {
    const [first] = this.workers as [TxnWorker];
    const [host] = this.hosts as [SimHost];
    void first
      .once(() => first.open())
      .then((isOpen) => {
        if (isOpen === true) {
          for (const worker of this.workers) worker.start();
          this.gc?.start();
        } else host.afterUs(RETRY_US, () => this.start());
      });
  }

  stop(): void {
    for (const worker of this.workers) worker.stop();
  }

  async readEverything(runUntil: RunUntil): Promise<void> {
    const [reader] = this.workers as [TxnWorker];
    await this.lastGc(runUntil);
    await this.until(runUntil, "lists", async () => {
      const finals = await reader.listRead();
      this.finals = finals ?? new Map();
      return finals !== undefined;
    });
    await this.until(runUntil, "accounts", () => reader.bankRead());
    await this.until(runUntil, "counters", () => reader.counterRead());
    await this.until(runUntil, "the register", () => reader.registerGet());
  }

  /** What is read afterwards has been through GC. */
  private async lastGc(runUntil: RunUntil): Promise<void> {
    const { gc } = this;
    if (gc === undefined) return;
    const before = gc.published;
    const isDone = await runUntil(this.options.livenessMaxUs, () => gc.published > before + 1);
    if (!isDone) throw new CheckFailed("liveness", "GC publishes nothing");
    gc.stop();
  }

  /** Repeats a read until it succeeds. */
  private async until(
    runUntil: RunUntil,
    what: string,
    task: () => Promise<boolean>,
  ): Promise<void> {
    const [reader] = this.workers as [TxnWorker];
    let isDone = false;
    const isRead = await runUntil(this.options.livenessMaxUs, () => {
      if (reader.isIdle && !isDone) {
        void reader.once(task).then((result) => {
          isDone = result === true;
        });
      }
      return isDone && reader.isIdle;
    });
    if (!isRead) throw new CheckFailed("liveness", `${what} cannot be read`);
  }

  check(): void {
    this.shared.check(this.finals);
  }

  counts(): WorkloadCounts {
    const { acknowledged, hottest, open, staleRows } = this.shared;
    return { acknowledged, acknowledgedHottest: hottest, open, staleReads: staleRows.length };
  }
}
