/**
 * Work that a caller need not wait for: second halves of commits, rollbacks, locks of dead
 * transactions. What fails here is repaired by whoever meets the locks.
 *
 * Invariant: at most `max` pieces are under way; a caller with one more does it while it waits.
 */
import { errorMessage, type Logger } from "../../base/index.js";
import type { ClientTime } from "../ports.js";

export class Background {
  readonly #running = new Set<Promise<void>>();
  readonly #max: number;
  readonly #time: ClientTime;
  readonly #log: Logger;

  constructor(max: number, time: ClientTime, log: Logger) {
    this.#max = max;
    this.#time = time;
    this.#log = log;
  }

  /** Pieces under way. */
  get size(): number {
    return this.#running.size;
  }

  /** Starts `work`; resolves at once, or after it when too much is under way. Never rejects. */
  async run(what: string, work: () => Promise<void>): Promise<void> {
    const isFull = this.#running.size >= this.#max;
    const running = this.#watch(what, work);
    if (isFull) await running;
    else {
      this.#running.add(running);
      void running.then(() => this.#running.delete(running));
    }
  }

  /** Starts `work`; resolves after it, at the latest after `ms`. Never rejects. */
  async runAwhile(what: string, ms: number, work: () => Promise<void>): Promise<void> {
    const over = new AbortController();
    const done = new Promise<void>((resolve) => {
      void this.run(what, () => work().finally(resolve));
    });
    await Promise.race([done, this.#time.sleep(ms, [over.signal])]);
    over.abort();
  }

  /** Resolves when nothing is under way, or after `ms`; returns whether nothing is. */
  async drain(ms: number): Promise<boolean> {
    const over = new AbortController();
    const timeout = this.#time.sleep(ms, [over.signal]).then(() => true);
    for (let isOver = false; this.#running.size > 0 && !isOver; ) {
      const idle = Promise.all(this.#running).then(() => false);
      isOver = await Promise.race([idle, timeout]);
    }
    over.abort();
    return this.#running.size === 0;
  }

  async #watch(what: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.#log.warn("unfinished work of a transaction is left to others", {
        what,
        message: errorMessage(error),
      });
    }
  }
}
