/**
 * Heartbeats to PD: the store's every 10 s; a led region's every 60 s and as soon as its leader,
 * epoch or members changed, or PD lost what it was told. A store heartbeat that PD misses is not
 * repeated, the next one carries newer numbers; a region that PD missed is reported again after a
 * pause.
 * Not here: the connection (pd_client), PD's orders (pd_tasks.ts).
 * Source: tikv raftstore/store/worker/pd.rs.
 *
 * Bounded: a region is due once; regions are reported one after the other, in slices between which
 * the event loop turns.
 */
import type { Clock, Logger, TikvError, Timers } from "../../base/index.js";
import type { RaftstoreMetrics } from "../metrics.js";
import type {
  PdFailure,
  PdPort,
  RegionReport,
  SchedulePort,
  StoreStats,
  TimeInterval,
} from "../pd_port.js";
import { pdError } from "../retry.js";

export interface HeartbeatOptions {
  /** pd-store-heartbeat-tick-interval and pd-heartbeat-tick-interval, ms. */
  readonly storeIntervalMs: number;
  readonly regionIntervalMs: number;
  /** Pause before regions are reported again that PD missed, ms. */
  readonly retryIntervalMs: number;
  readonly logIntervalMs: number;
}

export interface HeartbeatDeps {
  readonly pd: Pick<PdPort & SchedulePort, "storeHeartbeat" | "regionHeartbeat" | "onReportsLost">;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
  readonly metrics: RaftstoreMetrics;
  /** Collects the numbers since the last call. */
  storeStats(interval: TimeInterval): StoreStats;
  /** Regions that a peer of this store leads. */
  ledRegions(): readonly number[];
  /** A region as its leader sees it now; undefined when no peer here leads it. */
  regionReport(regionId: number, interval: TimeInterval): RegionReport | undefined;
  /** Registers the store anew: PD does not know it any more. */
  register(): Promise<void>;
  /** PD has removed this store, or refuses it: the process must end. */
  onRefused(error: TikvError): void;
}

/** Regions that are reported before the event loop turns. */
const SLICE_REGIONS = 64;

export class Heartbeats {
  readonly #options: HeartbeatOptions;
  readonly #deps: HeartbeatDeps;
  /** PD sends clients to whom it hears of: nothing is reported before `start`. */
  #state: "new" | "running" | "stopped" = "new";
  /** Ends a pause at once. */
  readonly #pauses = new Set<() => void>();
  #loops: readonly Promise<void>[] = [];
  #reporting: Promise<void> | undefined;
  #lastStoreSeconds: number;
  readonly #startSeconds: number;
  /** End of the newest interval that was reported, by region. */
  readonly #lastRegionSeconds = new Map<number, number>();
  /** Regions to report, longest due first. */
  readonly #due = new Set<number>();
  #reportsLost = false;
  #lastLogMs = Number.NEGATIVE_INFINITY;

  constructor(options: HeartbeatOptions, deps: HeartbeatDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#startSeconds = this.#nowSeconds();
    this.#lastStoreSeconds = this.#startSeconds;
  }

  /** Sends the first heartbeats, and goes on until `stop`. */
  start(): void {
    this.#state = "running";
    this.#deps.pd.onReportsLost?.(() => this.#onReportsLost());
    this.#loops = [this.#storeLoop(), this.#regionLoop()];
  }

  /** Reports a region soon: its leader, epoch or members changed. `start` reports all. */
  regionChanged(regionId: number): void {
    if (this.#state !== "running") return;
    this.#due.add(regionId);
    this.#report();
  }

  /** Resolves when no heartbeat is under way and none will follow. */
  async stop(): Promise<void> {
    this.#state = "stopped";
    this.#due.clear();
    for (const end of this.#pauses) end();
    await Promise.all([...this.#loops, this.#reporting]);
  }

  get #isStopped(): boolean {
    return this.#state === "stopped";
  }

  #nowSeconds(): number {
    return Math.floor(this.#deps.clock.nowMs() / 1000);
  }

  #pause(ms: number): Promise<void> {
    if (this.#isStopped) return Promise.resolve();
    return new Promise((resolve) => {
      const end = (): void => {
        cancel();
        this.#pauses.delete(end);
        resolve();
      };
      const cancel = this.#deps.timers.after(ms, end);
      this.#pauses.add(end);
    });
  }

  /** Every led region is due again, after a pause: a PD that is not well is not stormed. */
  #onReportsLost(): void {
    if (this.#state !== "running" || this.#reportsLost) return;
    this.#reportsLost = true;
    this.#pause(this.#options.retryIntervalMs).then(() => {
      this.#reportsLost = false;
      if (this.#isStopped) return;
      for (const regionId of this.#deps.ledRegions()) this.#due.add(regionId);
      this.#report();
    });
  }

  async #storeLoop(): Promise<void> {
    while (!this.#isStopped) {
      await this.#storeHeartbeat();
      await this.#pause(this.#options.storeIntervalMs);
    }
  }

  async #storeHeartbeat(): Promise<void> {
    const { metrics, pd } = this.#deps;
    const end = this.#nowSeconds();
    const stats = this.#deps.storeStats({ start: this.#lastStoreSeconds, end });
    const reply = await pd.storeHeartbeat(stats);
    if (reply.ok) {
      this.#lastStoreSeconds = end;
      metrics.storeHeartbeats++;
      return;
    }
    metrics.storeHeartbeatErrors++;
    await this.#onFailure("store heartbeat", reply.error);
  }

  async #regionLoop(): Promise<void> {
    while (!this.#isStopped) {
      const led = new Set(this.#deps.ledRegions());
      for (const regionId of led) this.#due.add(regionId);
      for (const regionId of this.#lastRegionSeconds.keys()) {
        if (!led.has(regionId)) this.#lastRegionSeconds.delete(regionId);
      }
      this.#report();
      await this.#pause(this.#options.regionIntervalMs);
    }
  }

  #report(): void {
    this.#reporting ??= this.#reportDue();
  }

  /** Reports what is due until nothing is. */
  async #reportDue(): Promise<void> {
    // A turn first: changes of one poll round make one report, of the state behind it.
    await Promise.resolve();
    for (let count = 1; !this.#isStopped; count++) {
      const [regionId] = this.#due;
      if (regionId === undefined) break;
      this.#due.delete(regionId);
      if (!(await this.#regionHeartbeat(regionId)))
        await this.#pause(this.#options.retryIntervalMs);
      else if (count % SLICE_REGIONS === 0) await this.#pause(0);
    }
    this.#reporting = undefined;
  }

  /** False: PD missed it, the region is due again. */
  async #regionHeartbeat(regionId: number): Promise<boolean> {
    const { metrics, pd } = this.#deps;
    const end = this.#nowSeconds();
    const start = this.#lastRegionSeconds.get(regionId) ?? this.#startSeconds;
    const report = this.#deps.regionReport(regionId, { start, end });
    if (report === undefined) return true;
    const reply = await pd.regionHeartbeat(report);
    if (reply.ok) {
      metrics.regionHeartbeats++;
      this.#lastRegionSeconds.set(regionId, end);
      return true;
    }
    metrics.regionHeartbeatErrors++;
    if (!this.#isStopped) this.#due.add(regionId);
    await this.#onFailure("region heartbeat", reply.error);
    return false;
  }

  async #onFailure(what: string, failure: PdFailure): Promise<void> {
    const now = this.#deps.clock.monotonicMs();
    if (now - this.#lastLogMs >= this.#options.logIntervalMs) {
      this.#lastLogMs = now;
      this.#deps.logger.warn("pd did not take a heartbeat", {
        request: what,
        err: failure.message,
      });
    }
    if (failure.kind === "storeTombstone" || failure.kind === "clusterMismatch") {
      this.#deps.onRefused(pdError(failure));
    } else if (failure.kind === "refused") {
      await this.#deps.register();
    }
  }
}
