/**
 * The order of a Ready's effects, as data. Pure; raft/raw_node.ts states the rules:
 *
 *   send `messages`                         at once, while the writes are under way
 *   write snapshot, entries, hard state     one atomic part of the round's write, in Ready order
 *   send `messagesAfterPersist`             when this Ready and all before it are durable
 *   apply `committed`                       at once: durable here by an earlier Ready
 */
import type { Entry, HardState, Message, Ready, Snapshot } from "../raft/index.js";

/** What has to be written for a Ready. */
export interface ReadyWrite {
  readonly entries: readonly Entry[];
  /** The newest hard state, its commit index included. */
  readonly hardState: HardState;
  readonly snapshot: Snapshot | null;
}

/** What remains of a Ready until it is durable. Invariant: a queue of these ascends by number. */
export interface UnpersistedReady {
  readonly number: number;
  /** undefined: nothing to write, it is durable as soon as all before it is. */
  readonly write: ReadyWrite | undefined;
  readonly messages: readonly Message[];
}

/**
 * Returns what of a Ready has to be made durable. A hard state whose commit index alone changed is
 * not written by itself: it may be lost, and goes with the next write. `hardState` is the newest,
 * whether this Ready carries it or one before did.
 */
export function unpersistedOf(ready: Ready, hardState: HardState): UnpersistedReady {
  const { number, entries, snapshot, mustSync, messagesAfterPersist } = ready;
  const write = mustSync ? { entries, hardState, snapshot } : undefined;
  return { number, write, messages: messagesAfterPersist };
}

/**
 * Takes the Readies out of `queue` that are durable when the writes of those up to `written` are:
 * all up to it, and behind it those that had nothing to write.
 */
export function takePersisted(queue: UnpersistedReady[], written: number): UnpersistedReady[] {
  let count = 0;
  while (count < queue.length) {
    const ready = queue[count] as UnpersistedReady;
    if (ready.number > written && ready.write !== undefined) break;
    count++;
  }
  return queue.splice(0, count);
}
