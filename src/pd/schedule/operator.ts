/**
 * An operator: the steps that bring one region where a checker, a scheduler or a person wants it.
 * It moves on by what heartbeats show, never by what was sent. PURE.
 * Source: pd pkg/schedule/operator/{operator,status}.go.
 */
import { assert } from "../../base/index.js";
import type { RegionInfo } from "../core/index.js";
import { type OpStep, stepConfVer, stepFinished, stepText, stepTimeoutMs } from "./steps.js";

/** What an operator changes, or who asked for it. The first of an operator's kinds is counted. */
export const OPERATOR_KINDS = ["admin", "replica", "split", "region", "leader"] as const;
export type OperatorKind = (typeof OPERATOR_KINDS)[number];

/**
 * Created → started → one of the others, which are final.
 * - success: all steps show. - timeout: a step took too long. - expired: never started.
 * - cancelled: it cannot go on, or somebody said so. - replaced: a more urgent one took its place.
 */
export type OperatorStatus =
  | "created"
  | "started"
  | "success"
  | "timeout"
  | "cancelled"
  | "expired"
  | "replaced";

/** Milliseconds within which a created operator must start. Source: pd OperatorExpireTime. */
export const OPERATOR_EXPIRE_MS = 3000;

export interface OperatorOptions {
  /** Who made it and why: "make-up-replica", "balance-leader". */
  readonly desc: string;
  /** What it changes, for people: "mv peer: store [1] to [4]". */
  readonly brief: string;
  readonly kinds: readonly OperatorKind[];
  readonly steps: readonly OpStep[];
  /** Urgent ones take the place of others. */
  readonly isUrgent?: boolean;
}

export class Operator {
  readonly desc: string;
  readonly brief: string;
  readonly regionId: bigint;
  /** Epoch of the region that it was made for. */
  readonly confVer: bigint;
  readonly version: bigint;
  readonly sizeMiB: number;
  readonly kinds: readonly OperatorKind[];
  readonly steps: readonly OpStep[];
  readonly isUrgent: boolean;
  readonly createdMs: number;
  /** Why it was made, in figures: scores, isolation. */
  readonly details: Readonly<Record<string, string>>;
  startedMs = 0;
  finishedMs = 0;
  /** Invariant: steps before it showed as finished; only grows. */
  currentStep = 0;
  /** Why it ended, for people; "" while it runs and after success. */
  reason = "";
  /** Monotonic time at which the running step is sent again. */
  notifyMs = 0;
  private state: OperatorStatus = "created";
  private readonly stepStartedMs: number[] = [];

  /** `nowMs` is monotonic, as in all methods. Asserts that there are steps. */
  constructor(
    region: RegionInfo,
    options: OperatorOptions,
    nowMs: number,
    details: Readonly<Record<string, string>> = {},
  ) {
    assert(options.steps.length > 0, "an operator has steps");
    const { id, confVer, version } = region.meta;
    this.regionId = id;
    this.confVer = confVer;
    this.version = version;
    this.sizeMiB = Number(region.stats.approximateSizeMiB);
    this.desc = options.desc;
    this.brief = options.brief;
    this.kinds = options.kinds;
    this.steps = options.steps;
    this.isUrgent = options.isUrgent ?? false;
    this.createdMs = nowMs;
    this.details = details;
  }

  get status(): OperatorStatus {
    return this.state;
  }

  /** The kind whose limit it counts against. */
  get kind(): OperatorKind {
    const first = OPERATOR_KINDS.find((kind) => this.kinds.includes(kind));
    assert(first !== undefined, "an operator has a kind");
    return first;
  }

  /** Starts it; false when it waited too long and expired. */
  start(nowMs: number): boolean {
    assert(this.state === "created", "an operator starts once");
    if (nowMs - this.createdMs > OPERATOR_EXPIRE_MS) {
      this.finish("expired", nowMs, "not started in time");
      return false;
    }
    this.state = "started";
    this.startedMs = nowMs;
    this.stepStartedMs[0] = nowMs;
    return true;
  }

  /**
   * Moves on by what `region` shows and returns the step that is to be done; undefined when it is
   * over: `status` says how.
   */
  check(region: RegionInfo, nowMs: number): OpStep | undefined {
    if (this.state !== "started") return undefined;
    for (; this.currentStep < this.steps.length; this.currentStep++) {
      const step = this.steps[this.currentStep] as OpStep;
      this.stepStartedMs[this.currentStep] ??= nowMs;
      if (!stepFinished(step, region)) {
        if (!this.isLate(step, nowMs)) return step;
        this.finish("timeout", nowMs, `step ${this.currentStep} took too long: ${stepText(step)}`);
        return undefined;
      }
    }
    this.finish("success", nowMs, "");
    return undefined;
  }

  /** Returns how much of the region's grown conf_ver its steps so far explain. */
  confVerChanged(region: RegionInfo): number {
    const last = Math.min(this.currentStep, this.steps.length - 1);
    let changed = 0;
    for (let at = 0; at <= last; at++) changed += stepConfVer(this.steps[at] as OpStep, region);
    return changed;
  }

  /** Ends it. A finished operator stays as it is. */
  finish(status: Exclude<OperatorStatus, "created" | "started">, nowMs: number, reason: string) {
    if (this.state !== "created" && this.state !== "started") return;
    this.state = status;
    this.finishedMs = nowMs;
    this.reason = reason;
  }

  /** Returns it for people: what and which steps. */
  toString(): string {
    const steps = this.steps.map(stepText).join(", ");
    const region = `${this.regionId}(${this.version}, ${this.confVer})`;
    const parts = [
      `kind:${this.kinds.join(",")}`,
      `region:${region}`,
      `currentStep:${this.currentStep}`,
      `steps:[${steps}]`,
    ];
    return `${this.desc} {${this.brief}} (${parts.join(", ")})`;
  }

  private isLate(step: OpStep, nowMs: number): boolean {
    const startedMs = this.stepStartedMs[this.currentStep] ?? nowMs;
    return nowMs - startedMs > stepTimeoutMs(step, this.sizeMiB);
  }
}
