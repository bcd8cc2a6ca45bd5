/**
 * Serves timestamp requests in order from an oracle: a step machine. In: requests, ticks, "saved".
 * Out: answers, and at most one window to persist at a time. PURE; the driver is server/tso.ts.
 */
import { LIMITS } from "../../base/index.js";
import { type OracleStep, type Timestamp, TimestampOracle } from "./oracle.js";

/** Default milliseconds between ticks (tso-update-physical-interval). */
export const TSO_UPDATE_INTERVAL_MS = 50;
/** Ticks after which a request that found no room is refused. Source: pd maxRetryCount. */
const RETRY_TICKS_MAX = 10;

export type TsoAnswer =
  | { readonly kind: "ok"; readonly timestamp: Timestamp }
  | { readonly kind: "refused"; readonly message: string };

/** `T` is the caller's token of a request; answers come in the order of requests. */
export interface TsoEffects<T> {
  readonly answers: { readonly token: T; readonly answer: TsoAnswer }[];
  /** End of the window to persist; then call `saved` with it. */
  save: number | undefined;
}

export interface TsoAllocatorMetrics {
  requests: number;
  timestamps: number;
  waits: number;
  refused: number;
  saves: number;
}

export interface TsoAllocatorOptions {
  /** Requests that may wait; more are refused. */
  readonly pendingMax: number;
  /** Milliseconds of physical time that one save makes available. */
  readonly saveIntervalMs: number;
}

interface Waiting<T> {
  readonly token: T;
  readonly count: number;
  ticks: number;
}

export class TsoAllocator<T> {
  readonly metrics: TsoAllocatorMetrics = {
    requests: 0,
    timestamps: 0,
    waits: 0,
    refused: 0,
    saves: 0,
  };
  private readonly oracle: TimestampOracle;
  private readonly pendingMax: number;
  /** Invariant: served strictly first to last. Bounded by pendingMax; more are refused. */
  private readonly waiting: Waiting<T>[] = [];
  private saving = false;

  /** `savedMs` is the end of the window persisted last, 0 if none. */
  constructor(savedMs: number, options: TsoAllocatorOptions) {
    this.oracle = new TimestampOracle(savedMs, options.saveIntervalMs);
    this.pendingMax = options.pendingMax;
  }

  /** Asks for the first window. Requests wait until it is saved. */
  start(nowMs: number): TsoEffects<T> {
    const effects = noEffects<T>();
    this.perform(this.oracle.sync(nowMs), effects);
    return effects;
  }

  /** Takes a request for `count` timestamps. */
  request(token: T, count: number, nowMs: number): TsoEffects<T> {
    const effects = noEffects<T>();
    this.metrics.requests++;
    if (count <= 0) {
      this.refuse(token, "tso count should be positive", effects);
    } else if (count >= LIMITS.tsoLogicalMax) {
      this.refuse(token, `tso count ${count} exceeds ${LIMITS.tsoLogicalMax - 1}`, effects);
    } else if (this.waiting.length >= this.pendingMax) {
      this.refuse(token, "too many timestamp requests wait", effects);
    } else {
      this.waiting.push({ token, count, ticks: 0 });
      this.serve(nowMs, effects);
    }
    return effects;
  }

  /** Follows the clock; to be called each TSO_UPDATE_INTERVAL_MS. */
  tick(nowMs: number): TsoEffects<T> {
    const effects = noEffects<T>();
    for (const request of this.waiting) request.ticks++;
    if (this.oracle.ready && !this.saving) this.perform(this.oracle.update(nowMs), effects);
    this.serve(nowMs, effects);
    while ((this.waiting[0]?.ticks ?? 0) > RETRY_TICKS_MAX) {
      const request = this.waiting.shift() as Waiting<T>;
      this.refuse(request.token, "maximum number of retries exceeded", effects);
    }
    return effects;
  }

  /** The window that was asked for last is persisted. */
  saved(untilMs: number, nowMs: number): TsoEffects<T> {
    const effects = noEffects<T>();
    this.saving = false;
    this.oracle.saved(untilMs);
    this.serve(nowMs, effects);
    return effects;
  }

  private serve(nowMs: number, effects: TsoEffects<T>): void {
    // While a window is being saved the current millisecond still serves: it lies below the
    // window saved before.
    let mayUpdate = !this.saving;
    for (let next = this.waiting[0]; next !== undefined && this.oracle.ready; ) {
      const timestamp = this.oracle.generate(next.count);
      if (timestamp !== undefined) {
        this.waiting.shift();
        this.metrics.timestamps += next.count;
        effects.answers.push({ token: next.token, answer: { kind: "ok", timestamp } });
        next = this.waiting[0];
      } else if (mayUpdate) {
        this.perform(this.oracle.catchUp(nowMs), effects);
        mayUpdate = false;
      } else {
        this.metrics.waits++;
        return;
      }
    }
  }

  private perform(step: OracleStep, effects: TsoEffects<T>): void {
    if (step.kind === "done") return;
    this.saving = true;
    this.metrics.saves++;
    effects.save = step.untilMs;
  }

  private refuse(token: T, reason: string, effects: TsoEffects<T>): void {
    this.metrics.refused++;
    const message = `generate timestamp failed, ${reason}`;
    effects.answers.push({ token, answer: { kind: "refused", message } });
  }
}

function noEffects<T>(): TsoEffects<T> {
  return { answers: [], save: undefined };
}
