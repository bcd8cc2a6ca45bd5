/**
 * Address → mailbox. Sending never steps an FSM: it queues the message and makes the FSM ready.
 * Source: tikv components/batch-system/src/router.rs. Hot path.
 */
import { assert } from "../base/index.js";
import type { Fsm } from "./fsm.js";
import { Mailbox, type SendResult } from "./mailbox.js";
import type { BatchMetrics } from "./metrics.js";
import type { Scheduler } from "./scheduler.js";

/** "notFound": no FSM at the address; for a region that is RegionNotFound. */
export type RouteResult = SendResult | "notFound";

/** What happens to FSMs that are freed: `undelivered` was accepted and never seen. */
export interface DropHandler<N extends Fsm, M, C extends Fsm, K> {
  onDrop(fsm: N, undelivered: readonly M[]): void;
  onDropControl(control: C, undelivered: readonly K[]): void;
}

/** A: addresses, compared as Map keys. N, M, C, K: as in scheduler.ts. */
export class Router<A, N extends Fsm, M, C extends Fsm, K> {
  readonly #mailboxes = new Map<A, Mailbox<N, M>>();
  readonly #control: Mailbox<C, K>;
  readonly #scheduler: Scheduler<N, M, C, K>;
  readonly #capacity: number;
  readonly #drops: DropHandler<N, M, C, K>;
  readonly #metrics: BatchMetrics;
  #shutdown = false;

  constructor(
    control: C,
    capacity: number,
    {
      scheduler,
      drops,
      metrics,
    }: {
      readonly scheduler: Scheduler<N, M, C, K>;
      readonly drops: DropHandler<N, M, C, K>;
      readonly metrics: BatchMetrics;
    },
  ) {
    this.#scheduler = scheduler;
    this.#capacity = capacity;
    this.#drops = drops;
    this.#metrics = metrics;
    this.#control = new Mailbox<C, K>(control, {
      capacity,
      schedule: (slot) => scheduler.scheduleControl(slot),
      onDrop: (fsm, undelivered) => drops.onDropControl(fsm, undelivered),
    });
  }

  /** FSMs that have an address. */
  get size(): number {
    return this.#mailboxes.size;
  }

  /** Registers an FSM, idle. What was registered at the address before is closed. */
  register(address: A, fsm: N): Mailbox<N, M> {
    assert(!this.#shutdown, "nothing is registered after shutdown");
    this.close(address);
    const mailbox = new Mailbox<N, M>(fsm, {
      capacity: this.#capacity,
      schedule: (slot) => this.#scheduler.schedule(slot),
      onDrop: (dropped, undelivered) => this.#drops.onDrop(dropped, undelivered),
    });
    this.#mailboxes.set(address, mailbox);
    return mailbox;
  }

  /** Returns the mailbox at an address. May be kept: after `close` it answers "closed". */
  mailbox(address: A): Mailbox<N, M> | undefined {
    return this.#mailboxes.get(address);
  }

  /** Sends within notify-capacity. */
  send(address: A, message: M): RouteResult {
    const result = this.#mailboxes.get(address)?.trySend(message) ?? "notFound";
    if (result === "full") this.#metrics.channelFull++;
    return result;
  }

  /** Sends beyond notify-capacity as well; see Mailbox.forceSend for who may. */
  forceSend(address: A, message: M): RouteResult {
    return this.#mailboxes.get(address)?.forceSend(message) ?? "notFound";
  }

  /** Wakes the FSM at an address for an event that is no message; false when there is none. */
  resume(address: A): boolean {
    return this.#mailboxes.get(address)?.resume() ?? false;
  }

  /** Sends to the control FSM, within notify-capacity. */
  sendControl(message: K): SendResult {
    const result = this.#control.trySend(message);
    if (result === "full") this.#metrics.channelFull++;
    return result;
  }

  /** Sends to the control FSM beyond notify-capacity as well. */
  forceSendControl(message: K): SendResult {
    return this.#control.forceSend(message);
  }

  /** Force-sends what `message` returns to every FSM, in order of registration; not to control. */
  broadcast(message: (address: A) => M): void {
    for (const [address, mailbox] of this.#mailboxes) mailbox.forceSend(message(address));
  }

  /** Closes the mailbox at an address and forgets it; false when there is none. */
  close(address: A): boolean {
    const mailbox = this.#mailboxes.get(address);
    if (mailbox === undefined) return false;
    this.#mailboxes.delete(address);
    mailbox.close();
    return true;
  }

  /** Closes everything, control last; later sends answer "closed" or "notFound". */
  closeAll(): void {
    this.#shutdown = true;
    for (const address of [...this.#mailboxes.keys()]) this.close(address);
    this.#control.close();
  }
}
