/**
 * The machine a process runs on, as the process sees it: its clocks (skewed, running apart), its
 * timers and its turns. A pause freezes all of them; a crash forgets what was planned.
 *
 * A pause may begin inside a turn, before any read of the clock: the clock then shows the time after
 * the pause, and what the turn sends from there on leaves after the pause. What it sent before has
 * left. That is how a process is stopped between the check of a lease and the read it allows.
 */
import type { Clock, Prng, Timers } from "../../src/base/index.js";
import type { SimEvent, SimLoop } from "./loop.js";

/** Clock rates are parts per million off. */
const PPM = 1_000_000;
/** Wall-clock milliseconds at the start of a run. */
const EPOCH_MS = 1_700_000_000_000;

export class SimHost implements Clock, Timers {
  readonly name: string;
  private readonly loop: SimLoop;
  private readonly prng: Prng;
  /** Events of an earlier incarnation are dropped. */
  private incarnation = 0;
  private up = false;
  /** End of the pause, 0 when there is none. */
  private pausedUntilUs = 0;
  private readonly backlog: (() => void)[] = [];
  /** How far a pause that began inside this turn has moved this host ahead of the loop. */
  private lagUs = 0;
  private pauseAt: { reads: number; readonly lengthUs: number } | undefined;
  private wallSkewMs = 0;
  private ratePpm = 0;
  /** Monotonic time at the last change of the rate, and when that was. */
  private baseUs = 0;
  private baseAtUs = 0;
  private lastMonotonicMs = 0;

  constructor(name: string, loop: SimLoop, prng: Prng) {
    this.name = name;
    this.loop = loop;
    this.prng = prng;
  }

  get isUp(): boolean {
    return this.up;
  }

  get isPaused(): boolean {
    return this.pausedUntilUs > this.loop.nowUs;
  }

  /** Time at which what this host does now becomes visible. */
  get localUs(): number {
    return this.loop.nowUs + this.lagUs;
  }

  nowMs(): number {
    this.onClockRead();
    return EPOCH_MS + Math.floor(this.localUs / 1000) + this.wallSkewMs;
  }

  monotonicMs(): number {
    this.onClockRead();
    return this.monotonicAt();
  }

  /** Runs `look`, whose reads of the clock are no moments of this process; for checkers. */
  peek<T>(look: () => T): T {
    const { pauseAt } = this;
    this.pauseAt = undefined;
    const result = look();
    this.pauseAt = pauseAt;
    return result;
  }

  /** Sets how far the wall clock is off. */
  setWallSkewMs(skewMs: number): void {
    this.wallSkewMs = skewMs;
  }

  /** Sets how fast the monotonic clock runs: 1,000 is 0.1 % fast. */
  setRatePpm(ratePpm: number): void {
    this.baseUs = this.monotonicUs();
    this.baseAtUs = this.localUs;
    this.ratePpm = ratePpm;
  }

  start(): void {
    this.up = true;
    this.pausedUntilUs = 0;
  }

  /** Power off: everything planned is forgotten. */
  crash(): void {
    this.up = false;
    this.incarnation++;
    this.backlog.length = 0;
    this.pausedUntilUs = 0;
    this.lagUs = 0;
    this.pauseAt = undefined;
  }

  /** Freezes the process from the next turn on. */
  pause(lengthUs: number): void {
    if (!this.up || this.isPaused) return;
    this.pausedUntilUs = this.loop.nowUs + lengthUs;
    this.planResume();
  }

  /** Freezes the process inside a turn, before the read of the clock after `reads` more. */
  pauseAtRead(reads: number, lengthUs: number): void {
    if (this.up) this.pauseAt = { reads, lengthUs };
  }

  /** See Timers; the wait is measured by this host's clock. */
  after(delayMs: number, callback: () => void): () => void {
    const delayUs = Math.ceil((delayMs * 1000 * PPM) / (PPM + this.ratePpm)) + 1;
    const event = this.afterUs(delayUs, callback);
    return () => event.cancel();
  }

  /** Runs `action` in a turn of this host, `delayUs` from now; never after a crash. */
  afterUs(delayUs: number, action: () => void): SimEvent {
    const { incarnation } = this;
    return this.loop.at(this.localUs + delayUs, () => {
      if (this.incarnation === incarnation) this.turn(action);
    });
  }

  /** Runs `action` now, or after the pause. From events of others: a message, a finished write. */
  turn(action: () => void): void {
    if (!this.up) return;
    if (this.isPaused) this.backlog.push(action);
    else this.runTurn(action);
  }

  private runTurn(action: () => void): void {
    this.loop.touched = this;
    this.loop.whenDrained(() => this.endTurn());
    action();
  }

  private endTurn(): void {
    if (this.lagUs === 0) return;
    this.pausedUntilUs = this.loop.nowUs + this.lagUs;
    this.lagUs = 0;
    this.planResume();
  }

  private planResume(): void {
    const { incarnation } = this;
    this.loop.at(this.pausedUntilUs, () => {
      if (this.incarnation !== incarnation || this.isPaused) return;
      const actions = this.backlog.splice(0);
      // Sockets and timers that became ready meanwhile are served in any order.
      if (this.prng.ratio(1, 2)) this.prng.shuffle(actions);
      for (const action of actions) this.afterUs(0, action);
    });
  }

  private onClockRead(): void {
    const { pauseAt } = this;
    if (pauseAt === undefined) return;
    if (pauseAt.reads > 0) {
      pauseAt.reads--;
      return;
    }
    this.pauseAt = undefined;
    this.lagUs += pauseAt.lengthUs;
  }

  private monotonicUs(): number {
    const passedUs = this.localUs - this.baseAtUs;
    return this.baseUs + passedUs + Math.trunc((passedUs * this.ratePpm) / PPM);
  }

  private monotonicAt(): number {
    this.lastMonotonicMs = Math.max(this.lastMonotonicMs, this.monotonicUs() / 1000);
    return this.lastMonotonicMs;
  }
}
