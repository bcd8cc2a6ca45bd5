/**
 * Long reads on one event loop: they take turns in slices, and a turn of the loop gives them a few
 * milliseconds together, so that a cold block or a long scan cannot hold up heartbeats. A short
 * scan that finds the turn's budget unspent finishes in its first slice, without waiting.
 *
 * Bounded: reads that hold a snapshot, reads that wait, bytes of results under way; beyond that the
 * answer is ServerIsBusy.
 */
import type { Clock } from "../base/index.js";
import { busyFailure, type Failure, keyFailure } from "./errors.js";
import type { ReadReply, Reply } from "./types.js";

/** A read that advances in steps. It is opened when it gets its first slice. */
export interface SlicedRead<T> {
  /** Reads one slice. Returns whether the read is finished. */
  step(maxItems: number, maxBytes: number): boolean;
  /** Bytes of the result so far. */
  readonly bytes: number;
  /** The result; called once, after the last step. */
  result(): T;
  /** Releases the snapshot. Called once. */
  close(): void;
}

/** Opens a read, or says why not: it is asked when the read has left the queue. */
export type OpenRead<T> = () => ReadReply<SlicedRead<T>>;

export interface ReadPoolOptions {
  readonly activeMax: number;
  readonly tasksMax: number;
  readonly sliceMs: number;
  readonly responseMaxBytes: number;
  readonly memoryMaxBytes: number;
}

const STEP_ITEMS = 256;
const STEP_BYTES = 256 * 1024;
/** Steps of a turn when the clock does not move (tests) or is coarse. */
const TURN_STEPS_MAX = 16;

interface Active {
  readonly read: SlicedRead<unknown>;
  readonly resolve: (reply: Reply<unknown>) => void;
  readonly reject: (error: unknown) => void;
}

interface Waiting {
  readonly open: OpenRead<unknown>;
  readonly resolve: (reply: Reply<unknown>) => void;
  readonly reject: (error: unknown) => void;
}

export class ReadPool {
  private readonly active: Active[] = [];
  private readonly waiting: Waiting[] = [];
  /** Reads that have left the queue and wait for the log's confirmation. */
  private opening = 0;
  private turnMs = 0;
  private turnSteps = 0;
  private turnEnds = false;
  private heldBytes = 0;
  private closed = false;

  constructor(
    private readonly options: ReadPoolOptions,
    private readonly clock: Clock,
    /** Calls back in a later turn of the event loop. */
    private readonly nextTurn: (next: () => void) => void = setImmediate,
  ) {}

  /** Reads that are under way or wait. */
  get running(): number {
    return this.active.length + this.opening + this.waiting.length;
  }

  /** Runs a read. Resolves with its result, or with the failure of `open`, or ServerIsBusy. */
  run<T>(open: OpenRead<T>): Promise<Reply<T>> {
    if (this.closed || this.waiting.length >= this.options.tasksMax) {
      return Promise.resolve(busyFailure());
    }
    return new Promise<Reply<T>>((resolve, reject) => {
      this.waiting.push({
        open: open as OpenRead<unknown>,
        resolve: resolve as (reply: Reply<unknown>) => void,
        reject,
      });
      // Only a read that is alone starts inside the caller's turn: it may hold the arena, which
      // another read's kernel would need.
      if (this.running === 1) this.pump();
      else this.scheduleTurn();
    });
  }

  /** Refuses what waits, and later reads; resolves when the reads under way are finished. */
  async stop(): Promise<void> {
    this.closed = true;
    for (const { resolve } of this.waiting.splice(0)) resolve(busyFailure());
    while (this.active.length + this.opening > 0)
      await new Promise<void>((resolve) => this.nextTurn(resolve));
  }

  /** Spends what is left of this turn's budget, one slice per read in rotation. */
  private pump(): void {
    for (;;) {
      this.admit();
      const next = this.active[0];
      if (next === undefined) return;
      if (this.turnMs >= this.options.sliceMs || this.turnSteps >= TURN_STEPS_MAX) break;
      this.active.shift();
      if (!this.slice(next)) this.active.push(next);
    }
    this.scheduleTurn();
  }

  private admit(): void {
    while (this.active.length + this.opening < this.options.activeMax) {
      const task = this.waiting.shift();
      if (task === undefined) return;
      try {
        const opened = task.open();
        if (opened instanceof Promise) this.awaitOpen(task, opened);
        else this.activate(task, opened);
      } catch (error) {
        task.reject(error);
      }
    }
  }

  private activate(task: Waiting, opened: Reply<SlicedRead<unknown>>): void {
    if (opened.ok) {
      this.active.push({ read: opened.value, resolve: task.resolve, reject: task.reject });
    } else {
      task.resolve(opened);
    }
  }

  /** A read that is being confirmed holds its place; its snapshot is there when it is. */
  private awaitOpen(task: Waiting, opened: Promise<Reply<SlicedRead<unknown>>>): void {
    this.opening++;
    const settle = (then: () => void): void => {
      this.opening--;
      then();
      this.scheduleTurn();
    };
    opened.then(
      (reply) => settle(() => this.activate(task, reply)),
      (error: unknown) => settle(() => task.reject(error)),
    );
  }

  /** Runs one step. Returns whether the read is over. */
  private slice(task: Active): boolean {
    const { read, resolve, reject } = task;
    const started = this.clock.monotonicMs();
    const before = read.bytes;
    let reply: Reply<unknown> | undefined;
    try {
      const finished = read.step(STEP_ITEMS, STEP_BYTES);
      this.heldBytes += read.bytes - before;
      reply = this.overLimit(read) ?? (finished ? { ok: true, value: read.result() } : undefined);
    } catch (error) {
      this.heldBytes -= before;
      read.close();
      reject(error);
      return true;
    } finally {
      this.turnSteps++;
      this.turnMs += this.clock.monotonicMs() - started;
      this.scheduleTurn();
    }
    if (reply === undefined) return false;
    this.heldBytes -= read.bytes;
    read.close();
    resolve(reply);
    return true;
  }

  private overLimit(read: SlicedRead<unknown>): Failure | undefined {
    const { responseMaxBytes, memoryMaxBytes } = this.options;
    if (read.bytes > responseMaxBytes) {
      return keyFailure(`scan result exceeds ${responseMaxBytes} bytes, use a smaller limit`);
    }
    return this.heldBytes > memoryMaxBytes ? busyFailure("memory quota exceeded") : undefined;
  }

  /** Makes the budget full again in the next turn of the event loop. */
  private scheduleTurn(): void {
    if (this.turnEnds) return;
    this.turnEnds = true;
    this.nextTurn(() => {
      this.turnEnds = false;
      this.turnMs = 0;
      this.turnSteps = 0;
      this.pump();
    });
  }
}
