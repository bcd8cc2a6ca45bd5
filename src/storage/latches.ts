/** Runs commands under the latches of their keys; the rules are txn/latch.ts. */
import { Latches, type LatchRequest, latchRequest } from "../txn/index.js";

interface Waiter {
  readonly request: LatchRequest;
  readonly run: (release: () => void) => void;
}

export class LatchQueue {
  private readonly latches = new Latches();
  private readonly waiters = new Map<number, Waiter>();
  /** Commands that hold their latches and have not begun. */
  private readonly ready: (() => void)[] = [];
  private isDraining = false;
  private nextCommand = 1;

  /** Latches held by commands; 0 when nothing runs. */
  get held(): number {
    return this.latches.held;
  }

  /** Commands that wait for a latch. */
  get waiting(): number {
    return this.waiters.size;
  }

  /**
   * Calls `run` when the latches of `keys` are held, FIFO per key: in this call if all are free.
   * `run` sees to it that `release` is called once. How many wait is bounded by the callers' quotas.
   */
  take(keys: readonly Uint8Array[], run: (release: () => void) => void): void {
    this.advance(this.nextCommand++, { request: latchRequest(keys), run });
  }

  /**
   * Takes the latches of `keys` if all of them are free and nobody waits for one. Returns what gives
   * them back, to be called once; undefined = nothing was taken.
   */
  tryTake(keys: readonly Uint8Array[]): (() => void) | undefined {
    const request = latchRequest(keys);
    if (!this.latches.isFree(request)) return undefined;
    const id = this.nextCommand++;
    this.latches.acquire(request, id);
    return () => this.release(id, request);
  }

  /** As `take` for one key, right behind the command that holds it, before all who wait. */
  takeNext(key: Uint8Array, run: (release: () => void) => void): void {
    const request = latchRequest([key]);
    const id = this.nextCommand++;
    if (this.latches.acquireNext(request, id)) this.begin(id, { request, run });
    else this.waiters.set(id, { request, run });
  }

  /** As `take`, for a command whose end is its promise. */
  with<T>(keys: readonly Uint8Array[], command: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.take(keys, (release) => {
        command().finally(release).then(resolve, reject);
      });
    });
  }

  private advance(id: number, waiter: Waiter): void {
    if (this.latches.acquire(waiter.request, id)) this.begin(id, waiter);
    else this.waiters.set(id, waiter);
  }

  private begin(id: number, { request, run }: Waiter): void {
    this.ready.push(() => run(() => this.release(id, request)));
    this.drain();
  }

  private release(id: number, request: LatchRequest): void {
    for (const woken of this.latches.release(request, id)) {
      const next = this.waiters.get(woken) as Waiter;
      this.waiters.delete(woken);
      this.advance(woken, next);
    }
  }

  /** Begins commands one after the other: one that ends at once wakes the next from in here. */
  private drain(): void {
    if (this.isDraining) return;
    this.isDraining = true;
    try {
      for (let next = this.ready.shift(); next !== undefined; next = this.ready.shift()) next();
    } finally {
      this.isDraining = false;
    }
  }
}
