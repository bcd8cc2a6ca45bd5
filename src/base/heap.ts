/** A binary heap whose smallest item is on top: deadlines, merges. Equal items come in any order. */
export class MinHeap<T> {
  private items: T[] = [];

  /** `compare` is negative when its first argument comes first. */
  constructor(private readonly compare: (a: T, b: T) => number) {}

  get size(): number {
    return this.items.length;
  }

  /** Returns the smallest item, which stays; undefined when empty. */
  peek(): T | undefined {
    return this.items[0];
  }

  /** O(log n). */
  push(item: T): void {
    const items = this.items;
    let at = items.length;
    items.push(item);
    while (at > 0) {
      const parent = (at - 1) >>> 1;
      if (this.compare(items[parent] as T, item) <= 0) break;
      items[at] = items[parent] as T;
      at = parent;
    }
    items[at] = item;
  }

  /** Removes and returns the smallest item; undefined when empty. O(log n). */
  pop(): T | undefined {
    const top = this.items[0];
    const last = this.items.pop();
    if (this.items.length > 0) this.sink(last as T);
    return top;
  }

  /** Drops the items that `keep` refuses. O(n log n). */
  retain(keep: (item: T) => boolean): void {
    // A sorted array is a heap.
    this.items = this.items.filter(keep).sort(this.compare);
  }

  /** Puts `item` in place of the top, then where it belongs. */
  private sink(item: T): void {
    const items = this.items;
    let at = 0;
    for (let child = 1; child < items.length; child = 2 * at + 1) {
      const right = child + 1;
      if (right < items.length && this.compare(items[right] as T, items[child] as T) < 0) {
        child = right;
      }
      if (this.compare(item, items[child] as T) <= 0) break;
      items[at] = items[child] as T;
      at = child;
    }
    items[at] = item;
  }
}
