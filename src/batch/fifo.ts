/** A first-in-first-out queue without shifting: mailboxes and ready queues. Hot path. */

/** Heads below this are not worth a copy; a guess, visible in no metric. */
const COMPACT_MIN = 64;

/** Unbounded by itself: its owner states the bound and what happens at it. */
export class Fifo<T> {
  /** Invariant: #items[#head ..] is the content; slots before #head hold undefined. */
  #items: (T | undefined)[] = [];
  #head = 0;

  get length(): number {
    return this.#items.length - this.#head;
  }

  push(item: T): void {
    this.#items.push(item);
  }

  /** Returns the oldest item, or undefined when there is none. Amortised O(1). */
  shift(): T | undefined {
    if (this.#head === this.#items.length) return undefined;
    const item = this.#items[this.#head];
    this.#items[this.#head++] = undefined;
    if (this.#head === this.#items.length) {
      this.#items = [];
      this.#head = 0;
    } else if (this.#head >= COMPACT_MIN && this.#head * 2 >= this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }

  /** Returns all items, oldest first, and leaves the queue empty. */
  drain(): T[] {
    const items = this.#items.slice(this.#head) as T[];
    this.#items = [];
    this.#head = 0;
    return items;
  }
}
