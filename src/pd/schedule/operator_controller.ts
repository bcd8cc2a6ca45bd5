/**
 * The operators under way, one a region at most: takes them within the limits, sends their steps,
 * follows them by heartbeats, ends them. PURE: orders go to the sink, time comes with the cluster.
 * Source: pd pkg/schedule/operator/operator_controller.go.
 */
import type { RegionInfo } from "../core/index.js";
import type { ScheduleCluster } from "./cluster.js";
import type { FilterContext } from "./filters.js";
import { Influence } from "./influence.js";
import type { ScheduleMetrics } from "./metrics.js";
import type { Operator, OperatorKind, OperatorStatus } from "./operator.js";
import { OperatorRecords } from "./operator_records.js";
import { type OrderSink, orderFor } from "./order.js";
import { type OpStep, stepOrder, stepProblem } from "./steps.js";
import { StoreLimits } from "./store_limit.js";

/** A step is sent again after this long. Source: pd fastNotifyInterval, slowNotifyInterval. */
const FAST_NOTIFY_MS = 2000;
const SLOW_NOTIFY_MS = 5000;
/** Operators under way; more are refused. */
const OPERATORS_MAX = 10_000;

const FAST_STEPS: ReadonlySet<OpStep["kind"]> = new Set([
  "transfer_leader",
  "promote_learner",
  "change_peer_v2_enter",
  "change_peer_v2_leave",
]);

type Final = Exclude<OperatorStatus, "created" | "started">;

export class OperatorController {
  readonly limits: StoreLimits;
  /** For filters and builders. */
  readonly context: FilterContext;
  readonly records = new OperatorRecords();
  private readonly operators = new Map<bigint, Operator>();
  /** Invariant: how many of `operators` there are of each kind. */
  private readonly counts = new Map<OperatorKind, number>();
  private readonly cluster: ScheduleCluster;
  private readonly send: OrderSink;
  private readonly metrics: ScheduleMetrics;

  constructor(cluster: ScheduleCluster, send: OrderSink, metrics: ScheduleMetrics) {
    this.cluster = cluster;
    this.send = send;
    this.metrics = metrics;
    this.limits = new StoreLimits(() => cluster.config);
    this.context = { cluster, limits: this.limits };
  }

  /** Returns the operator under way on a region. */
  get(regionId: bigint): Operator | undefined {
    return this.operators.get(regionId);
  }

  /** Returns the operator of a region that ended last, if not long ago. */
  finished(regionId: bigint): Operator | undefined {
    return this.records.get(regionId, this.cluster.nowMs());
  }

  /** Returns all operators under way, oldest first. */
  all(): Operator[] {
    return [...this.operators.values()];
  }

  /** Returns how many operators of a kind are under way. */
  count(kind: OperatorKind): number {
    return this.counts.get(kind) ?? 0;
  }

  /** Returns whether one more operator of a kind may start. */
  allows(kind: OperatorKind): boolean {
    const { config } = this.cluster;
    switch (kind) {
      case "leader":
        return this.count(kind) < config.leaderScheduleLimit;
      case "region":
        return this.count(kind) < config.regionScheduleLimit;
      case "replica":
        return this.count(kind) < config.replicaScheduleLimit;
      default:
        return true;
    }
  }

  /** Returns what all operators under way still will change. */
  influence(): Influence {
    const influence = new Influence();
    for (const operator of this.operators.values()) {
      const region = this.cluster.basic.getRegion(operator.regionId);
      if (region !== undefined) influence.add(operator, region);
    }
    return influence;
  }

  /**
   * Starts an operator and sends its first step. Returns why not: the region is gone or changed,
   * another operator works on it, a limit is reached. People's operators pass the limits.
   */
  add(operator: Operator): string | undefined {
    const nowMs = this.cluster.nowMs();
    const region = this.cluster.basic.getRegion(operator.regionId);
    if (region === undefined) return this.refuse(operator, "not-found", "the region is gone");
    const problem = this.refusal(operator, region, nowMs);
    if (problem !== undefined) return problem;
    const influence = new Influence();
    influence.add(operator, region, true);
    if (operator.kind !== "admin") {
      const full = this.limits.exceeded(influence, nowMs);
      if (full !== undefined) {
        return this.refuse(operator, "exceed-limit", `store limit reached: ${full}`);
      }
    }
    if (!operator.start(nowMs)) return this.refuse(operator, "expired", operator.reason);
    const old = this.operators.get(operator.regionId);
    if (old !== undefined) this.end(old, "replaced", `replaced by ${operator.desc}`);
    this.limits.take(influence, nowMs);
    this.operators.set(operator.regionId, operator);
    this.counts.set(operator.kind, this.count(operator.kind) + 1);
    this.metrics.operator(operator.desc, "create");
    this.advance(operator, region);
    return undefined;
  }

  /** Takes a heartbeat: the region's operator moves on, or ends if it no longer fits. */
  dispatch(region: RegionInfo): void {
    const operator = this.operators.get(region.meta.id);
    if (operator !== undefined) this.advance(operator, region);
  }

  /** Sends steps again whose time has come, and ends what is over; to be called often. */
  push(): void {
    const nowMs = this.cluster.nowMs();
    for (const operator of [...this.operators.values()]) {
      const region = this.cluster.basic.getRegion(operator.regionId);
      if (region === undefined) this.end(operator, "cancelled", "the region disappeared");
      else if (nowMs >= operator.notifyMs) this.advance(operator, region);
    }
    this.records.expire(nowMs);
  }

  /** Ends the operator of a region; returns whether there was one. */
  cancel(regionId: bigint, reason: string): boolean {
    const operator = this.operators.get(regionId);
    if (operator === undefined) return false;
    this.end(operator, "cancelled", reason);
    return true;
  }

  private refusal(operator: Operator, { meta }: RegionInfo, nowMs: number): string | undefined {
    if (meta.confVer !== operator.confVer || meta.version !== operator.version) {
      return this.refuse(operator, "epoch-not-match", "the region changed meanwhile");
    }
    const old = this.operators.get(operator.regionId);
    if (old !== undefined && !(operator.isUrgent && !old.isUrgent && old.kind !== "admin")) {
      return this.refuse(operator, "already-have", `the region has an operator: ${old.desc}`);
    }
    if (this.operators.size >= OPERATORS_MAX) {
      return this.refuse(operator, "exceed-limit", `${OPERATORS_MAX} operators are under way`);
    }
    if (operator.status !== "created" || nowMs < operator.createdMs) {
      return this.refuse(operator, "unexpected-status", `the operator is ${operator.status}`);
    }
    return undefined;
  }

  private refuse(operator: Operator, event: string, reason: string): string {
    this.metrics.operator(operator.desc, event);
    operator.finish("cancelled", this.cluster.nowMs(), reason);
    return reason;
  }

  /** Moves an operator on by what the region shows, then ends it or sends the step to do. */
  private advance(operator: Operator, region: RegionInfo): void {
    const nowMs = this.cluster.nowMs();
    const step = operator.check(region, nowMs);
    if (step === undefined) {
      this.bury(operator);
      return;
    }
    const unsafe = stepProblem(step, this.cluster, region);
    if (unsafe !== undefined) {
      this.end(operator, "cancelled", `stale: ${unsafe}`);
      return;
    }
    const moved = Number(region.meta.confVer - operator.confVer);
    const explained = operator.confVerChanged(region);
    if (moved > explained) {
      const reason = `stale: conf_ver moved by ${moved}, the steps explain ${explained}`;
      this.end(operator, "cancelled", reason);
      return;
    }
    operator.notifyMs = nowMs + (FAST_STEPS.has(step.kind) ? FAST_NOTIFY_MS : SLOW_NOTIFY_MS);
    const body = stepOrder(step, region);
    if (body === undefined || region.leader === undefined) return;
    this.metrics.step(step.kind);
    this.send(orderFor(region, region.leader, body));
  }

  private end(operator: Operator, status: Final, reason: string): void {
    operator.finish(status, this.cluster.nowMs(), reason);
    this.bury(operator);
  }

  private bury(operator: Operator): void {
    this.operators.delete(operator.regionId);
    this.counts.set(operator.kind, this.count(operator.kind) - 1);
    const tookMs = operator.finishedMs - operator.startedMs;
    this.metrics.finished(operator.desc, operator.status, tookMs);
    this.records.put(operator);
  }
}
