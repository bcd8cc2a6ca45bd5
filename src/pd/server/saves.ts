/**
 * Writes of state that readers must not see before it is on disk: a store that acts on a safe point
 * which PD then forgets would have deleted what PD promises to keep. State changes in memory at
 * once, `save` writes it, and whoever answers from memory awaits `settled` first.
 */
import type { Kv, KvChange } from "../storage/index.js";

export class Saves {
  private last: Promise<void> = Promise.resolve();

  constructor(
    private readonly kv: Kv,
    /** Called with a failed write; PD cannot go on. */
    private readonly onFatal: (error: Error) => void,
  ) {}

  /** Writes all changes or none; resolves when they, and all before them, are on disk. */
  save(changes: readonly KvChange[]): Promise<void> {
    if (changes.length === 0) return this.last;
    const before = this.last;
    const written = this.kv.save(changes);
    const both = Promise.all([before, written]).then(
      () => undefined,
      (error: Error) => {
        this.onFatal(error);
        throw error;
      },
    );
    // Whoever awaits it learns of the failure; that nobody does is no further error.
    both.catch(() => {});
    this.last = both;
    return both;
  }

  /** Resolves when everything given to `save` so far is on disk; rejects when that failed. */
  settled(): Promise<void> {
    return this.last;
  }
}
