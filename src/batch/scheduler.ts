/**
 * Ready queues: one FIFO for each lane, and the control FSM beside them. Bounded without a limit of
 * its own: ownership lets an FSM be in at most one queue, once. Hot path.
 * Source: tikv components/batch-system/src/{scheduler,batch}.rs.
 */
import { assert } from "../base/index.js";
import { Fifo } from "./fifo.js";
import type { Fsm, Priority } from "./fsm.js";
import type { Slot } from "./mailbox.js";

/** N, M: normal FSMs and their messages; C, K: the control FSM and its. */
export class Scheduler<N extends Fsm, M, C extends Fsm, K> {
  readonly #lanes = { normal: new Fifo<Slot<N, M>>(), low: new Fifo<Slot<N, M>>() };
  readonly #nowMs: () => number;
  readonly #wake: () => void;
  #control: Slot<C, K> | undefined;

  /** `wake` is called whenever something became ready. */
  constructor(nowMs: () => number, wake: () => void) {
    this.#nowMs = nowMs;
    this.#wake = wake;
  }

  /** Queues an FSM that was just taken, or that a poller moves to the end of a lane. */
  schedule(slot: Slot<N, M>): void {
    slot.readyMs = this.#nowMs();
    this.#lanes[slot.fsm.priority].push(slot);
    this.#wake();
  }

  /** Queues the control FSM. */
  scheduleControl(slot: Slot<C, K>): void {
    assert(this.#control === undefined, "one control FSM, and it is ready once");
    slot.readyMs = this.#nowMs();
    this.#control = slot;
    this.#wake();
  }

  /** Returns the FSM of a lane that has waited longest. */
  next(priority: Priority): Slot<N, M> | undefined {
    return this.#lanes[priority].shift();
  }

  /** Returns the control FSM if it is ready. */
  nextControl(): Slot<C, K> | undefined {
    const control = this.#control;
    this.#control = undefined;
    return control;
  }

  /** FSMs that wait in a lane; the control FSM counts as normal. */
  waiting(priority: Priority): number {
    const control = priority === "normal" && this.#control !== undefined ? 1 : 0;
    return this.#lanes[priority].length + control;
  }
}
