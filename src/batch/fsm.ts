/**
 * What the batch system runs, and who owns it at a time. Not here: messages (mailbox.ts), rounds
 * (poller.ts). Source: tikv components/batch-system/src/fsm.rs.
 *
 *            take (send, resume)                 drop (close)
 *     IDLE ──────────────────────> NOTIFIED ──────────────────────> DROPPED
 *       ^ <────────────────────── /                                  ^
 *       │        release (poller)                                     │
 *       └─────────────────────────────────────────────────────────────┘ drop: freed at once
 */
import { assert } from "../base/index.js";

/** Which lane polls an FSM; TiKV's low lane is for ingest and slow applies. */
export const PRIORITIES = ["normal", "low"] as const;
export type Priority = (typeof PRIORITIES)[number];

/** A finite state machine that lives behind a mailbox: a peer, an apply delegate, a store. */
export interface Fsm {
  /** Once true it stays true: the FSM leaves for good when its mailbox is empty. */
  readonly stopped: boolean;
  /** May change inside a round; the poller then moves the FSM to the other lane. */
  readonly priority: Priority;
}

type Ownership = "idle" | "notified" | "dropped";

/**
 * Ownership of one FSM. Invariant: while "idle" nobody but this state refers to the FSM's slot;
 * while "notified" exactly one ready queue or poller does; from "dropped" there is no way back.
 */
export class FsmState {
  #ownership: Ownership = "idle";

  get ownership(): Ownership {
    return this.#ownership;
  }

  /** Takes the FSM for a poller; true for the one caller that must schedule it. */
  take(): boolean {
    if (this.#ownership !== "idle") return false;
    this.#ownership = "notified";
    return true;
  }

  /** Gives the FSM back; false when it was dropped meanwhile, and the caller must free it. */
  release(): boolean {
    assert(this.#ownership !== "idle", "only an owner releases an FSM");
    if (this.#ownership === "dropped") return false;
    this.#ownership = "idle";
    return true;
  }

  /** Drops the FSM; true when nobody owned it, so that the caller must free it. */
  drop(): boolean {
    const idle = this.#ownership === "idle";
    this.#ownership = "dropped";
    return idle;
  }
}
