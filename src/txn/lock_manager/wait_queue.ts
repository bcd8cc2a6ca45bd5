/**
 * Who waits for which key, and who goes next. One queue per key, ordered by start_ts, then arrival.
 * Not here: deadlines of waits and deadlocks (waiter_manager.ts).
 * Source: tikv src/storage/lock_manager/lock_waiting_queue.rs.
 *
 * A lock that is released wakes the head of its queue. A force-lock request (allowLockWithConflict)
 * runs again, and whoever it blocks waits for its lock. Any other is answered WriteConflict, and its
 * client may never come back: so what was in the queue then is woken a little later ("delayed"),
 * unless a force-lock request is found on the way, which takes the lock in their stead. Requests that
 * arrive in between met a newer lock and stay: `legacyWakeUpIndex` tells them apart.
 */
import { assert, toHex } from "../../base/index.js";

/** A place in a queue. */
export interface QueueEntry {
  /** Encoded. */
  readonly key: Uint8Array;
  readonly startTs: bigint;
  /** Force lock: is run again when woken. */
  readonly resumable: boolean;
}

/** The transaction whose end woke the queue; commitTs 0n: rolled back. */
export interface WakeReason {
  readonly startTs: bigint;
  readonly commitTs: bigint;
}

export interface Woken<E> {
  readonly entry: E;
  readonly reason: WakeReason;
}

interface Place<E> {
  readonly entry: E;
  readonly legacyWakeUpIndex: number;
}

/** Invariant: not empty between calls. `delayedAtMs` undefined = no delayed wake-up is due. */
interface KeyQueue<E> {
  readonly id: string;
  readonly places: Place<E>[];
  legacyWakeUpIndex: number;
  reason: WakeReason;
  delayedAtMs: number | undefined;
}

const NO_REASON: WakeReason = { startTs: 0n, commitTs: 0n };

/** All queues of a store. The number of entries is bounded by the waiter manager. */
export class LockWaitQueues<E extends QueueEntry> {
  private readonly queues = new Map<string, KeyQueue<E>>();

  constructor(
    private readonly wakeUpDelayMs: () => number,
    /** Called when `delayed` must be called for a key, no earlier than `atMs`. */
    private readonly onDelay: (queueId: string, atMs: number) => void,
  ) {}

  /** Number of keys that are waited for. */
  get keys(): number {
    return this.queues.size;
  }

  lengthOf(key: Uint8Array): number {
    return this.queues.get(toHex(key))?.places.length ?? 0;
  }

  /** The entries that wait for `key`, first to be woken first. */
  entriesOf(key: Uint8Array): readonly E[] {
    return this.queues.get(toHex(key))?.places.map(({ entry }) => entry) ?? [];
  }

  /** O(log n) and a move of the array. */
  push(entry: E): void {
    const id = toHex(entry.key);
    let queue = this.queues.get(id);
    if (queue === undefined) {
      const start = { legacyWakeUpIndex: 0, reason: NO_REASON, delayedAtMs: undefined };
      queue = { id, places: [], ...start };
      this.queues.set(id, queue);
    }
    const { places, legacyWakeUpIndex } = queue;
    places.splice(upperBound(places, entry.startTs), 0, { entry, legacyWakeUpIndex });
  }

  /** Takes an entry out, if it is still there. */
  remove(entry: E): void {
    const queue = this.queues.get(toHex(entry.key));
    const at = queue?.places.findIndex((place) => place.entry === entry) ?? -1;
    if (queue === undefined || at < 0) return;
    queue.places.splice(at, 1);
    this.dropIfEmpty(queue);
  }

  /** Takes out the head of a queue, as the lock on `key` is gone. undefined: nobody waits. */
  pop(nowMs: number, key: Uint8Array, reason: WakeReason): Woken<E> | undefined {
    if (this.queues.size === 0) return undefined;
    const queue = this.queues.get(toHex(key));
    const head = queue?.places.shift();
    if (queue === undefined || head === undefined) return undefined;
    queue.reason = reason;
    if (!head.entry.resumable) {
      queue.legacyWakeUpIndex++;
      if (queue.places.length > 0) this.delay(queue, nowMs);
    }
    this.dropIfEmpty(queue);
    return { entry: head.entry, reason };
  }

  /**
   * Takes out whoever was in the queue at its last wake-up, up to and with the first that is
   * resumable. Empty when that is not yet due (`onDelay` is called again) or no longer of interest.
   */
  delayed(nowMs: number, queueId: string): readonly Woken<E>[] {
    const queue = this.queues.get(queueId);
    if (queue?.delayedAtMs === undefined) return [];
    if (queue.delayedAtMs > nowMs) {
      this.onDelay(queueId, queue.delayedAtMs);
      return [];
    }
    queue.delayedAtMs = undefined;
    const woken: Woken<E>[] = [];
    for (let head = queue.places[0]; head !== undefined; head = queue.places[0]) {
      if (head.legacyWakeUpIndex >= queue.legacyWakeUpIndex) break;
      queue.places.shift();
      woken.push({ entry: head.entry, reason: queue.reason });
      if (head.entry.resumable) break;
    }
    this.dropIfEmpty(queue);
    return woken;
  }

  /** A wake-up that is due already is put off, not doubled. */
  private delay(queue: KeyQueue<E>, nowMs: number): void {
    const isNew = queue.delayedAtMs === undefined;
    queue.delayedAtMs = nowMs + this.wakeUpDelayMs();
    if (isNew) this.onDelay(queue.id, queue.delayedAtMs);
  }

  private dropIfEmpty(queue: KeyQueue<E>): void {
    assert(this.queues.get(queue.id) === queue, "a queue in use is in the table");
    if (queue.places.length === 0) this.queues.delete(queue.id);
  }
}

/** Returns the index of the first place whose start_ts is greater. */
function upperBound<E extends QueueEntry>(places: readonly Place<E>[], startTs: bigint): number {
  let [low, high] = [0, places.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((places[middle] as Place<E>).entry.startTs <= startTs) low = middle + 1;
    else high = middle;
  }
  return low;
}
