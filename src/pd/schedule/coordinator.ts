/**
 * Drives scheduling: patrol and checkers, schedulers at their intervals, operators under way. PURE:
 * `tick` is called every few milliseconds by whoever has a timer, or virtual time; `heartbeat` with
 * each region report that was taken. Source: pd pkg/schedule/coordinator.go.
 */
import type { RegionInfo } from "../core/index.js";
import { CheckerController } from "./checkers/checker_controller.js";
import type { ScheduleCluster } from "./cluster.js";
import { ScheduleMetrics } from "./metrics.js";
import { OperatorController } from "./operator_controller.js";
import type { OrderSink } from "./order.js";
import { Patrol } from "./patrol.js";
import { BALANCE_LEADER } from "./schedulers/balance_leader.js";
import { BALANCE_REGION } from "./schedulers/balance_region.js";
import { RegionScatterer } from "./schedulers/scatter.js";
import type { ScheduleContext, Scheduler } from "./schedulers/scheduler.js";
import { RegionSplitter } from "./splitter.js";

/** Operators are looked at this often. Source: pd PushOperatorTickInterval. */
const PUSH_INTERVAL_MS = 500;
/** A scheduler runs this often while it finds work, and less and less often while it does not. */
const SCHEDULE_INTERVAL_MIN_MS = 10;
const SCHEDULE_INTERVAL_MAX_MS = 5000;
const SCHEDULE_INTERVAL_GROWTH = 1.3;
/** After a start PD waits until this share of regions reported, but not longer than that. */
const PREPARED_SHARE = 0.8;
const PREPARE_MAX_MS = 5 * 60_000;

interface Running {
  readonly scheduler: Scheduler;
  intervalMs: number;
  nextMs: number;
  pausedUntilMs: number;
}

/** A scheduler as people see it. */
export interface SchedulerState {
  readonly name: string;
  /** Monotonic milliseconds until which it rests; 0 = it runs. */
  readonly pausedUntilMs: number;
}

export class Coordinator {
  readonly metrics = new ScheduleMetrics();
  readonly operators: OperatorController;
  readonly checkers: CheckerController;
  readonly scatterer: RegionScatterer;
  readonly splitter: RegionSplitter;
  private readonly cluster: ScheduleCluster;
  private readonly patrol: Patrol;
  private readonly context: ScheduleContext;
  private readonly running: Running[];
  private readonly createdMs: number;
  private prepared = false;
  private nextPushMs = 0;

  /** Orders go to `send`, from inside `tick`, `heartbeat` and what adds operators. */
  constructor(cluster: ScheduleCluster, send: OrderSink) {
    this.cluster = cluster;
    this.operators = new OperatorController(cluster, send, this.metrics);
    this.checkers = new CheckerController(this.operators, this.metrics);
    this.scatterer = new RegionScatterer(this.operators);
    this.splitter = new RegionSplitter(this.operators);
    this.patrol = new Patrol(cluster, this.checkers, this.metrics);
    this.context = { ...this.operators.context, operators: this.operators, metrics: this.metrics };
    this.createdMs = cluster.nowMs();
    this.running = [BALANCE_REGION, BALANCE_LEADER].map((scheduler) => ({
      scheduler,
      intervalMs: SCHEDULE_INTERVAL_MIN_MS,
      nextMs: 0,
      pausedUntilMs: 0,
    }));
  }

  /** Takes a region report; `changed`: its metadata or health did, so it is checked soon. */
  heartbeat(region: RegionInfo, changed: boolean): void {
    this.operators.dispatch(region);
    if (changed) this.patrol.suspect(region.meta.id);
  }

  /** Does what is due. */
  tick(): void {
    const nowMs = this.cluster.nowMs();
    if (nowMs >= this.nextPushMs) {
      this.nextPushMs = nowMs + PUSH_INTERVAL_MS;
      this.operators.push();
    }
    if (this.cluster.config.haltScheduling || !this.isPrepared(nowMs)) return;
    this.patrol.tick(nowMs);
    for (const one of this.running) {
      if (nowMs >= one.nextMs && nowMs >= one.pausedUntilMs) this.run(one, nowMs);
    }
  }

  /** Returns the schedulers with how long they rest. */
  schedulers(): SchedulerState[] {
    const nowMs = this.cluster.nowMs();
    return this.running.map(({ scheduler, pausedUntilMs }) => ({
      name: scheduler.name,
      pausedUntilMs: pausedUntilMs > nowMs ? pausedUntilMs : 0,
    }));
  }

  /** Lets a scheduler rest for `forMs`, 0 = go on; false if there is none of that name. */
  pauseScheduler(name: string, forMs: number): boolean {
    const found = this.running.filter(({ scheduler }) => name === "all" || scheduler.name === name);
    for (const one of found) one.pausedUntilMs = forMs === 0 ? 0 : this.cluster.nowMs() + forMs;
    return found.length > 0;
  }

  /** Returns whether enough regions have reported since the start to judge the cluster. */
  private isPrepared(nowMs: number): boolean {
    if (this.prepared) return true;
    const { regionCount, leaderlessCount } = this.cluster.basic;
    const reported = regionCount - leaderlessCount;
    this.prepared =
      nowMs - this.createdMs >= PREPARE_MAX_MS || reported >= regionCount * PREPARED_SHARE;
    return this.prepared;
  }

  private run(one: Running, nowMs: number): void {
    let started = 0;
    if (this.operators.allows(one.scheduler.kind)) {
      const operators = one.scheduler.schedule(this.context, this.operators.influence());
      for (const operator of operators) {
        if (this.operators.add(operator) === undefined) started++;
      }
    } else this.metrics.scheduler(one.scheduler.name, "exceed-limit");
    const slower = Math.min(SCHEDULE_INTERVAL_MAX_MS, one.intervalMs * SCHEDULE_INTERVAL_GROWTH);
    one.intervalMs = started > 0 ? SCHEDULE_INTERVAL_MIN_MS : slower;
    one.nextMs = nowMs + one.intervalMs;
  }
}
