/**
 * One look at the lock CF before many keys are read: where nothing lies between the smallest and the
 * greatest of them, none has a lock, and their point reads are saved. Same snapshot, same answer.
 */
import { concatBytes } from "../base/index.js";
import type { MvccSnapshot } from "./snapshot.js";

/** Fewest keys for which a look costs less than their point reads do. */
const KEYS_MIN = 8;
/** Reads that do not look after looks in vain: 1, 2, 4 and so on up to this. */
const PAUSE_MAX = 64;
const AFTER_KEY = Uint8Array.of(0);

/** Remembers between reads whether looking pays. */
export class LockGlance {
  private pause = 0;
  private left = 0;

  /** Whether no key from `first` to `last`, both included, has a lock; false: it may have. */
  showsNone(snapshot: MvccSnapshot, keys: number, first: Uint8Array, last: Uint8Array): boolean {
    if (keys < KEYS_MIN || snapshot.provenEmpty === undefined) return false;
    if (this.left > 0) {
      this.left--;
      return false;
    }
    const isEmpty = snapshot.provenEmpty("lock", first, concatBytes(last, AFTER_KEY));
    this.pause = isEmpty ? 0 : Math.min(PAUSE_MAX, 2 * this.pause + 1);
    this.left = this.pause;
    return isEmpty;
  }
}
