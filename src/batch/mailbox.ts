/**
 * The queue in front of an FSM, and both its ends: Mailbox for senders, Slot for the poller that
 * owns the FSM. Sending schedules an idle FSM; giving it back asks whether a message or an event
 * came meanwhile. Not here: addresses (router.ts). Hot path.
 * Source: tikv components/batch-system/src/mailbox.rs.
 */
import { assert } from "../base/index.js";
import { Fifo } from "./fifo.js";
import { type Fsm, FsmState } from "./fsm.js";

/** "full": over notify-capacity, answer ServerIsBusy. "closed": the FSM is gone or going. */
export type SendResult = "sent" | "full" | "closed";

/** What a mailbox needs from its surroundings. */
export interface MailboxOptions<F extends Fsm, M> {
  /** Most messages that `trySend` lets wait. */
  readonly capacity: number;
  /** Puts an FSM that was just taken into a ready queue. */
  schedule(slot: Slot<F, M>): void;
  /** The FSM is freed, with the accepted messages that it never saw: answer them. */
  onDrop(fsm: F, undelivered: readonly M[]): void;
}

/** How an FSM leaves the batch; the poller's own. */
export interface Leave {
  /** release: to its mailbox. schedule: to the end of its lane's ready queue. */
  readonly policy: "release" | "schedule";
  /** Messages left unread on purpose. */
  readonly progress: number;
  /** Before `end`. */
  readonly skipEnd: boolean;
}

/** The poller's end of a mailbox; one for the mailbox's life. */
export class Slot<F extends Fsm, M> {
  readonly fsm: F;
  readonly mailbox: Mailbox<F, M>;
  /** Clock reading when the FSM became ready, ms. */
  readyMs = 0;
  /** Clock reading when the FSM entered the batch, ms. */
  enteredMs = 0;
  /** What the poller decided in this round; undefined: the FSM stays in the batch. */
  leave: Leave | undefined;
  /** Messages that the FSM may still take in this round; 0 outside of its turn. */
  #budget = 0;
  #stepping = false;

  constructor(mailbox: Mailbox<F, M>, fsm: F) {
    this.mailbox = mailbox;
    this.fsm = fsm;
  }

  /** Messages that wait. */
  get pending(): number {
    return this.mailbox.length;
  }

  /**
   * Returns the next message; undefined when none waits or the round's share (messages-per-tick)
   * is used up. Only inside handleNormal or handleControl of this FSM.
   */
  receive(): M | undefined {
    assert(this.#stepping, "an FSM takes messages in its turn of a poll round only");
    if (this.#budget === 0) return undefined;
    this.#budget--;
    return this.mailbox.shift(this);
  }

  /** For the poller: opens the FSM's turn. */
  beginTurn(budget: number): void {
    assert(!this.#stepping && this.mailbox.isOwned, "an owned FSM is stepped once at a time");
    this.#stepping = true;
    this.#budget = budget;
    this.mailbox.acknowledgeResume();
  }

  /** For the poller: closes the FSM's turn. */
  endTurn(): void {
    this.#stepping = false;
    this.#budget = 0;
  }
}

/** What became of an FSM that its poller gave back. */
export type ReleaseResult = "released" | "retaken" | "dropped";

/** The senders' end. */
export class Mailbox<F extends Fsm, M> {
  readonly #options: MailboxOptions<F, M>;
  readonly #state = new FsmState();
  readonly #slot: Slot<F, M>;
  readonly #queue = new Fifo<M>();
  /** An event came that is no message; kept until the FSM's next turn begins. */
  #resumed = false;

  constructor(fsm: F, options: MailboxOptions<F, M>) {
    assert(options.capacity >= 1, "a mailbox holds a message");
    this.#options = options;
    this.#slot = new Slot(this, fsm);
  }

  /** Messages that wait. */
  get length(): number {
    return this.#queue.length;
  }

  get isClosed(): boolean {
    return this.#state.ownership === "dropped";
  }

  /** Whether a ready queue or a poller has the FSM (a closed one too, until it is freed). */
  get isOwned(): boolean {
    return this.#state.ownership !== "idle";
  }

  /** Appends a message within the bound. */
  trySend(message: M): SendResult {
    if (!this.isClosed && this.#queue.length >= this.#options.capacity) return "full";
    return this.forceSend(message);
  }

  /**
   * Appends a message beyond the bound as well: ticks, persisted notices, significant messages.
   * Their senders bound them, by having one of a kind on its way to an FSM.
   */
  forceSend(message: M): "sent" | "closed" {
    if (this.isClosed) return "closed";
    this.#queue.push(message);
    this.#wake();
    return "sent";
  }

  /** Wakes an FSM that waits for an event; false when it is closed. Events are not counted. */
  resume(): boolean {
    if (this.isClosed) return false;
    this.#resumed = true;
    this.#wake();
    return true;
  }

  /**
   * Refuses messages from now on. An idle FSM is freed at once, with what it left unread; an owned
   * one first gets what was accepted.
   */
  close(): void {
    if (this.isClosed) return;
    if (this.#state.drop()) this.#free();
  }

  /** For the owner: the next message. */
  shift(slot: Slot<F, M>): M | undefined {
    assert(slot === this.#slot && this.isOwned, "only the owner of an FSM takes its messages");
    return this.#queue.shift();
  }

  /** For the owner: events up to now are seen by the turn that begins. */
  acknowledgeResume(): void {
    this.#resumed = false;
  }

  /**
   * For the owner: gives the FSM back, which has seen all but `progress` messages. "retaken": more
   * came since, and nobody else would wake the FSM, because it was owned when they came; the
   * caller keeps it. Without this check they would wait for the next unrelated message.
   */
  release(progress: number): ReleaseResult {
    const waiting = this.#queue.length;
    assert(progress >= 0 && progress <= waiting, "progress counts messages that still wait");
    if (waiting !== progress || this.#resumed) return "retaken";
    if (this.#state.release()) return "released";
    this.#free();
    return "dropped";
  }

  /** For the owner, at shutdown: frees a closed FSM whatever it has not read. */
  abandon(): void {
    assert(this.isClosed, "only a closed FSM is abandoned");
    this.#free();
  }

  #wake(): void {
    if (this.#state.take()) this.#options.schedule(this.#slot);
  }

  #free(): void {
    this.#options.onDrop(this.#slot.fsm, this.#queue.drain());
  }
}
