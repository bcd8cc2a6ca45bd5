/** Drives the id allocator: saves a window before ids of it are given. The rules are in ../id. */
import { IdAllocator } from "../id/index.js";
import { type Kv, loadAllocId, saveAllocId } from "../storage/index.js";

export class IdService {
  private readonly allocator: IdAllocator;
  private readonly kv: Kv;
  private readonly clusterId: bigint;
  /** Requests run one after the other: two must not save windows at once. */
  private last: Promise<unknown> = Promise.resolve();

  constructor(kv: Kv, clusterId: bigint) {
    this.kv = kv;
    this.clusterId = clusterId;
    this.allocator = new IdAllocator(loadAllocId(kv, clusterId));
  }

  /** Takes `count` (>= 1) consecutive ids; resolves with the largest, undefined if none is left. */
  alloc(count: bigint): Promise<bigint | undefined> {
    const next = this.last.then(() => this.allocNow(count));
    this.last = next.catch(() => undefined);
    return next;
  }

  /** Takes one id at once; undefined while the next window is being saved. */
  take(): bigint | undefined {
    const step = this.allocator.alloc(1n);
    if (step.kind === "ok") return step.last;
    // A failed save was reported by whoever saves; the id that this call wastes is one of many.
    if (step.kind === "save") this.alloc(1n).catch(() => {});
    return undefined;
  }

  private async allocNow(count: bigint): Promise<bigint | undefined> {
    for (;;) {
      const step = this.allocator.alloc(count);
      if (step.kind === "ok") return step.last;
      if (step.kind === "exhausted") return undefined;
      await saveAllocId(this.kv, this.clusterId, step.end);
      this.allocator.saved(step.end);
    }
  }
}
