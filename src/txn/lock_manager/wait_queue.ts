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
import { AssertionError, assert, MinHeap, toHex } from "../../base/index.js";

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
  /** Counts all pushes: arrival among equal start_ts. */
  readonly order: number;
  readonly legacyWakeUpIndex: number;
}

/**
 * Invariant: `waiting` is not empty between calls, and `heap` has all of its places. Those that
 * left out of their turn stay in the heap for a while, at most as many as wait, and a few.
 */
interface KeyQueue<E> {
  readonly id: string;
  readonly waiting: Map<E, Place<E>>;
  readonly heap: MinHeap<Place<E>>;
  legacyWakeUpIndex: number;
  reason: WakeReason;
  /** undefined = no delayed wake-up is due. */
  delayedAtMs: number | undefined;
}

const NO_REASON: WakeReason = { startTs: 0n, commitTs: 0n };
const GONE_MAX = 16;

/** All queues of a store. The number of entries is bounded by the waiter manager. */
export class LockWaitQueues<E extends QueueEntry> {
  private readonly queues = new Map<string, KeyQueue<E>>();
  private pushed = 0;

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
    return this.queues.get(toHex(key))?.waiting.size ?? 0;
  }

  /** The entries that wait for `key`, by arrival. */
  entriesOf(key: Uint8Array): readonly E[] {
    return [...(this.queues.get(toHex(key))?.waiting.keys() ?? [])];
  }

  /** O(log n). */
  push(entry: E): void {
    const id = toHex(entry.key);
    let queue = this.queues.get(id);
    if (queue === undefined) {
      const start = { legacyWakeUpIndex: 0, reason: NO_REASON, delayedAtMs: undefined };
      queue = { id, waiting: new Map(), heap: new MinHeap(comparePlaces), ...start };
      this.queues.set(id, queue);
    }
    const { legacyWakeUpIndex } = queue;
    const place = { entry, order: this.pushed++, legacyWakeUpIndex };
    queue.waiting.set(entry, place);
    queue.heap.push(place);
  }

  /** Takes out an entry that is there: one that was woken no longer is. O(1), amortised. */
  remove(entry: E): void {
    const queue = this.queues.get(toHex(entry.key));
    assert(queue?.waiting.delete(entry) === true, "whoever waits is in the queue");
    const { heap, waiting } = queue;
    if (heap.size > GONE_MAX + 2 * waiting.size) heap.retain((place) => isWaiting(queue, place));
    this.dropIfEmpty(queue);
  }

  /** Takes out the head of a queue, as the lock on `key` is gone. undefined: nobody waits. */
  pop(nowMs: number, key: Uint8Array, reason: WakeReason): Woken<E> | undefined {
    if (this.queues.size === 0) return undefined;
    const queue = this.queues.get(toHex(key));
    if (queue === undefined) return undefined;
    const { entry } = takeHead(queue);
    queue.reason = reason;
    if (!entry.resumable) {
      queue.legacyWakeUpIndex++;
      if (queue.waiting.size > 0) this.delay(queue, nowMs);
    }
    this.dropIfEmpty(queue);
    return { entry, reason };
  }

  /**
   * Takes out whoever was in the queue at its last wake-up, up to and with the first that is
   * resumable, but at most `max`: `onDelay` is called for the rest, as when it is not yet due.
   * Empty also when the queue is no longer of interest.
   */
  delayed(nowMs: number, queueId: string, max: number): readonly Woken<E>[] {
    const queue = this.queues.get(queueId);
    if (queue?.delayedAtMs === undefined) return [];
    if (queue.delayedAtMs > nowMs) {
      this.onDelay(queueId, queue.delayedAtMs);
      return [];
    }
    queue.delayedAtMs = undefined;
    const woken: Woken<E>[] = [];
    while (queue.waiting.size > 0) {
      if (headOf(queue).legacyWakeUpIndex >= queue.legacyWakeUpIndex) break;
      if (woken.length >= max) {
        queue.delayedAtMs = nowMs;
        this.onDelay(queueId, nowMs);
        break;
      }
      const { entry } = takeHead(queue);
      woken.push({ entry, reason: queue.reason });
      if (entry.resumable) break;
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
    if (queue.waiting.size === 0) this.queues.delete(queue.id);
  }
}

function comparePlaces<E extends QueueEntry>(a: Place<E>, b: Place<E>): number {
  if (a.entry.startTs !== b.entry.startTs) return a.entry.startTs < b.entry.startTs ? -1 : 1;
  return a.order - b.order;
}

function isWaiting<E>({ waiting }: KeyQueue<E>, place: Place<E>): boolean {
  return waiting.get(place.entry) === place;
}

/** Returns who is woken next. Somebody waits. */
function headOf<E>(queue: KeyQueue<E>): Place<E> {
  for (let head = queue.heap.peek(); head !== undefined; head = queue.heap.peek()) {
    if (isWaiting(queue, head)) return head;
    queue.heap.pop();
  }
  throw new AssertionError("whoever waits is in the heap");
}

function takeHead<E>(queue: KeyQueue<E>): Place<E> {
  const head = headOf(queue);
  queue.heap.pop();
  queue.waiting.delete(head.entry);
  return head;
}
