/**
 * Holds writes back as long as the flow controller says so, refuses what it refuses, and asks the
 * engine once a second how far it is behind. Deletes and everything else that frees goes through:
 * held locks would only make more work.
 *
 * Bounds: a write waits 5 s at most, else it is refused as busy; how many wait, the write quota says.
 * A write that waits may be overtaken by one that frees, or by one that comes when the limit is gone.
 */
import type { Clock, Timers } from "../base/index.js";
import { type EnginePressure, NO_PRESSURE } from "../engine/index.js";
import { busyFailure, closingFailure, type Failure } from "./errors.js";
import { type FlowAction, FlowController, type FlowControlOptions } from "./flow_controller.js";

const TICK_MS = 1000;
const WAIT_MAX_MS = 5000;

export interface FlowGateDeps {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly pressure: () => EnginePressure;
  /** Told of each write: how long it was held back, milliseconds. */
  readonly onHeld: (waitedMs: number) => void;
}

/** What the last look at the engine gave, for metrics. */
export interface FlowState {
  readonly pressure: EnginePressure;
  /** Bytes a second; undefined = no limit. */
  readonly rateLimit: number | undefined;
  readonly flow: number;
  readonly refusedShare: number;
  readonly actions: Readonly<Record<FlowAction, number>>;
}

export class FlowGate {
  private readonly controller: FlowController;
  /** Cancels the timer of each write that waits, and refuses the write. */
  private readonly held = new Set<() => void>();
  private last = NO_PRESSURE;
  private cancelTick: (() => void) | undefined;
  private closed = false;

  constructor(
    private readonly options: FlowControlOptions,
    private readonly deps: FlowGateDeps,
  ) {
    this.controller = new FlowController(options);
  }

  /** Starts looking at the engine, if flow control is on. */
  start(): void {
    if (this.options.enabled) this.tick();
  }

  /** Writes that wait. */
  get waiting(): number {
    return this.held.size;
  }

  state(): FlowState {
    const { actions, flow, rateLimit, refusedShare } = this.controller;
    return { pressure: this.last, actions, flow, rateLimit, refusedShare };
  }

  /** Calls `go` with nothing, now or when the write may go on, or with why it may not. */
  pass(bytes: number, frees: boolean, go: (refused: Failure | undefined) => void): void {
    const waitMs = this.waitOf(bytes, frees);
    if (waitMs === undefined) {
      go(busyFailure());
      return;
    }
    if (waitMs <= 0) {
      go(undefined);
      return;
    }
    this.deps.onHeld(waitMs);
    const refuse = (): void => {
      cancel();
      this.held.delete(refuse);
      go(closingFailure());
    };
    const cancel = this.deps.timers.after(waitMs, () => {
      this.held.delete(refuse);
      go(undefined);
    });
    this.held.add(refuse);
  }

  /** Refuses what waits, and looks at the engine no more. */
  close(): void {
    this.closed = true;
    this.cancelTick?.();
    for (const refuse of [...this.held]) refuse();
  }

  private waitOf(bytes: number, frees: boolean): number | undefined {
    if (frees || !this.options.enabled) return 0;
    const { controller, deps } = this;
    if (controller.refuses()) return undefined;
    if (controller.rateLimit === undefined) {
      controller.count(bytes);
      return 0;
    }
    return controller.consume(bytes, deps.clock.monotonicMs(), WAIT_MAX_MS);
  }

  private tick(): void {
    if (this.closed) return;
    const { clock, pressure, timers } = this.deps;
    this.last = pressure();
    this.controller.tick(this.last, clock.monotonicMs());
    this.cancelTick = timers.after(TICK_MS, () => this.tick());
  }
}
