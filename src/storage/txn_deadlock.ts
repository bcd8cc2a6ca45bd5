/**
 * This store's part in deadlock detection, driven: the role follows the regions here, what waits for
 * a connection is retried. The rules are txn/lock_manager/detector.ts, the wire is server/'s.
 */
import type { Clock, Result, Timers } from "../base/index.js";
import type { ReadDelegate, RegionRouter } from "../raftstore/index.js";
import {
  DETECTOR_DEFAULTS,
  type DeadlockDetector,
  type DeadlockFound,
  type DeadlockRequest,
  type DeadlockTransport,
  Detector,
  type WaitForEntry,
} from "../txn/index.js";
import type { LockManagerMetrics } from "./lock_manager_metrics.js";

/** What a transport tells; never from inside a call of its own. */
export interface DeadlockHooks {
  onConnected(): void;
  onDisconnected(): void;
  onFound(found: DeadlockFound): void;
}

/** Makes the way to the store that leads detection. */
export type OpenDeadlockTransport = (hooks: DeadlockHooks) => DeadlockTransport;

export interface DeadlockDeps {
  readonly router: Pick<RegionRouter, "delegates">;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly metrics: Pick<LockManagerMetrics, "onDetect">;
  /** undefined: this store is alone, or detects what it leads itself only. */
  readonly transport: OpenDeadlockTransport | undefined;
  readonly ttlMs: number;
  readonly onFound: (found: DeadlockFound) => void;
}

export class DeadlockDriver implements DeadlockDetector {
  readonly detector: Detector;
  private readonly transport: DeadlockTransport;
  /** The regions for which the role was found. */
  private seen: readonly ReadDelegate[] | undefined;
  private cancelTimer: (() => void) | undefined;
  private timerMs: number | undefined;

  constructor(private readonly deps: DeadlockDeps) {
    const { clock, onFound, timers, ttlMs } = deps;
    const hooks: DeadlockHooks = {
      onConnected: () => this.detector.onConnected(),
      onDisconnected: () => {
        this.detector.onDisconnected(clock.monotonicMs());
        this.arm();
      },
      onFound,
    };
    this.transport = deps.transport?.(hooks) ?? nowhere(timers, hooks);
    this.detector = new Detector(this.transport, { ...DETECTOR_DEFAULTS, ttlMs });
  }

  /** Its role as of now: between detections nobody has it follow the regions. */
  get current(): Detector {
    this.followRegions();
    return this.detector;
  }

  detect(nowMs: number, edge: WaitForEntry): DeadlockFound | undefined {
    this.followRegions();
    const found = this.measured(() => this.detector.detect(nowMs, edge));
    this.arm();
    return found;
  }

  cleanUpWaitFor(nowMs: number, edge: WaitForEntry): void {
    this.followRegions();
    this.detector.cleanUpWaitFor(nowMs, edge);
    this.arm();
  }

  /** Serves a request of another store. */
  serve(request: DeadlockRequest): Result<DeadlockFound | undefined, "notLeader"> {
    this.followRegions();
    const nowMs = this.deps.clock.monotonicMs();
    return this.measured(() => this.detector.serve(nowMs, request));
  }

  close(): void {
    this.cancelTimer?.();
    this.transport.close();
  }

  /** Where detection is led, its time is observed. */
  private measured<T>(detect: () => T): T {
    const { clock, metrics } = this.deps;
    if (this.detector.role !== "leader") return detect();
    const startedMs = clock.monotonicMs();
    const result = detect();
    metrics.onDetect(clock.monotonicMs() - startedMs);
    return result;
  }

  /** Detection is led by the leader of the region that holds the empty key. */
  private followRegions(): void {
    const regions = this.deps.router.delegates();
    if (regions === this.seen) return;
    this.seen = regions;
    const leads = regions.some(
      ({ isLeader, region }) => isLeader && region.peers.length > 0 && region.startKey.length === 0,
    );
    if (leads !== (this.detector.role === "leader")) {
      this.detector.changeRole(leads ? "leader" : "follower");
    }
  }

  /** Sets the timer to when what waits for a connection may try again; one timer at a time. */
  private arm(): void {
    const { clock, timers } = this.deps;
    const nextMs = this.detector.nextDeadlineMs;
    if (nextMs === undefined || nextMs === this.timerMs) return;
    this.cancelTimer?.();
    this.timerMs = nextMs;
    this.cancelTimer = timers.after(Math.max(0, nextMs - clock.monotonicMs()), () => {
      this.timerMs = undefined;
      this.detector.tick(clock.monotonicMs());
      this.arm();
    });
  }
}

/** A transport that reaches nobody. */
function nowhere(timers: Timers, hooks: DeadlockHooks): DeadlockTransport {
  return {
    connect: () => void timers.after(0, hooks.onDisconnected),
    send: () => undefined,
    close: () => undefined,
  };
}
