/** Runs commands under the latches of their keys; the rules are txn/latch.ts. */
import { Latches, type LatchRequest, latchRequest } from "../txn/index.js";

interface Waiter {
  readonly request: LatchRequest;
  readonly resume: () => void;
}

export class LatchQueue {
  private readonly latches = new Latches();
  private readonly waiters = new Map<number, Waiter>();
  private nextCommand = 1;

  /** Latches held by commands; 0 when nothing runs. */
  get held(): number {
    return this.latches.held;
  }

  /**
   * Runs `command` while it holds the latches of `keys`, in FIFO order per key. The latches are
   * given back when its promise settles. How many wait is bounded by the write quota.
   */
  async with<T>(keys: readonly Uint8Array[], command: () => Promise<T>): Promise<T> {
    const id = this.nextCommand++;
    const request = latchRequest(keys);
    while (!this.latches.acquire(request, id)) {
      await new Promise<void>((resume) => this.waiters.set(id, { request, resume }));
    }
    try {
      return await command();
    } finally {
      for (const woken of this.latches.release(request, id)) {
        const waiter = this.waiters.get(woken);
        this.waiters.delete(woken);
        waiter?.resume();
      }
    }
  }
}
