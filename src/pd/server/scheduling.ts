/**
 * Scheduling of one cluster: the coordinator with the clock, ids, chance and configuration of this
 * process. Time passes by `tick`; the timer is in schedule_driver.ts, the simulator has its own.
 */
import type { Clock, Prng } from "../../base/index.js";
import type { BasicCluster } from "../core/index.js";
import {
  Coordinator,
  type OrderSink,
  type ScheduleCluster,
  type ScheduleConfig,
} from "../schedule/index.js";

export interface SchedulingDeps {
  readonly clock: Clock;
  readonly prng: Prng;
  /** Returns an id that nobody has; undefined while none is at hand. */
  readonly takeId: () => bigint | undefined;
  /** Takes orders to region leaders; called from inside heartbeats, ticks and requests. */
  readonly sendOrder: OrderSink;
}

export class Scheduling implements ScheduleCluster {
  readonly basic: BasicCluster;
  readonly prng: Prng;
  readonly coordinator: Coordinator;
  config: ScheduleConfig;
  private readonly deps: SchedulingDeps;

  constructor(basic: BasicCluster, config: ScheduleConfig, deps: SchedulingDeps) {
    this.basic = basic;
    this.config = config;
    this.prng = deps.prng;
    this.deps = deps;
    this.coordinator = new Coordinator(this, deps.sendOrder);
  }

  nowMs(): number {
    return this.deps.clock.monotonicMs();
  }

  allocId(): bigint | undefined {
    return this.deps.takeId();
  }
}
