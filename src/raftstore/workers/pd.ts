/**
 * Heartbeats to PD: the store's every 10 s, each led region's every 60 s, the first of both at
 * once. A heartbeat that PD misses is not repeated; the next one carries newer numbers.
 * Not here: the connection (pd_client), operators that PD answers with (a later issue).
 */
import type { Clock, Logger, TikvError } from "../../base/index.js";
import type { RaftstoreMetrics } from "../metrics.js";
import type { PdFailure, PdPort, RegionReport, StoreStats, TimeInterval } from "../pd_port.js";
import { pdError } from "../retry.js";

export interface PdWorkerOptions {
  readonly storeIntervalMs: number;
  readonly regionIntervalMs: number;
  readonly logIntervalMs: number;
}

export interface PdWorkerDeps {
  readonly pd: PdPort;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: RaftstoreMetrics;
  /** Collects the numbers since the last call; the interval is filled by the worker. */
  storeStats(interval: TimeInterval): StoreStats;
  regionReports(interval: TimeInterval): readonly RegionReport[];
  /** Registers the store anew: PD does not know it any more. */
  register(): Promise<void>;
  /** PD has removed this store, or refuses it: the process must end. */
  onRefused(error: TikvError): void;
}

/** One periodic job: never two runs at a time; a late run delays the next. */
class Periodic {
  private timer: NodeJS.Timeout | undefined;
  private stopped = false;
  private running: Promise<void> = Promise.resolve();

  constructor(
    private readonly intervalMs: number,
    private readonly run: () => Promise<void>,
  ) {}

  start(): void {
    this.running = this.run().then(() => {
      if (!this.stopped) this.timer = setTimeout(() => this.start(), this.intervalMs);
    });
  }

  async stop(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.timer);
    await this.running;
  }
}

export class PdWorker {
  private readonly jobs: readonly Periodic[];
  private lastStoreSeconds: number;
  private lastRegionSeconds: number;
  private lastLogMs = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly options: PdWorkerOptions,
    private readonly deps: PdWorkerDeps,
  ) {
    this.lastStoreSeconds = this.nowSeconds();
    this.lastRegionSeconds = this.lastStoreSeconds;
    this.jobs = [
      new Periodic(options.storeIntervalMs, () => this.storeHeartbeat()),
      new Periodic(options.regionIntervalMs, () => this.regionHeartbeats()),
    ];
  }

  start(): void {
    for (const job of this.jobs) job.start();
  }

  /** Resolves when no heartbeat is under way and none will follow. */
  async stop(): Promise<void> {
    await Promise.all(this.jobs.map((job) => job.stop()));
  }

  private nowSeconds(): number {
    return Math.floor(this.deps.clock.nowMs() / 1000);
  }

  private async storeHeartbeat(): Promise<void> {
    const end = this.nowSeconds();
    const stats = this.deps.storeStats({ start: this.lastStoreSeconds, end });
    const reply = await this.deps.pd.storeHeartbeat(stats);
    if (reply.ok) {
      this.lastStoreSeconds = end;
      this.deps.metrics.storeHeartbeats++;
      return;
    }
    this.deps.metrics.storeHeartbeatErrors++;
    await this.onFailure("store heartbeat", reply.error);
  }

  private async regionHeartbeats(): Promise<void> {
    const end = this.nowSeconds();
    for (const report of this.deps.regionReports({ start: this.lastRegionSeconds, end })) {
      const reply = await this.deps.pd.regionHeartbeat(report);
      if (reply.ok) {
        this.deps.metrics.regionHeartbeats++;
        continue;
      }
      this.deps.metrics.regionHeartbeatErrors++;
      await this.onFailure("region heartbeat", reply.error);
    }
    this.lastRegionSeconds = end;
  }

  private async onFailure(what: string, failure: PdFailure): Promise<void> {
    const now = this.deps.clock.monotonicMs();
    if (now - this.lastLogMs >= this.options.logIntervalMs) {
      this.lastLogMs = now;
      this.deps.logger.warn("pd did not take a heartbeat", { request: what, err: failure.message });
    }
    if (failure.kind === "storeTombstone" || failure.kind === "clusterMismatch") {
      this.deps.onRefused(pdError(failure));
    } else if (failure.kind === "refused") {
      await this.deps.register();
    }
  }
}
