/**
 * A batch system: router, ready queues, a poller for each lane, and the runner that calls rounds.
 * The runner is injected: `immediateRunner` in a process, the simulator's own in test/sim.
 */
import { assert, type Clock } from "../base/index.js";
import { type BatchConfig, checkBatchConfig } from "./config.js";
import type { Fsm } from "./fsm.js";
import type { BatchMetrics } from "./metrics.js";
import { Poller, type PollHandler } from "./poller.js";
import { type DropHandler, Router } from "./router.js";
import { Scheduler } from "./scheduler.js";

/** Calls back later, from the event loop, never from inside `defer`. */
export interface Runner {
  defer(callback: () => void): void;
}

/** Runs rounds between turns of Node's event loop, so that sockets get their share. */
export const immediateRunner: Runner = {
  defer(callback) {
    setImmediate(callback);
  },
};

/** Dependencies of a batch system. */
export interface BatchSystemParts<N extends Fsm, M, C extends Fsm, K> {
  readonly control: C;
  /** One handler for each lane, as their gathered writes must not mix. */
  readonly normal: PollHandler<N, M, C, K>;
  readonly low: PollHandler<N, M, C, K>;
  readonly drops: DropHandler<N, M, C, K>;
  readonly clock: Clock;
  readonly runner: Runner;
  readonly metrics: BatchMetrics;
}

/** Rounds that shutdown grants FSMs to drain; a guess: any queue at its bound needs 10. */
const DRAIN_ROUNDS_MAX = 64;

/** A: addresses. N, M: normal FSMs and messages. C, K: the control FSM and its messages. */
export class BatchSystem<A, N extends Fsm, M, C extends Fsm, K> {
  readonly router: Router<A, N, M, C, K>;
  readonly #config: BatchConfig;
  readonly #normal: Poller<N, M, C, K>;
  readonly #low: Poller<N, M, C, K>;
  readonly #runner: Runner;
  /** Whether the runner has a callback of ours. */
  #armed = false;
  #running = false;
  #stopped = false;
  /** Position in the cycle of poolSize normal and lowPriorityPoolSize low rounds. */
  #cycle = 0;

  constructor(config: BatchConfig, parts: BatchSystemParts<N, M, C, K>) {
    checkBatchConfig(config);
    this.#config = config;
    this.#runner = parts.runner;
    const { clock, drops, control, metrics } = parts;
    const scheduler = new Scheduler<N, M, C, K>(
      () => clock.monotonicMs(),
      () => this.#arm(),
    );
    this.router = new Router(control, config.notifyCapacity, { scheduler, drops, metrics });
    const common = { scheduler, clock, metrics };
    this.#normal = new Poller("normal", config, { ...common, handler: parts.normal });
    this.#low = new Poller("low", config, { ...common, handler: parts.low });
  }

  /** Whether a round would find something to do. */
  get hasWork(): boolean {
    return this.#normal.hasWork || this.#low.hasWork;
  }

  /** Asserts that a round runs whose batch holds `fsm`; called wherever an FSM's state steps. */
  assertOwned(fsm: N): void {
    assert(this.#normal.steps(fsm) || this.#low.steps(fsm), "FSMs are stepped in their round only");
  }

  /** Runs one round of the lane whose turn it is; returns whether there was anything to do. */
  poll(): boolean {
    assert(!this.#running, "rounds of a batch system do not nest, and none follows one that threw");
    this.#running = true;
    const lane = this.#lane();
    const worked = lane.poll();
    this.#running = false;
    return worked;
  }

  /**
   * Closes everything and drains: FSMs that are ready get what was accepted, in at most 64 rounds;
   * what they leave is handed to `drops`. Not inside a round. Sends fail from here on.
   */
  shutdown(): void {
    assert(!this.#running, "shutdown is not called inside a round");
    this.#stopped = true;
    this.router.closeAll();
    for (let rounds = 0; rounds < DRAIN_ROUNDS_MAX && this.hasWork; rounds++) this.poll();
    this.#normal.abandon();
    this.#low.abandon();
  }

  #lane(): Poller<N, M, C, K> {
    if (!this.#low.hasWork) return this.#normal;
    if (!this.#normal.hasWork) return this.#low;
    const { poolSize, lowPriorityPoolSize } = this.#config;
    const turn = this.#cycle;
    this.#cycle = (turn + 1) % (poolSize + lowPriorityPoolSize);
    return turn < poolSize ? this.#normal : this.#low;
  }

  #arm(): void {
    if (this.#armed || this.#stopped) return;
    this.#armed = true;
    this.#runner.defer(() => {
      this.#armed = false;
      if (this.#stopped) return;
      this.poll();
      if (this.hasWork) this.#arm();
    });
  }
}
