/**
 * Append messages that are on their way to one follower, as a ring of (last index, bytes), bounded
 * in number and in bytes. Hot: touched for each append message and each acknowledgement.
 */
import { assert } from "../base/index.js";

const RING_START = 16;

/** Invariant: indexes grow from the oldest to the newest; count ≤ messagesMax. */
export class Inflights {
  private indexes: number[] = [];
  private sizes: number[] = [];
  private start = 0;
  private used = 0;
  private usedBytes = 0;

  /** `bytesMax` 0 is no limit. */
  constructor(
    private readonly messagesMax: number,
    private readonly bytesMax: number,
  ) {}

  get count(): number {
    return this.used;
  }

  get bytes(): number {
    return this.usedBytes;
  }

  /** Returns whether no further message may leave. One message may overshoot the byte limit. */
  full(): boolean {
    return (
      this.used >= this.messagesMax || (this.bytesMax !== 0 && this.usedBytes >= this.bytesMax)
    );
  }

  /** Notes a message whose last entry is `index`; asserts that there is room. */
  add(index: number, bytes: number): void {
    assert(!this.full(), "an append leaves only while inflights are below their limits");
    if (this.used === this.indexes.length) this.grow();
    const at = (this.start + this.used) % this.indexes.length;
    this.indexes[at] = index;
    this.sizes[at] = bytes;
    this.used++;
    this.usedBytes += bytes;
  }

  /** Forgets messages whose last entry is at or below `index`. */
  freeTo(index: number): void {
    while (this.used > 0 && (this.indexes[this.start] as number) <= index) this.freeFirst();
  }

  /** Forgets the oldest message, which may be lost. Does nothing if there is none. */
  freeFirst(): void {
    if (this.used === 0) return;
    this.usedBytes -= this.sizes[this.start] as number;
    this.start = (this.start + 1) % this.indexes.length;
    this.used--;
  }

  /** Forgets all messages. */
  reset(): void {
    this.start = 0;
    this.used = 0;
    this.usedBytes = 0;
  }

  private grow(): void {
    const capacity = Math.min(this.messagesMax, Math.max(RING_START, this.indexes.length * 2));
    const indexes = new Array<number>(capacity).fill(0);
    const sizes = new Array<number>(capacity).fill(0);
    for (let i = 0; i < this.used; i++) {
      const at = (this.start + i) % this.indexes.length;
      indexes[i] = this.indexes[at] as number;
      sizes[i] = this.sizes[at] as number;
    }
    this.indexes = indexes;
    this.sizes = sizes;
    this.start = 0;
  }
}
