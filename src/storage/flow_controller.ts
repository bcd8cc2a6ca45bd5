/**
 * How fast writes may go when the engine falls behind: memtables that wait to be flushed and files in
 * level 0 limit the rate, bytes that wait for compaction have a share of the writes refused. Better here
 * than in the engine, which stalls all writes, Raft's log and the deletes that would help included.
 * Pure: the driver (flow_gate.ts) ticks it once a second.
 * Source: tikv src/storage/txn/flow_controller/singleton_flow_controller.rs; the steps are ours.
 */
import { assert } from "../base/index.js";
import type { EnginePressure } from "../engine/index.js";

export interface FlowControlOptions {
  /** storage.flow-control.enable */
  readonly enabled: boolean;
  /** storage.flow-control.memtables-threshold: memtables that wait to be flushed. */
  readonly memtablesMax: number;
  /** storage.flow-control.l0-files-threshold */
  readonly level0FilesMax: number;
  /** storage.flow-control.soft-pending-compaction-bytes-limit: from here on some are refused. */
  readonly pendingCompactionSoftBytes: number;
  /** storage.flow-control.hard-pending-compaction-bytes-limit: from here on all are. */
  readonly pendingCompactionHardBytes: number;
}

/** What a tick did; labels of tikv_scheduler_throttle_action_total. */
export type FlowAction = "init" | "down" | "keep" | "up" | "end" | "none";

const TICK_MS = 1000;
/** Ticks whose flow is remembered, to start from. */
const HISTORY_TICKS = 30;
const HISTORY_PERCENTILE = 0.9;
const RATE_MIN = 64 * 1024;
const RATE_MAX = 1024 * 1024 * 1024;
const STEP_DOWN = 0.8;
const STEP_UP = 1.1;
/** Ticks without excess after which the limit ends, however far the flow is from it. */
const CALM_TICKS_MAX = 60;
/** How much of the old share of refused writes stays at each tick. */
const REFUSED_SMOOTHING = 0.5;

/** Rates in bytes a second, times in monotonic milliseconds. */
export class FlowController {
  /** Share of the writes that are refused, 0 to 1. */
  refusedShare = 0;
  /** Bytes a second at the last tick. */
  flow = 0;
  readonly actions: Record<FlowAction, number> = {
    init: 0,
    down: 0,
    keep: 0,
    up: 0,
    end: 0,
    none: 0,
  };
  private limit: number | undefined;
  private passedBytes = 0;
  private tickedMs: number | undefined;
  private readonly history: number[] = [];
  private calmTicks = 0;
  private excessBefore = 0;
  /** When the bytes that were let through so far will have passed at the limit. */
  private freeMs = 0;
  /** Refusals owed: a share without a random source. */
  private owed = 0;

  constructor(private readonly options: FlowControlOptions) {
    const { pendingCompactionHardBytes, pendingCompactionSoftBytes } = options;
    assert(pendingCompactionHardBytes >= pendingCompactionSoftBytes, "the soft limit comes first");
  }

  /** Bytes a second; undefined = writes are not slowed down. */
  get rateLimit(): number | undefined {
    return this.limit;
  }

  /** Looks at the engine, once a second. */
  tick(pressure: EnginePressure, nowMs: number): FlowAction {
    const elapsedMs = this.tickedMs === undefined ? TICK_MS : Math.max(1, nowMs - this.tickedMs);
    this.tickedMs = nowMs;
    this.flow = (this.passedBytes * 1000) / elapsedMs;
    this.passedBytes = 0;
    if (this.flow > 0) {
      this.history.push(this.flow);
      if (this.history.length > HISTORY_TICKS) this.history.shift();
    }
    this.refusedShare = this.shareOf(pressure.pendingCompactionBytes);
    const action = this.adjust(this.excessOf(pressure), nowMs);
    this.actions[action]++;
    return action;
  }

  /** Notes bytes that are written while there is no limit. */
  count(bytes: number): void {
    assert(this.limit === undefined, "a limit is asked");
    this.passedBytes += bytes;
  }

  /**
   * Lets `bytes` through under the limit. Returns after how many milliseconds they may be written;
   * undefined: not within `waitMaxMs`, and nothing was let through.
   */
  consume(bytes: number, nowMs: number, waitMaxMs: number): number | undefined {
    assert(this.limit !== undefined, "without a limit bytes are counted");
    const startMs = Math.max(this.freeMs, nowMs);
    if (startMs - nowMs > waitMaxMs) return undefined;
    this.freeMs = startMs + (bytes * 1000) / this.limit;
    this.passedBytes += bytes;
    return startMs - nowMs;
  }

  /** Whether to refuse the write at hand: over many writes, `refusedShare` of them. */
  refuses(): boolean {
    this.owed += this.refusedShare;
    if (this.owed < 1) return false;
    this.owed -= 1;
    return true;
  }

  /** By the logarithm, as in TiKV: the limits lie far apart, and the first steps must be felt. */
  private shareOf(pendingBytes: number): number {
    const { pendingCompactionHardBytes: hard, pendingCompactionSoftBytes: soft } = this.options;
    if (pendingBytes < soft || pendingBytes === 0) return 0;
    if (pendingBytes >= hard) return 1;
    const share = Math.log2(pendingBytes / soft) / Math.log2(hard / soft);
    if (this.refusedShare === 0) return share;
    return REFUSED_SMOOTHING * this.refusedShare + (1 - REFUSED_SMOOTHING) * share;
  }

  /** Returns how far the worse of the two is above its threshold; 0 = none is. */
  private excessOf({ immutableMemtables, level0Files }: EnginePressure): number {
    const { level0FilesMax, memtablesMax } = this.options;
    return Math.max(0, immutableMemtables / memtablesMax - 1, level0Files / level0FilesMax - 1);
  }

  private adjust(excess: number, nowMs: number): FlowAction {
    const { limit } = this;
    const before = this.excessBefore;
    this.excessBefore = excess;
    this.calmTicks = excess > 0 ? 0 : this.calmTicks + 1;
    if (limit === undefined) {
      if (excess === 0) return "none";
      this.limit = clampRate(this.usualFlow());
      this.freeMs = nowMs;
      return "init";
    }
    if (excess > 0) {
      // It gets better by itself: slower still would cost writes for nothing.
      if (excess < before) return "keep";
      this.limit = clampRate(limit * STEP_DOWN);
      return "down";
    }
    const isFarAbove = limit >= RATE_MAX || limit > 2 * Math.max(0, ...this.history);
    if (isFarAbove || this.calmTicks >= CALM_TICKS_MAX) {
      this.limit = undefined;
      return "end";
    }
    this.limit = clampRate(limit * STEP_UP);
    return "up";
  }

  /** What the engine has been given in most of the last ticks. */
  private usualFlow(): number {
    if (this.history.length === 0) return RATE_MAX;
    const sorted = [...this.history].sort((a, b) => a - b);
    return sorted[Math.floor((sorted.length - 1) * HISTORY_PERCENTILE)] as number;
  }
}

function clampRate(rate: number): number {
  return Math.min(RATE_MAX, Math.max(RATE_MIN, rate));
}
