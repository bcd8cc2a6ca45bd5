/**
 * Admission of writes: how many bytes may be under way at once. A write is let in while fewer than
 * the threshold are under way, as in TiKV, so the sum exceeds it by at most one write.
 * Source: tikv src/storage/txn/scheduler.rs too_busy.
 */
import { assert } from "../base/index.js";

export class WriteQuota {
  private used = 0;

  constructor(private readonly thresholdBytes: number) {}

  /** Bytes of the writes under way. */
  get usedBytes(): number {
    return this.used;
  }

  /** Takes `bytes` out of the quota. Returns false, taking nothing, when too much is under way. */
  tryAcquire(bytes: number): boolean {
    if (this.used >= this.thresholdBytes) return false;
    this.used += bytes;
    return true;
  }

  release(bytes: number): void {
    this.used -= bytes;
    assert(this.used >= 0, "a write gives back what it took");
  }
}
