/**
 * Poll rounds of one lane: begin, control, normal FSMs, light end, end. One call is one round, and
 * nothing but a round steps an FSM: fsync and network flush happen once a round, for all its FSMs.
 * Not here: when to run (system.ts). Hot path. Source: tikv components/batch-system/src/batch.rs.
 *
 * The batch survives from round to round: an FSM that keeps processing stays in it.
 */
import { assert, type Clock } from "../base/index.js";
import type { BatchConfig } from "./config.js";
import type { Fsm, Priority } from "./fsm.js";
import type { Leave, Slot } from "./mailbox.js";
import type { BatchMetrics } from "./metrics.js";
import type { Scheduler } from "./scheduler.js";

/**
 * What an FSM's turn ended with. keepProcessing: it has more to do and stays in the batch. stopAt:
 * it leaves with `progress` messages unread on purpose (0 unless it waits for an event), and comes
 * back when more arrive or it is resumed; with `skipEnd` it leaves before `end`, which it does not
 * need (nothing to write).
 */
export type HandleResult =
  | { readonly kind: "keepProcessing" }
  | { readonly kind: "stopAt"; readonly progress: number; readonly skipEnd: boolean };

export const KEEP_PROCESSING: HandleResult = { kind: "keepProcessing" };
const DONE: HandleResult = { kind: "stopAt", progress: 0, skipEnd: false };

/** Returns the result of an FSM that leaves; see HandleResult. */
export function stopAt(progress: number, skipEnd: boolean = false): HandleResult {
  return progress === 0 && !skipEnd ? DONE : { kind: "stopAt", progress, skipEnd };
}

/** The code that a batch system runs. Called in rounds only; it must not call `poll`. */
export interface PollHandler<N extends Fsm, M, C extends Fsm, K> {
  /** A round starts; it will hold at most `batchSizeMax` FSMs. */
  begin(batchSizeMax: number): void;
  handleControl(slot: Slot<C, K>): HandleResult;
  handleNormal(slot: Slot<N, M>): HandleResult;
  /** All FSMs were handled: flush the transport. `batch` is the round's, not to be kept. */
  lightEnd(batch: readonly Slot<N, M>[]): void;
  /** Write what the round gathered, once. `batch` lacks the FSMs that skip the end. */
  end(batch: readonly Slot<N, M>[]): void;
  /** Nothing is ready: flush what waits for company. */
  pause(): void;
}

/** Dependencies of a poller. */
export interface PollerParts<N extends Fsm, M, C extends Fsm, K> {
  readonly scheduler: Scheduler<N, M, C, K>;
  readonly handler: PollHandler<N, M, C, K>;
  readonly clock: Clock;
  readonly metrics: BatchMetrics;
}

/** A stopped FSM still answers what was accepted: releasing it fails until its mailbox is empty. */
const REMOVE: Leave = { policy: "release", progress: 0, skipEnd: false };
const SCHEDULE: Leave = { policy: "schedule", progress: 0, skipEnd: false };

/** One lane's poller. A handler that throws is a bug: the poller then refuses to go on. */
export class Poller<N extends Fsm, M, C extends Fsm, K> {
  readonly #priority: Priority;
  readonly #config: BatchConfig;
  readonly #parts: PollerParts<N, M, C, K>;
  readonly #batch: Slot<N, M>[] = [];
  /** FSMs of the batch, for `steps`. */
  readonly #owned = new Set<N>();
  #control: Slot<C, K> | undefined;
  #inRound = false;
  #hotSeen = 0;

  constructor(priority: Priority, config: BatchConfig, parts: PollerParts<N, M, C, K>) {
    this.#priority = priority;
    this.#config = config;
    this.#parts = parts;
  }

  /** Whether a round would find something to do. */
  get hasWork(): boolean {
    return this.#holdsWork || this.#parts.scheduler.waiting(this.#priority) > 0;
  }

  get #holdsWork(): boolean {
    return this.#batch.length > 0 || this.#control !== undefined;
  }

  /** Whether `fsm` may be stepped now: a round runs, and the FSM is in its batch. */
  steps(fsm: N): boolean {
    return this.#inRound && this.#owned.has(fsm);
  }

  /** Runs one round; returns whether there was anything to do. */
  poll(): boolean {
    assert(!this.#inRound, "poll rounds do not nest, and none follows one that threw");
    if (!this.hasWork) return false;
    this.#inRound = true;
    const { handler, clock, metrics } = this.#parts;
    const batch = this.#batch;
    const startMs = clock.monotonicMs();
    if (this.#priority === "normal") this.#control ??= this.#parts.scheduler.nextControl();
    const batchMax = Math.max(this.#config.maxBatchSize, batch.length);
    if (batch.length < batchMax && this.#fetch(startMs)) {
      metrics.onFirstFetch(startMs - (batch[batch.length - 1] as Slot<N, M>).readyMs);
    }
    this.#hotSeen = 0;
    handler.begin(batchMax);
    if (this.#control !== undefined) this.#handleControl(this.#control);
    for (let i = 0; i < batch.length || (i < batchMax && this.#fetch(startMs)); i++) {
      this.#handleNormal(batch[i] as Slot<N, M>, startMs);
    }
    const handled = batch.length;
    handler.lightEnd(batch);
    this.#leaveAll(true);
    handler.end(batch);
    this.#leaveAll(false);
    if (!this.hasWork) handler.pause();
    metrics.onRound(clock.monotonicMs() - startMs, handled);
    this.#inRound = false;
    return true;
  }

  /** At shutdown: frees what rounds did not drain; every FSM here is closed by now. */
  abandon(): void {
    assert(!this.#inRound, "FSMs are abandoned between rounds");
    const { scheduler } = this.#parts;
    for (let slot = scheduler.next(this.#priority); slot; slot = scheduler.next(this.#priority)) {
      slot.mailbox.abandon();
    }
    for (const slot of this.#batch.splice(0)) slot.mailbox.abandon();
    this.#owned.clear();
    const control = this.#priority === "normal" ? scheduler.nextControl() : undefined;
    (this.#control ?? control)?.mailbox.abandon();
    this.#control = undefined;
  }

  /** Moves one ready FSM into the batch; false when none is ready. */
  #fetch(nowMs: number): boolean {
    const slot = this.#parts.scheduler.next(this.#priority);
    if (slot === undefined) return false;
    assert(!this.#owned.has(slot.fsm), "an FSM is in a batch once");
    slot.enteredMs = nowMs;
    this.#owned.add(slot.fsm);
    this.#batch.push(slot);
    return true;
  }

  #handleControl(slot: Slot<C, K>): void {
    slot.beginTurn(this.#config.messagesPerTick);
    const result = this.#parts.handler.handleControl(slot);
    slot.endTurn();
    const keeps = slot.fsm.stopped ? slot.pending > 0 : result.kind === "keepProcessing";
    if (keeps) return;
    const progress = result.kind === "stopAt" ? result.progress : 0;
    if (slot.mailbox.release(progress) !== "retaken") this.#control = undefined;
  }

  #handleNormal(slot: Slot<N, M>, nowMs: number): void {
    slot.leave = undefined;
    slot.beginTurn(this.#config.messagesPerTick);
    const result = this.#parts.handler.handleNormal(slot);
    slot.endTurn();
    if (slot.fsm.stopped) slot.leave = REMOVE;
    else if (slot.fsm.priority !== this.#priority) slot.leave = SCHEDULE;
    else if (this.#isRescheduled(slot, nowMs)) slot.leave = SCHEDULE;
    else if (result.kind === "stopAt") slot.leave = { ...result, policy: "release" };
  }

  /**
   * Whether a hot FSM must queue again. Every second one only, so that half of a hot batch gives
   * its places to FSMs that wait while the rest keeps the batch, and its writes, large.
   */
  #isRescheduled(slot: Slot<N, M>, nowMs: number): boolean {
    if (nowMs - slot.enteredMs < this.#config.rescheduleDurationMs) return false;
    this.#hotSeen++;
    if (this.#hotSeen % 2 !== 0) return false;
    this.#parts.metrics.rescheduled++;
    return true;
  }

  /** Applies the policies, of the FSMs that skip the end or of all, from the highest index down. */
  #leaveAll(early: boolean): void {
    for (let i = this.#batch.length - 1; i >= 0; i--) {
      const slot = this.#batch[i] as Slot<N, M>;
      if (slot.leave === undefined || (early && !slot.leave.skipEnd)) continue;
      const left = this.#leave(slot, slot.leave);
      slot.leave = undefined;
      if (!left) continue;
      // The last one, which was judged already, takes the place.
      const last = this.#batch.pop() as Slot<N, M>;
      if (last !== slot) this.#batch[i] = last;
    }
  }

  /** Gives an FSM away; false when it must stay in the batch. */
  #leave(slot: Slot<N, M>, { policy, progress }: Leave): boolean {
    if (policy === "schedule") {
      this.#owned.delete(slot.fsm);
      this.#parts.scheduler.schedule(slot);
      return true;
    }
    if (slot.mailbox.release(progress) === "retaken") return false;
    this.#owned.delete(slot.fsm);
    return true;
  }
}
